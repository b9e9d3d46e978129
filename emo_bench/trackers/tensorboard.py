"""TensorBoard: event files on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo_bench.trackers.tracker import Status


class TensorBoard:
    """Event files in ``WHERE``, or in ``tensorboard`` within the run's folder."""

    def __init__(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._make: Any = SummaryWriter
        self._writer: Any = None

    def start(self, *, name: str, settings: Mapping[str, float | int | str | bool], folder: Path, where: str) -> None:
        """Opens a file of events."""
        self._writer = self._make(str(Path(where) / name if where else folder / "tensorboard"))
        self._writer.add_text("settings", "\n".join(f"    {key}: {value}" for key, value in settings.items()))

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """One curve for each name."""
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def close(self, *, status: Status) -> None:
        """Writes what is left."""
        self._writer.add_text("status", status)
        self._writer.close()
