"""Runs an audit from a suite: anchors as in any run, then the ladders; the same call again computes nothing."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emo_bench.audit.distortions import Ladder
from emo_bench.audit.evaluate import findings
from emo_bench.audit.result import AuditRecord, DistortionEntry, write_audit
from emo_bench.audit.work import climb, rungs
from emo_bench.config.suite import Suite
from emo_bench.core.hashing import digest_of
from emo_bench.data.datasets import open_dataset
from emo_bench.engine.context import RunContext, RunSpec, check_before_work
from emo_bench.engine.plan import other_units, truth_units
from emo_bench.engine.pool import limit_threads, run_units
from emo_bench.engine.progress import Display, Silent
from emo_bench.engine.ray_engine import run_units_on_ray
from emo_bench.engine.run import RunFolderBusyError
from emo_bench.engine.units import Outcome, Unit
from emo_bench.record.build import build_record
from emo_bench.record.schema import Timings
from emo_bench.scoring.evaluate import evaluate


def audit_folder(suite: Suite) -> Path:
    """Where the audit's files go."""
    return Path(suite.config.output or f"runs/{suite.config.name}-audit")


def audit_suite_of(suite: Suite, *, metrics: Sequence[str] = (), output: Path | None = None) -> Suite:
    """The part of a suite that an audit looks at: its data, its anchors and its protocols, but no systems.

    The re-encoded ground truth is always there, since it is what 'nothing' means to many protocols.

    Raises:
        ConfigError: for unknown protocols.
    """
    from emo_bench.extract.catalogue import load_catalogues
    from emo_bench.extract.catalogue import metrics as known

    load_catalogues()
    for name in metrics:
        known.target(name)
    anchors = suite.config.anchors
    update: dict[str, Any] = {"systems": (), "anchors": tuple(dict.fromkeys(("reencoded", *anchors)))}
    if metrics:
        update["metrics"] = tuple(dict.fromkeys(metrics))
    update["output"] = str(output) if output else f"runs/{suite.config.name}-audit"
    return replace(suite, config=suite.config.model_copy(update=update))


def run_audit(suite: Suite, chosen: Sequence[Ladder], *, display: Display | None = None) -> AuditRecord:
    """Makes, scores and judges every clip at every level of every ladder.

    Args:
        suite: From ``audit_suite_of``.
        chosen: The ladders.
        display: Where progress is shown; nowhere when absent.

    Returns:
        The record, which also lies in the audit's folder with its tables and its figure.

    Raises:
        EmoBenchError: when the suite cannot be audited at all; a clip that fails is a status in the record.
        KeyboardInterrupt: every feature finished until then is kept.
    """
    from filelock import FileLock, Timeout

    folder = audit_folder(suite)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            return _run(suite, chosen, folder, display or Silent())
    except Timeout:
        raise RunFolderBusyError(
            f"another audit works in {folder}", fix="wait for it, or choose another folder with --output"
        ) from None


def _run(suite: Suite, chosen: Sequence[Ladder], folder: Path, display: Display) -> AuditRecord:
    from emo_bench.audit.figure import write_figure

    started, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
    config = suite.config
    limit_threads(config.execution.workers)
    dataset = open_dataset(config, suite.base)
    spec = RunSpec(
        config=config,
        base=suite.base,
        manifest_root=dataset.manifest.root,
        entries=dataset.manifest.entries,
        store=Path(config.store),
    )
    context = RunContext(spec)
    for missing in check_before_work(context):
        display.say(f"cannot audit {missing.protocol}: {missing.reason}")
    anchors, planned = _anchors(context, display)
    good = sorted(outcome.unit.clip for outcome in anchors if outcome.unit.stage == "prepare" and outcome.clip)
    climbed = climb(spec, rungs(context, chosen, good), workers=config.execution.workers, display=display)
    outcomes = [*anchors, *climbed]
    display.stage("judge", 2 * len(context.protocols))
    evaluation = evaluate(context, anchors, step=display.step)
    found = findings(context, outcomes, chosen, step=display.step)
    run = build_record(
        context,
        outcomes=outcomes,
        planned=[*planned, *(outcome.unit for outcome in climbed)],
        evaluation=evaluation,
        timings=Timings(
            started=started.isoformat(timespec="seconds"),
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - clock, 3),
            by_stage=_seconds(outcomes),
            units_computed=sum(outcome.computed for outcome in outcomes),
            units_reused=sum(outcome.reused for outcome in outcomes),
        ),
        config_given=suite.text,
        overrides=suite.overrides,
        dataset_name=dataset.name,
        synthetic=dataset.synthetic,
    )
    ladder_entries = tuple(_described(ladder) for ladder in chosen)
    record = AuditRecord(
        status="complete" if run.status == "complete" else "incomplete",
        name=config.name,
        dataset_name=dataset.name,
        synthetic=dataset.synthetic,
        n_clips=len(good),
        n_identities=len({context.entries[clip].identity for clip in good}),
        level=config.statistics.level,
        digests=run.digests.model_copy(
            update={
                "config": digest_of([run.digests.config, [entry.model_dump(mode="json") for entry in ladder_entries]])
            }
        ),
        distortions=ladder_entries,
        protocols=run.protocols,
        findings=tuple(found),
        anchors=run.checks,
        failures=run.failures,
        provenance=run.provenance,
        timings=run.timings,
    )
    write_audit(folder, record)
    write_figure(folder, record)
    return record


def _described(ladder: Ladder) -> DistortionEntry:
    kind = ladder.distortion
    return DistortionEntry(name=kind.name, title=kind.title, unit=kind.unit, levels=ladder.levels, version=kind.version)


def _anchors(context: RunContext, display: Display) -> tuple[list[Outcome], list[Unit]]:
    """Ground truths first, since everything else is made from them; then the other anchors."""
    from emo_bench.data.manifest import Manifest

    truths = truth_units(context)
    outcomes = _stage(context, "prepare", truths, display)
    causes: Mapping[str, Outcome] = {outcome.unit.clip: outcome for outcome in outcomes if outcome.clip is None}
    kept = [entry for entry in context.manifest.entries if entry.id not in causes]
    rest = other_units(context, Manifest(context.manifest.root, kept))
    for unit in rest:
        if unit.clip in causes:
            cause = causes[unit.clip]
            outcomes.append(Outcome(unit, code=cause.code, reason=cause.reason, stage="prepare"))
    outcomes += _stage(context, "anchors", [unit for unit in rest if unit.clip not in causes], display)
    return outcomes, [*truths, *rest]


def _stage(context: RunContext, name: str, units: Sequence[Unit], display: Display) -> list[Outcome]:
    display.stage(name, len(units))
    execution = context.config.execution
    engine = run_units_on_ray if execution.engine == "ray" else run_units
    outcomes = []
    for outcome in engine(context.spec, units, workers=execution.workers, timeout_s=execution.unit_timeout_s):
        outcomes.append(outcome)
        display.step(f"{outcome.unit.system} {outcome.unit.clip}")
        if outcome.code != "ok":
            display.say(f"{outcome.unit.system} / {outcome.unit.clip}: {outcome.code}: {outcome.reason}")
    return sorted(outcomes, key=lambda outcome: outcome.unit)


def _seconds(outcomes: Sequence[Outcome]) -> dict[str, float]:
    total: dict[str, float] = {}
    for outcome in outcomes:
        for stage, seconds in (outcome.seconds or {}).items():
            total[stage] = total.get(stage, 0.0) + seconds
    return {name: round(seconds, 3) for name, seconds in sorted(total.items())}
