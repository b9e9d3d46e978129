"""Runs a suite from data to report; the same call again computes only what is missing."""

from __future__ import annotations

import datetime
import json
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from emo_bench.config.schema import REFERENCE_SET
from emo_bench.data.manifest import Manifest
from emo_bench.data.sets.kind import OpenedDataset, open_dataset
from emo_bench.engine.context import RunContext
from emo_bench.engine.loading import check_before_work
from emo_bench.engine.plan import other_units, truth_units
from emo_bench.engine.pool import limit_threads, run_units
from emo_bench.engine.ray_engine import run_units_on_ray
from emo_bench.engine.spec import RunSpec
from emo_bench.engine.unit import GROUND_TRUTH, Outcome, Unit
from emo_bench.record.clip_facts import ClipFacts, write_clip_facts
from emo_bench.record.rows import write_rows
from emo_bench.record.schema import RunRecord, Timings
from emo_bench.record.seal import sealed
from emo_bench.record.set_samples import write_set_samples
from emo_bench.record.store import remove_record, write_record
from emo_bench.record.unit_times import JOURNAL_FILE, PROGRESS_FILE
from emo_bench.runner.build_record import build_record
from emo_bench.runner.clip_facts import facts_of
from emo_bench.runner.permission import check_programs
from emo_bench.runner.reference_set import PreparedReference, open_reference, prepare_reference
from emo_bench.runner.suite import Suite
from emo_bench.scoring.evaluate import evaluate
from emo_bench.scoring.series import write_series
from emo_core.atomic import sweep_orphans, write_json
from emo_core.errors import EmoBenchError
from emo_core.progress import Display, Silent


class RunFolderBusyError(EmoBenchError):
    """Another process works in the run's folder."""

    code = "busy"


def run_folder(suite: Suite) -> Path:
    """Where the run's files go."""
    return Path(suite.config.output or f"runs/{suite.config.name}")


def spec_of(suite: Suite, manifest: Manifest) -> RunSpec:
    """The run as plain values."""
    return RunSpec(
        config=suite.config,
        base=suite.base,
        manifest_root=manifest.root,
        entries=manifest.entries,
        store=Path(suite.config.store),
    )


