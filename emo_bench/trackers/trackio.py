"""trackio: a database on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo_bench.trackers.tracker import Status

PROJECT = "emo-bench"


class Trackio:
    """A run in the project ``WHERE``, else ``emo-bench``."""

    def __init__(self) -> None:
        import trackio

        self._library: Any = trackio

    def start(self, *, name: str, settings: Mapping[str, float | int | str | bool], folder: Path, where: str) -> None:
        """Starts a run; trackio would add the load of the machine's processors, which nobody asked for."""
        del folder
        self._library.init(
            project=where or PROJECT, name=name, config=dict(settings), auto_log_gpu=False, auto_log_cpu=False
        )

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers with their own step."""
        self._library.log(dict(values), step=step)

    def close(self, *, status: Status) -> None:
        """Ends the run."""
        del status
        self._library.finish()
