"""MLflow: a local folder or a server, as its own settings or ``WHERE`` say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo_bench.trackers.tracker import Status

EXPERIMENT = "emo-bench"
_UNKNOWN = re.compile(r"[^\w./ -]+")
"""Letters that names in MLflow cannot have."""
_PARAMETERS_AT_ONCE = 100


class MLflow:
    """A run in the experiment ``emo-bench`` at the tracking address ``WHERE``."""

    def __init__(self) -> None:
        import mlflow

        self._library: Any = mlflow

    def start(self, *, name: str, settings: Mapping[str, float | int | str | bool], folder: Path, where: str) -> None:
        """Starts a run."""
        del folder
        if where:
            self._library.set_tracking_uri(where)
        self._library.set_experiment(EXPERIMENT)
        self._library.start_run(run_name=name)
        items = [(_UNKNOWN.sub("_", key), value) for key, value in settings.items()]
        for first in range(0, len(items), _PARAMETERS_AT_ONCE):
            self._library.log_params(dict(items[first : first + _PARAMETERS_AT_ONCE]))

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """Metrics at a step."""
        self._library.log_metrics({_UNKNOWN.sub("_", key): value for key, value in values.items()}, step=step)

    def close(self, *, status: Status) -> None:
        """Ends the run."""
        self._library.end_run(status="FINISHED" if status == "finished" else "FAILED")
