"""Makes a record again in a fresh folder with a store of its own, and compares."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emo_bench.record.proof import write_proof
from emo_bench.record.provenance import provenance
from emo_bench.record.run_data import UNSEALED, RunData, load_run
from emo_bench.record.store import record_path
from emo_bench.reproduce.agreement import DEFAULT_TOLERANCE, compare_records
from emo_bench.reproduce.environment import environment_changes
from emo_bench.reproduce.original import Original, open_original
from emo_bench.reproduce.outcome import JSON_FILE, Reproduction, write_reproduction
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import Suite
from emo_core.atomic import write_json
from emo_core.errors import ConfigError
from emo_core.hashing import sha256_file
from emo_core.progress import Display
from emo_core.text import file_name

SOURCE_FILE = "source.json"


def reproduce(
    run: Path,
    *,
    output: Path | None = None,
    bases: Sequence[Path] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    workers: int | None = None,
    device: str | None = None,
    inference: str | None = None,
    allow_systems: Collection[str] = (),
    display: Display | None = None,
) -> Reproduction:
    """Makes a run again from its record and says how far the numbers agree.

    Nothing is taken from a store of earlier runs. The outcome also lies as JSON and Markdown in the folder.

    Args:
        run: The run's folder or its record.
        output: Folder of the new run; ``runs/reproduced/<name>-<start of the record's digest>`` when absent. It must
            not hold a finished reproduction; an interrupted one is continued.
        bases: Folders that relative paths of the suite may start from; the working folder, ``configs/suites`` and the
            run's own folder when absent.
        tolerance: Relative difference that still counts as equal; 0 asks for equality to the bit.
        workers: Worker processes; as recorded when absent.
        device: Device of the networks; as recorded when absent.
        inference: What computes Inception, I3D and LPIPS; as recorded when absent, but ``torch`` on another device than
            the processor.
        allow_systems: Names of systems that may start the program that the record names; a record may be anyone's.
        display: Where progress is shown.

    Raises:
        RecordError: when the record cannot be read.
        ConfigError: when the folder of the new run is taken.
    """
    before = load_run(run)
    path = record_path(run)
    digest = sha256_file(path)
    folder = output or Path("runs/reproduced") / f"{file_name(before.record.name)}-{digest[:8]}"
    _claim(folder, digest)
    blank = Reproduction(
        outcome="cannot",
        name=before.record.name,
        record=str(path),
        record_sha256=digest,
        folder=None,
        tolerance=tolerance,
    )
    original = Original(None, before.damage)
    if not before.damage:
        original = open_original(before.record, bases=bases or default_bases(path.parent), allow_systems=allow_systems)
    if original.suite is None or original.problems:
        here = provenance(device=before.record.provenance.device, folder=Path())
        changes = environment_changes(before.record.provenance, here)
        found = replace(blank, problems=original.problems, environment=changes)
    else:
        record = run_suite(
            _fresh(original.suite, folder, workers=workers, device=device, inference=inference),
            display=display,
            allow_systems=allow_systems,
        )
        found = _compared(blank, before, load_run(folder / "run"), tolerance, folder)
        found = replace(found, seconds=record.timings.seconds)
    write_reproduction(found, folder)
    if found.agreement is not None and found.agreement.equal:
        write_proof(folder, path, folder / "run", exact=found.agreement.exact, tolerance=tolerance)
    return found


def default_bases(folder: Path) -> tuple[Path, ...]:
    """Where relative paths of a suite are looked for: here, beside the shipped suites, beside the run."""
    return (Path(), Path("configs/suites"), folder)


def _compared(blank: Reproduction, before: RunData, after: RunData, tolerance: float, folder: Path) -> Reproduction:
    agreement = compare_records(before, after, tolerance=tolerance)
    if before.unsealed:
        agreement = replace(agreement, notes=(*agreement.notes, UNSEALED))
    return replace(
        blank,
        outcome="exact" if agreement.exact else "equal" if agreement.equal else "different",
        folder=str(folder / "run"),
        agreement=agreement,
        environment=environment_changes(before.record.provenance, after.record.provenance),
    )


def _claim(folder: Path, digest: str) -> None:
    """Takes a folder for this record; an interrupted reproduction of the same record is continued there.

    Raises:
        ConfigError: when it holds something else, or a finished reproduction.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is no folder", expected="a fresh folder", fix="choose another one with --output")
    source = folder / SOURCE_FILE
    if _read(source) == {"record_sha256": digest}:
        # What was written when it could not be made does not finish it.
        if _read(folder / JSON_FILE).get("outcome", "cannot") != "cannot" and (folder / "run").exists():
            raise ConfigError(
                f"{folder} holds a finished reproduction of this record",
                expected="a fresh folder, so that nothing is reused",
                fix="delete it, or choose another one with --output",
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", expected="a fresh folder", fix="choose another one with --output")
    write_json(source, {"record_sha256": digest})


def _read(path: Path) -> dict[str, Any]:
    """The values of a JSON file; none when it is missing or is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _fresh(suite: Suite, folder: Path, *, workers: int | None, device: str | None, inference: str | None) -> Suite:
    execution: dict[str, object] = {}
    if inference is not None:
        execution["inference"] = inference
    elif device not in (None, "cpu"):
        execution["inference"] = "torch"  # the other engine knows processors only
    if suite.config.execution.engine == "ray" and find_spec("ray") is None:
        execution["engine"] = "local"  # the same units give the same numbers
    if workers is not None:
        execution["workers"] = workers
    if device is not None:
        execution["device"] = device
    config = suite.config.model_copy(
        update={
            "output": str(folder / "run"),
            "store": str(folder / "store"),
            "execution": suite.config.execution.model_copy(update=execution),
            # Images for people are no part of the numbers.
            "report": suite.config.report.model_copy(update={"previews": False}),
        }
    )
    return replace(suite, config=config)
