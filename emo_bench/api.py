"""The same as the command line, from Python; for notebooks and other programs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from multiprocessing import current_process
from pathlib import Path
from typing import Any

from emo_bench.config.schema import DEFAULT_ANCHORS, RESERVED_NAMES
from emo_bench.record.schema import RunRecord
from emo_bench.runner.run import run_folder, run_suite
from emo_bench.runner.suite import Suite, load_suite, suite_from_values
from emo_core.errors import ConfigError
from emo_core.progress import display

DEFAULT_SCORE_METRICS = (
    "psnr/rgb@1",
    "ssim/gauss11@1",
    "f-sim/mobilefacenet@1",
    "e-fid/mediapipe-52@1",
    "lmd/iod@1",
    "head-velocity/mediapipe@1",
)


class RunResult:
    """A finished run: its record and its folder; shows the main table in a notebook.

    Attributes:
        record: See ``emo_bench.record.schema.RunRecord``.
        folder: Where record, rows, report and previews lie.
    """

    def __init__(self, record: RunRecord, folder: Path) -> None:
        self.record = record
        self.folder = folder

    def table(self) -> Any:
        """The main table as a pandas data frame: systems down, primary values across."""
        import pandas as pd

        labels = {
            (protocol.name, value.key): value.label
            for protocol in self.record.protocols
            for value in protocol.values
            if value.primary
        }
        rows: dict[str, dict[str, float | None]] = {}
        for entry in self.record.values:
            label = labels.get((entry.protocol, entry.key))
            if label is not None:
                rows.setdefault(entry.system, {})[f"{label} [{entry.protocol}]"] = entry.value
        return pd.DataFrame.from_dict(rows, orient="index")

    def clips(self) -> Any:
        """All per-clip rows as a pandas data frame."""
        from emo_bench.record.rows import rows_table

        return rows_table(self.folder)

    def show(self, clip: str, system: str) -> Any:
        """A playable clip for a notebook (needs IPython).

        Raises:
            KeyError: when the run has no preview of that clip and system.
        """
        import json

        index = self.folder / "previews" / "index.json"  # missing after a run without previews
        for entry in json.loads(index.read_text(encoding="utf-8")) if index.is_file() else ():
            if (entry["clip"], entry["system"]) == (clip, system):
                from IPython.display import Video

                return Video(str(self.folder / "previews" / entry["file"]), embed=True)
        raise KeyError(f"no preview of clip {clip!r} by {system!r}")

    def _repr_html_(self) -> str:
        from html import escape

        record = self.record
        counts = f"{record.counts.done} of {record.counts.planned} clips made"
        table: str = self.table().to_html(escape=True, na_rep="–")
        return f"<h4>{escape(record.title)}</h4><p>{counts}</p>{table}"

    def __repr__(self) -> str:
        record, counts = self.record, self.record.counts
        return f"RunResult({record.name!r}, {record.status}, {counts.done}/{counts.planned} clips, {self.folder})"


def run(
    config: str | Path | Mapping[str, Any],
    *,
    overrides: str | Sequence[str] = (),
    allow_systems: str | Collection[str] = (),
    quiet: bool = False,
) -> RunResult:
    """Runs a suite.

    Args:
        config: A suite file, or its values as a mapping (relative paths then start in the working folder).
        overrides: ``key.path=value`` texts.
        allow_systems: Names of systems that may start the programs that their cards or options name.
        quiet: Show no progress.

    Raises:
        ConfigError: when the suite is wrong.
        EmoBenchError: when it cannot be run at all.
    """
    suite = (
        suite_from_values(dict(config), base=Path(), overrides=_texts(overrides))
        if isinstance(config, Mapping)
        else load_suite(Path(config), _texts(overrides))
    )
    return _run(suite, quiet=quiet, allow_systems=_texts(allow_systems))


def score(
    generated: str | Path,
    reference: str | Path,
    *,
    metrics: str | Sequence[str] = DEFAULT_SCORE_METRICS,
    name: str | None = None,
    pattern: str = "{id}",
    length_tolerance_s: float | None = None,
    options: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> RunResult:
    """Scores videos that exist already against a manifest of ground truth.

    Args:
        generated: Folder with one video per clip, named after its id as ``data import`` names clips; see
            ``emo_bench.data.naming``. Files that fit no clip are listed, several for one clip are an error.
        reference: The manifest (JSONL).
        metrics: Protocols.
        name: Name of the run, and of its folder below ``runs``; ``score-`` and the folder's name when absent, so that a
            second system does not replace the first.
        pattern: Path below the folder without extension; ``{id}`` stands for the clip's id.
        length_tolerance_s: Seconds that a video may be longer (it is cut) or shorter (its last frame is held) than its
            audio; the default of ``videos`` systems when absent.
        options: More keys of a suite, for example ``{"execution": {"workers": 4}}``.
        quiet: Show no progress.
    """
    suite = suite_from_values(
        score_values(
            generated,
            reference,
            metrics=metrics,
            name=name,
            pattern=pattern,
            length_tolerance_s=length_tolerance_s,
            options=options,
        ),
        base=Path(),
    )
    return _run(suite, quiet=quiet)


def score_values(
    generated: str | Path,
    reference: str | Path,
    *,
    metrics: str | Sequence[str],
    name: str | None,
    pattern: str,
    length_tolerance_s: float | None = None,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The suite that ``score`` runs, as plain values."""
    # Places stay as they were given: they stand in the record, which is for others too.
    folder = Path(generated)
    name_of_system = _label(folder.absolute().name)
    system: dict[str, Any] = {"name": name_of_system, "kind": "videos", "folder": str(folder), "pattern": pattern}
    if length_tolerance_s is not None:
        system["length_tolerance_s"] = length_tolerance_s
    return {
        "name": name or f"score-{name_of_system}"[:64],
        "dataset": {"kind": "manifest", "manifest": str(Path(reference))},
        "systems": [system],
        # Finished videos went through an ordinary encoder, so the frozen anchor goes through one too.
        "anchors": [*DEFAULT_ANCHORS, "frozen_reencoded"],
        "metrics": list(_texts(metrics)),
        **(options or {}),
    }


def _texts(given: str | Collection[str]) -> Sequence[str]:
    """One text alone is one entry; its letters are none."""
    return (given,) if isinstance(given, str) else tuple(given)


def _label(name: str) -> str:
    plain = [letter if letter.isascii() and (letter.isalnum() or letter in "._+-") else "-" for letter in name]
    label = "".join(plain).strip("-._+")[:64] or "generated"
    return f"{label}-videos" if label in RESERVED_NAMES else label


def _run(suite: Suite, *, quiet: bool, allow_systems: Collection[str] = ()) -> RunResult:
    if getattr(current_process(), "_inheriting", False):  # a worker, while it imports the script that started it
        raise ConfigError(
            "the script that runs a suite was imported by a worker and would run it again",
            fix='put the call below `if __name__ == "__main__":`',
        )
    with display(quiet=quiet) as shown:
        record = run_suite(suite, display=shown, allow_systems=allow_systems)
    return RunResult(record, run_folder(suite))
