"""The sentences that stand around the numbers: coverage, warnings, legends; the same in every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emo_bench.engine.unit import GROUND_TRUTH
from emo_bench.record.columns import Column
from emo_bench.record.coverage import uneven_coverage
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import RunRecord
from emo_bench.report.tables import Table, is_contradicted, unavailable_protocols
from emo_core.text import counted

SYNTHETIC_NOTICE = (
    "Synthetic data: these clips were made by a program and show no real people. "
    "The numbers compare systems within this run; they stand for no result on real video."
)
MARK_LEGEND = {
    "best": "best, significantly better than every other system",
    "second": "second best, significantly better than the rest",
    "tie": "not distinguishable from the best",
}


@dataclass(frozen=True)
class FailureGroup:
    """Failures of the same kind."""

    code: str
    count: int
    systems: tuple[str, ...]
    example: str


def coverage_sentence(record: RunRecord) -> str:
    """How much of what was asked for exists, in one sentence."""
    counts = record.counts
    if counts.planned == 0:
        return "Nothing was planned: the suite has no clip to work on."
    missing = counts.planned - counts.done - counts.failed
    parts = [f"{counts.done} of {counts.planned} generated clips are complete"]
    if counts.failed:
        parts.append(f"{counts.failed} failed")
    if missing > 0:
        parts.append(f"{missing} were not reached")
    return ", ".join(parts) + "."


def failure_groups(record: RunRecord) -> tuple[FailureGroup, ...]:
    """Failures by status word, most frequent first."""
    counts = Counter(failure.code for failure in record.failures)
    groups = []
    for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        found = [failure for failure in record.failures if failure.code == code]
        systems = tuple(dict.fromkeys(failure.system for failure in found if failure.system))
        groups.append(FailureGroup(code, count, systems, found[0].reason))
    return tuple(groups)


def table_notes(record: RunRecord, table: Table) -> tuple[str, ...]:
    """What a reader must know to read a table: marks, intervals, small samples, what is not in it."""
    cells = [cell for row in table.rows for cell in row.cells]
    notes: list[str] = []
    levels = sorted({f"{100 * cell.level:g} %" for cell in cells if cell.level is not None})
    if levels:
        methods = "; ".join(sorted({cell.method for cell in cells if cell.level is not None}))
        shown = ", ".join(levels)
        notes.append(f"Brackets: {shown} confidence intervals ({methods}).")
    else:
        notes.append("There are too few clips for confidence intervals.")
    marks = {cell.mark for cell in cells}
    uneven = uneven_notes(record, table.columns)
    opposed = opposed_notes(record, table.columns)
    if "best" in marks or "tie" in marks:
        notes.append(
            "Marks rank systems under test only, within one protocol, by paired differences on the same clips, "
            "corrected for the number of comparisons."
        )
    elif sum(not system.anchor for system in record.systems) > 1 and not uneven and not opposed:
        notes.append("Nothing is marked as best: no paired difference could be tested.")
    notes += uneven
    notes += opposed
    notes += truth_notes(record, table.columns)
    watermarks = sorted({cell.watermark for cell in cells if cell.watermark})
    if watermarks:
        notes.append(watermark_note(watermarks))
    return (*notes, *clip_notes(record))


def watermark_note(watermarks: Sequence[str]) -> str:
    """What the dagger behind a number means."""
    return f"† Small sample ({', '.join(watermarks)}): do not quote such a value without saying so."


def truth_notes(record: RunRecord, columns: Sequence[Column]) -> list[str]:
    """What to know where clips have no ground truth, or whole sets are compared with a reference set."""
    notes = []
    wild = sum(not clip.ground_truth for clip in record.clips)
    if wild:
        share = "No clip has" if wild == len(record.clips) else f"{wild} of {len(record.clips)} clips have no"
        rest = "" if wild == len(record.clips) else "; values that need one, and its row, rest on the others"
        notes.append(f"{share}{' a' if wild == len(record.clips) else ''} ground truth (n/a: not applicable){rest}.")
        plain = [c.value.label for c in columns if c.value.direction == "closer_to_gt"]
        if plain and wild == len(record.clips):
            notes.append(f"Not ranked, since there is nothing to be close to: {', '.join(dict.fromkeys(plain))}.")
    reference = record.reference_set
    sets = [column.value.label for column in columns if column.protocol.granularity == "set"]
    if reference is not None and sets:
        size = f"{counted(reference.n_clips, 'clip')} of {counted(reference.n_identities, 'person', 'people')}"
        notes.append(
            f"{', '.join(dict.fromkeys(sets))}: against the reference set {reference.name} ({size}), not against each "
            "clip's ground truth."
        )
    return notes


def clip_notes(record: RunRecord) -> tuple[str, ...]:
    """What was corrected or assumed in the clips, a sentence for each system; of anchors only what concerns all."""
    anchors = {system.name for system in record.systems if system.anchor} - {GROUND_TRUTH}
    grouped: dict[str, list[str]] = {}
    for entry in record.notes:
        if entry.system in anchors:
            continue
        grouped.setdefault(entry.system, []).append(f"{entry.text} ({counted(len(entry.clips), 'clip')})")
    return tuple(f"Clips of {system}: {'; '.join(texts)}." for system, texts in grouped.items())


def uneven_notes(record: RunRecord, columns: Sequence[Column]) -> list[str]:
    """Which values are not ranked because systems were scored on unequal clips or frames, and what to do."""
    uneven = {column.value.label: text for column in columns if (text := uneven_coverage(record, column))}
    if not uneven:
        return []
    shown = next(iter(uneven.values()))
    return [
        f"Not ranked: {', '.join(uneven)}. The systems' numbers rest on unequal shares ({shown}), and what is missing "
        "is seldom an ordinary clip; `emo-bench report --common` compares on what all systems have."
    ]


def opposed_notes(record: RunRecord, columns: Sequence[Column]) -> list[str]:
    """Which values are not ranked because another system than the one with the best value is better clip by clip."""
    opposed = [c.value.label for c in columns if not uneven_coverage(record, c) and is_contradicted(record, c)]
    if not opposed:
        return []
    return [
        f"Not ranked: {', '.join(dict.fromkeys(opposed))}. Another system than the one with the best value is "
        "significantly better clip by clip, where too much and too little do not cancel out."
    ]


def run_warnings(run: RunData) -> tuple[str, ...]:
    """What limits the run as a whole, most serious first."""
    record = run.record
    warnings: list[str] = []
    if record.status != "complete":
        warnings.append(f"The run is {record.status}; values rest on what was finished.")
    failed_clips = [clip for clip in record.clips if clip.status == "failed"]
    if failed_clips:
        reasons = ", ".join(f"{code} ×{n}" for code, n in sorted(Counter(clip.code for clip in failed_clips).items()))
        warnings.append(f"{len(failed_clips)} of {len(record.clips)} clips could not be prepared ({reasons}).")
    if record.clips and len(record.clips) == 1:
        warnings.append("There is one clip: no interval, comparison or ranking can be given.")
    warnings.extend(
        f"{protocol.name} was not computed: {protocol.reason or 'no reason was recorded'}."
        for protocol in unavailable_protocols(record)
    )
    failing = [check for check in record.checks if check.verdict == "fail"]
    if failing:
        names = ", ".join(sorted({check.protocol for check in failing}))
        warnings.append(f"Some metrics do not order the anchors as they must on this data: {names}.")
    weights = [entry for protocol in record.protocols for entry in protocol.weights if entry.non_commercial]
    if weights:
        files = ", ".join(sorted({entry.file for entry in weights}))
        warnings.append(f"Some weights forbid commercial use: {files}.")
    return (*warnings, *run.notes)


def run_stats(record: RunRecord) -> list[dict[str, str]]:
    """The few numbers that describe a run at a glance."""
    usable = sum(clip.status == "ok" for clip in record.clips)
    people = len({clip.identity for clip in record.clips})
    tested = sum(not system.anchor for system in record.systems)
    computed = sum(protocol.status == "ok" for protocol in record.protocols)
    verdicts = [check.verdict for check in record.checks]
    judged = sum(verdict in ("pass", "fail", "tie") for verdict in verdicts)

    def stat(label: str, value: object, note: str, of: object = "") -> dict[str, str]:
        return {"label": label, "value": str(value), "of": "" if of == value else str(of), "note": note}

    stats = [
        stat(
            "Clips",
            usable,
            f"{counted(people, 'person', 'people')}, {record.dataset_name}",
            len(record.clips),
        ),
        stat("Systems", tested, f"and {counted(len(record.systems) - tested, 'anchor')}"),
        stat("Protocols", computed, "computed", len(record.protocols)),
        stat("Generated clips", record.counts.done, "complete", record.counts.planned),
    ]
    if verdicts:
        stats.append(stat("Anchor checks", verdicts.count("pass"), "pass, of those that apply", judged))
    return [*stats, stat("Time", duration(record.timings.seconds), f"on {record.provenance.device}")]


def duration(seconds: float) -> str:
    """Seconds as people write them.

    >>> duration(161.0), duration(12.3), duration(7300)
    ('2 min 41 s', '12.3 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"