def run_suite(suite: Suite, *, display: Display | None = None, allow_systems: Collection[str] = ()) -> RunRecord:
    """Makes, scores and records everything in a suite.

    Args:
        suite: From ``load_suite``.
        display: Where progress is shown; nowhere when absent.
        allow_systems: Names of systems that may start programs of the suite's own folder.

    Returns:
        The record, which also lies in the run's folder beside the per-clip rows and the report.

    Raises:
        EmoBenchError: when the suite cannot be run at all; a clip that fails is a status in the record.
        KeyboardInterrupt: everything finished until then is kept.
    """
    check_programs(suite, allow_systems)
    folder = run_folder(suite)
    with alone_in(folder):
        return _run(suite, folder, display or Silent())


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Makes a folder and keeps other processes out of it.

    Raises:
        RunFolderBusyError: when another process works there.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunFolderBusyError(
            f"another process works in {folder}", fix="wait for it, or choose another folder with --output"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _run(suite: Suite, folder: Path, display: Display) -> RunRecord:
    from emo_bench.report import write_report
    from emo_bench.runner.previews import remove_previews, write_previews

    watch = Stopwatch()
    limit_threads(suite.config.execution.workers)
    dataset = _open(suite, display)
    context = RunContext(spec_of(suite, dataset.manifest))
    for missing in check_before_work(context.loader):
        display.say(f"cannot compute {missing.protocol}: {missing.reason}")
    for name, kind in context.loader.systems.items():
        for notice in kind.notices(context.loader.system_context):
            display.say(f"{name}: {notice}")
    remove_record(folder)
    _sweep(suite, folder)
    named = open_reference(suite)
    outcomes, planned = execute(context, folder, display)
    reference = _reference(suite, named, context, folder, display)
    display.stage("score", len(context.loader.protocols))
    evaluation = evaluate(context, outcomes, step=display.step, reference=reference.scoring if reference else None)
    record = build_record(
        context,
        outcomes=outcomes,
        planned=planned,
        evaluation=evaluation,
        timings=watch.timings([*outcomes, *(reference.outcomes if reference else ())]),
        config_given=suite.text,
        overrides=suite.overrides,
        dataset_name=dataset.name,
        synthetic=dataset.synthetic or (named is not None and named.synthetic),
        reference=reference,
    )
    write_rows(folder, evaluation.rows)
    write_set_samples(folder, evaluation.samples)
    write_series(context, outcomes, folder)
    write_clip_facts(folder, _clip_facts(context, outcomes))
    if suite.config.report.previews:
        write_previews(context, outcomes, folder, display)
    else:
        remove_previews(folder)  # they would show an earlier run's clips beside these numbers
    _sweep(suite, folder)  # of workers that were stopped
    # The record comes last: it lists everything else, and where it lies the run is finished.
    record = sealed(record, folder)
    write_record(folder, record)
    (folder / PROGRESS_FILE).unlink(missing_ok=True)
    display.stage("report", 1)
    write_report(folder)
    display.step()
    return record


def _reference(
    suite: Suite, named: OpenedDataset | None, context: RunContext, folder: Path, display: Display
) -> PreparedReference | None:
    def stage(own: RunContext, units: Sequence[Unit]) -> list[Outcome]:
        return _stage(own, "reference", units, folder, display, label=REFERENCE_SET)

    return None if named is None else prepare_reference(suite, named, context, stage)


def _sweep(suite: Suite, folder: Path) -> None:
    """Deletes what killed runs and stopped workers left half-written."""
    # By the mark of their process only: a suite may name any folder as its output.
    sweep_orphans(folder)
    sweep_orphans(Path(suite.config.store))
    sweep_orphans(Path(tempfile.gettempdir()), deep=False)


def _open(suite: Suite, display: Display) -> OpenedDataset:
    begun = False

    def progress(done: int, total: int, text: str) -> None:
        nonlocal begun
        if not begun:
            display.stage("data", total)
            begun = True
        if done:
            display.step(text)

    return open_dataset(suite.config, suite.base, progress=progress)


def execute(context: RunContext, folder: Path, display: Display) -> tuple[list[Outcome], list[Unit]]:
    """Does all units of a run: ground truths first, since every other unit needs them; then the rest in any order.

    Returns:
        The outcomes and everything that was planned; each finished unit is a line of the folder's journal.
    """
    truths = truth_units(context)
    outcomes = _stage(context, "prepare", truths, folder, display)
    good = {outcome.unit.clip for outcome in outcomes if outcome.clip is not None}
    pool = Manifest(context.manifest.root, [entry for entry in context.manifest.entries if entry.id in good])
    rest = other_units(context, pool)
    outcomes += [_without_truth(unit, outcomes) for unit in rest if unit.clip not in good]
    outcomes += _stage(context, "generate", [unit for unit in rest if unit.clip in good], folder, display)
    return outcomes, [*truths, *rest]


def _without_truth(unit: Unit, outcomes: Sequence[Outcome]) -> Outcome:
    cause = next(outcome for outcome in outcomes if outcome.unit.clip == unit.clip)
    return Outcome(unit, code=cause.code, reason=cause.reason, stage="prepare")


def _stage(
    context: RunContext, name: str, units: Sequence[Unit], folder: Path, display: Display, *, label: str | None = None
) -> list[Outcome]:
    display.stage(name, len(units))
    execution = context.config.execution
    engine = run_units_on_ray if execution.engine == "ray" else run_units
    outcomes = []
    journal_path = folder / JOURNAL_FILE
    # For whoever looks on: the journal's lines from here on belong to this stage.
    begun = _closed(journal_path)
    write_json(folder / PROGRESS_FILE, {"stage": name, "total": len(units), "journal_from": begun})
    with journal_path.open("a", encoding="utf-8") as journal:
        for outcome in engine(context.spec, units, workers=execution.workers, timeout_s=execution.unit_timeout_s):
            outcomes.append(outcome)
            journal.write(_journal_line(outcome, label or outcome.unit.system))
            journal.flush()
            display.step(f"{label or outcome.unit.system} {outcome.unit.clip}")
            for told in outcome.new_faults(context.told):
                display.say(told)
            if outcome.damaged:
                display.say(f"stored files were damaged and made again: {', '.join(outcome.damaged)}")
            if outcome.code != "ok":
                display.say(f"{label or outcome.unit.system} / {outcome.unit.clip}: {outcome.code}: {outcome.reason}")
    order = {unit: position for position, unit in enumerate(units)}
    return sorted(outcomes, key=lambda outcome: order[outcome.unit])


def _closed(journal: Path) -> int:
    """The size of a journal whose last line is whole; half a line, of a full disk for example, gets its end."""
    with journal.open("ab+") as stream:
        if size := stream.tell():
            stream.seek(size - 1)
            if stream.read() != b"\n":
                stream.write(b"\n")
                return size + 1
        return size


def _journal_line(outcome: Outcome, system: str) -> str:
    entry = {
        "at": _now(),
        "system": system,
        "clip": outcome.unit.clip,
        "seed": outcome.unit.seed,
        "code": outcome.code,
        "reason": outcome.reason,
        "clip_key": outcome.clip.key if outcome.clip else None,
        "computed": outcome.computed,
        "reused": outcome.reused,
        "damaged": list(outcome.damaged),
        "seconds": {name: round(value, 3) for name, value in (outcome.seconds or {}).items()},
    }
    return json.dumps(entry, ensure_ascii=True) + "\n"


class Stopwatch:
    """Started when a run starts; says how long it took and what for."""

    def __init__(self) -> None:
        self._started, self._clock = _now(), time.perf_counter()

    def timings(self, outcomes: Sequence[Outcome]) -> Timings:
        """From the start until now, with the seconds that the units report."""
        by_stage: Counter[str] = Counter()
        for outcome in outcomes:
            by_stage.update(outcome.seconds or {})
        return Timings(
            started=self._started,
            finished=_now(),
            seconds=round(time.perf_counter() - self._clock, 3),
            by_stage={name: round(seconds, 3) for name, seconds in sorted(by_stage.items())},
            units_computed=sum(outcome.computed for outcome in outcomes),
            units_reused=sum(outcome.reused for outcome in outcomes),
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _clip_facts(context: RunContext, outcomes: Sequence[Outcome]) -> list[ClipFacts]:
    """Style and face region of every prepared clip, for the report's images."""
    return [
        facts_of(context.entries[outcome.unit.clip], outcome.clip)
        for outcome in outcomes
        if outcome.unit.system == GROUND_TRUTH and outcome.clip is not None
    ]
