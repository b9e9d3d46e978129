"""Runs an audit from a suite: anchors as in any run, then the corruptions; the same call again computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emo_bench.audit.distortions import Corruption
from emo_bench.audit.evaluate import findings
from emo_bench.audit.result import FILES, AuditRecord, DistortionEntry, write_audit
from emo_bench.audit.work import corrupted_clips, run_corruptions
from emo_bench.data.sets.kind import open_dataset
from emo_bench.engine.context import RunContext
from emo_bench.engine.loading import check_before_work
from emo_bench.engine.pool import limit_threads
from emo_bench.record.store import RECORD_FILE
from emo_bench.runner.build_record import build_record
from emo_bench.runner.run import Stopwatch, alone_in, execute, spec_of
from emo_bench.runner.suite import Suite
from emo_bench.scoring.evaluate import evaluate
from emo_core.errors import ConfigError
from emo_core.hashing import digest_of
from emo_core.progress import Display, Silent


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
    update: dict[str, Any] = {
        "systems": (),
        "reference_set": None,
        "anchors": tuple(dict.fromkeys(("reencoded", *anchors))),
    }
    if metrics:
        update["metrics"] = tuple(dict.fromkeys(metrics))
    update["output"] = str(output) if output else f"runs/{suite.config.name}-audit"
    return replace(suite, config=suite.config.model_copy(update=update))


def run_audit(suite: Suite, chosen: Sequence[Corruption], *, display: Display | None = None) -> AuditRecord:
    """Makes, scores and judges every clip at every level of every corruption.

    Args:
        suite: From ``audit_suite_of``.
        chosen: The corruptions.
        display: Where progress is shown; nowhere when absent.

    Returns:
        The record, which also lies in the audit's folder with its tables and its figure.

    Raises:
        ConfigError: when the folder is that of a run, whose files an audit would replace.
        EmoBenchError: when the suite cannot be audited at all; a clip that fails is a status in the record.
        KeyboardInterrupt: every feature finished until then is kept.
    """
    folder = audit_folder(suite)
    if (folder / RECORD_FILE).exists():
        raise ConfigError(
            f"{folder} is the folder of a run",
            expected="a folder of its own, since an audit writes its features and samples where a run has them",
            found=RECORD_FILE,
            fix="give another folder with --output",
        )
    with alone_in(folder):
        return _run(suite, chosen, folder, display or Silent())


def _run(suite: Suite, chosen: Sequence[Corruption], folder: Path, display: Display) -> AuditRecord:
    from emo_bench.audit.figure import write_figure

    watch = Stopwatch()
    config = suite.config
    limit_threads(config.execution.workers)
    dataset = open_dataset(config, suite.base)
    spec = spec_of(suite, dataset.manifest.with_videos())
    context = RunContext(spec)
    for missing in check_before_work(context.loader):
        display.say(f"cannot audit {missing.protocol}: {missing.reason}")
    for name in FILES:  # an unfinished audit is never taken for an earlier one, and not every audit has a figure
        (folder / name).unlink(missing_ok=True)
    anchors, planned = execute(context, folder, display)
    good = sorted(outcome.unit.clip for outcome in anchors if outcome.unit.stage == "prepare" and outcome.clip)
    corrupted = run_corruptions(
        spec, corrupted_clips(context, chosen, good), workers=config.execution.workers, display=display
    )
    outcomes = [*anchors, *corrupted]
    display.stage("judge", 2 * len(context.loader.protocols))
    evaluation = evaluate(context, anchors, step=display.step)
    found = findings(context, outcomes, chosen, step=display.step)
    run = build_record(
        context,
        outcomes=outcomes,
        planned=[*planned, *(outcome.unit for outcome in corrupted)],
        evaluation=evaluation,
        timings=watch.timings(outcomes),
        config_given=suite.text,
        overrides=suite.overrides,
        dataset_name=dataset.name,
        synthetic=dataset.synthetic,
    )
    corruption_entries = tuple(_described(corruption) for corruption in chosen)
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
                "config": digest_of(
                    [run.digests.config, [entry.model_dump(mode="json") for entry in corruption_entries]]
                )
            }
        ),
        distortions=corruption_entries,
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


def _described(corruption: Corruption) -> DistortionEntry:
    kind = corruption.distortion
    return DistortionEntry(
        name=kind.name, title=kind.title, unit=kind.unit, levels=corruption.levels, version=kind.version
    )
