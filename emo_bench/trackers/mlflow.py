"""MLflow: a local database or a server, as its own settings or ``WHERE`` say."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo_bench.trackers.tracker import Status

EXPERIMENT = "emo-bench"
_UNKNOWN = re.compile(r"[^\w./ -]+")
"""Letters that names in MLflow cannot have."""
_AT_ONCE = 100
"""Parameters and metrics that MLflow takes in one call."""


class MLflow:
    """A run in the experiment ``emo-bench`` at the tracking address ``WHERE``.

    Through the client rather than ``mlflow.start_run``, which would add the user's name, the program's path and its Git
    commit to the run.
    """

    def __init__(self) -> None:
        import mlflow

        self._library: Any = mlflow
        self._client: Any = None
        self._run = ""

    def start(self, *, name: str, settings: Mapping[str, float | int | str | bool], folder: Path, where: str) -> None:
        """Starts a run."""
        del folder
        self._client = client = self._library.MlflowClient(tracking_uri=where or None)
        known = client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known is not None else client.create_experiment(EXPERIMENT)
        self._run = client.create_run(experiment, run_name=name).info.run_id
        entity = self._library.entities.Param
        items = [entity(_UNKNOWN.sub("_", key), str(value)) for key, value in settings.items()]
        for first in range(0, len(items), _AT_ONCE):
            client.log_batch(self._run, params=items[first : first + _AT_ONCE])

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """Metrics at a step."""
        now = time.time_ns() // 1_000_000
        entity = self._library.entities.Metric
        items = [entity(_UNKNOWN.sub("_", key), value, now, step) for key, value in values.items()]
        for first in range(0, len(items), _AT_ONCE):
            self._client.log_batch(self._run, metrics=items[first : first + _AT_ONCE])

    def close(self, *, status: Status) -> None:
        """Ends the run."""
        self._client.set_terminated(self._run, status="FINISHED" if status == "finished" else "FAILED")
