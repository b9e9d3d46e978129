"""Weights & Biases: as its own settings say (`wandb login`, `WANDB_MODE=offline`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo_bench.trackers.tracker import Status

PROJECT = "emo-bench"


class WandB:
    """A run in the project ``WHERE``, else ``emo-bench``. Code, output and machine are not sent."""

    def __init__(self) -> None:
        import wandb

        self._library: Any = wandb
        self._run: Any = None

    def start(self, *, name: str, settings: Mapping[str, float | int | str | bool], folder: Path, where: str) -> None:
        """Starts a run; its own files lie within the run's folder."""
        quiet = self._library.Settings(
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._run = self._library.init(
            project=where or PROJECT, name=name, config=dict(settings), dir=str(folder), settings=quiet
        )
        self._run.define_metric("*", step_metric="step")

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers with their own step: W&B's counts calls, and parts of a training start anew."""
        self._run.log({**values, "step": step})

    def close(self, *, status: Status) -> None:
        """Ends the run."""
        self._run.finish(exit_code=0 if status == "finished" else 1)
