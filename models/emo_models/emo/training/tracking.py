"""Curves through dvclive where it is installed, so that DVC shows and compares runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def _inside(marker: str) -> bool:
    here = Path.cwd()
    return any((folder / marker).exists() for folder in (here, *here.parents))


class Tracker:
    """Writes metrics below ``out/dvclive``; does nothing without dvclive (extra ``dvc``).

    dvclive turns a Git repository that does not use DVC into one that does; nobody asked for that, so it is left out
    there.

    Args:
        out: Folder of the run.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / "dvclive"
        self.available = importlib.util.find_spec("dvclive") is not None and (_inside(".dvc") or not _inside(".git"))

    def write(self, history: Sequence[Sequence[float]], values: Sequence[dict[str, Any]], *, every: int = 10) -> None:
        """The loss, averaged over ``every`` steps, and the diagnostics, each at its step."""
        if not self.available or not history:
            return
        from dvclive.live import Live

        rows: dict[int, dict[str, float]] = {}
        for start in range(0, len(history), every):
            part = history[start : start + every]
            rows[int(part[-1][0])] = {"loss": sum(loss for _, loss in part) / len(part)}
        for value in values:
            named = {f"{value['stage']}/{k}": v for k, v in value.items() if k not in {"step", "stage"}}
            rows.setdefault(int(value["step"]), {}).update(named)
        with Live(str(self.folder), save_dvc_exp=False, dvcyaml=None, monitor_system=False) as live:
            for step in sorted(rows):
                live.step = step
                for name, number in rows[step].items():
                    live.log_metric(name, number)
                live.next_step()
