"""Several runs as one table where that is fair, and as separate blocks with the reason where it is not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emo_bench.compare.join_comparisons import joint_comparisons
from emo_bench.compare.terms import other_protocol
from emo_bench.record.columns import columns_of
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import (
    AnchorCheck,
    Counts,
    FailureEntry,
    NoteEntry,
    ProtocolEntry,
    RunRecord,
    SystemEntry,
    Timings,
    ValueEntry,
)
from emo_core.hashing import digest_of

SAME = 1e-9
"""Relative difference up to which two values of the same system are the same."""


@dataclass(frozen=True)
class Block:
    """Runs whose systems stand in one table.

    Attributes:
        run: The runs as one.
        why: Why they are not in the first table; empty for the first.
    """

    run: RunData
    why: str = ""


def join_runs(runs: Sequence[RunData]) -> tuple[Block, ...]:
    """Puts runs together that measured the same clips under the same protocols.

    Args:
        runs: At least one; the first decides what the first table holds.
    """
    groups: list[list[tuple[str, RunData]]] = []
    why: list[str] = []
    for label, run in zip(run_labels(runs), runs, strict=True):
        reasons = [incompatibility(group[0][1].record, run.record) for group in groups]
        place = next((index for index, reason in enumerate(reasons) if not reason), None)
        if place is None:
            groups.append([(label, run)])
            why.append(reasons[0] if reasons else "")
        else:
            groups[place].append((label, run))
    return tuple(Block(_joined(group), reason) for group, reason in zip(groups, why, strict=True))


def run_labels(runs: Sequence[RunData]) -> list[str]:
    """A name for each run: the suite's; with the folder's where that is not enough; numbered where nothing is.

    >>> run_labels([])
    []
    """
    names = [run.record.name for run in runs]
    if len(set(names)) < len(names):
        names = [run.folder.resolve().name if run.folder is not None else run.record.name for run in runs]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} #{index}" for index, name in enumerate(names, start=1)]


def incompatibility(a: RunRecord, b: RunRecord) -> str:
    """Why two runs cannot share a table, in a sentence; empty when they can."""
    if a.digests.dataset != b.digests.dataset:
        return (
            f"another data set: {b.dataset_name} ({b.digests.dataset[:12]}) instead of {a.dataset_name} "
            f"({a.digests.dataset[:12]})"
        )
    clips = [{clip.id: (clip.status, clip.n_frames, clip.width, clip.height) for clip in r.clips} for r in (a, b)]
    if clips[0] != clips[1]:
        unequal = sorted(id_ for id_ in {*clips[0], *clips[1]} if clips[0].get(id_) != clips[1].get(id_))
        return f"another list of clips: {len(unequal)} differ, the first is {unequal[0]}"
    for key, words in (("media", "other frame rate, size or audio"), ("seeds", "another list of seeds")):
        if a.config.get(key) != b.config.get(key):
            return f"{words}: {b.config.get(key)} instead of {a.config.get(key)}"
    protocols = {protocol.name: protocol for protocol in a.protocols}
    shared = [(protocols[protocol.name], protocol) for protocol in b.protocols if protocol.name in protocols]
    if not shared:
        return "no protocol in common"
    for one, other in shared:
        computed = one.status == other.status == "ok"
        # What could not be computed in one of them may have had no weights there.
        differs = other_protocol(one, other) if computed else "values" if one.values != other.values else ""
        if differs:
            return f"{one.name} is not the same in both runs (other {differs})"
    return ""


def _joined(group: Sequence[tuple[str, RunData]]) -> RunData:
    """The runs of a group as one; the systems of each keep their order."""
    if len(group) == 1:
        return group[0][1]
    renamed = _renamed(group)
    runs = [_with_names(run, names) for (_, run), names in zip(group, renamed, strict=True)]
    first = runs[0].record
    systems = {system.name: system for run in runs for system in run.record.systems}
    owner = {system.name: place for place, run in reversed(list(enumerate(runs))) for system in run.record.systems}
    records = [run.record for run in runs]
    shared = _protocols(records)
    record = first.model_copy(
        update={
            "status": next((r.status for r in records if r.status != "complete"), "complete"),
            "name": " + ".join(label for label, _ in group),
            "title": " + ".join(dict.fromkeys(r.title or r.name for r in records)),
            "description": f"{len(group)} runs on the same clips in one table.",
            "config_given": "\n".join(f"# {label}\n{run.record.config_given}" for label, run in group),
            "config": {**first.config, "runs": {label: run.record.config for label, run in group}},
            "digests": first.digests.model_copy(update={"config": digest_of([r.digests.config for r in records])}),
            "overrides": tuple(dict.fromkeys(text for r in records for text in r.overrides)),
            "systems": tuple(systems.values()),
            "protocols": shared,
            "values": _values(group, records, shared, owner),
            "comparisons": joint_comparisons(runs, owner),
            "checks": _first_of_each(records),
            "failures": tuple(f for place, r in enumerate(records) for f in r.failures if _owns(owner, f, place)),
            "notes": tuple(dict.fromkeys(note for r in records for note in r.notes)),
            "counts": _counts(records, owner),
            "timings": _timings(records),
        }
    )
    return RunData(
        record=record,
        rows=tuple(row for place, run in enumerate(runs) for row in run.rows if owner.get(row.system) == place),
        series=tuple(item for place, run in enumerate(runs) for item in run.series if owner.get(item.system) == place),
        previews=tuple(p for place, run in enumerate(runs) for p in run.previews if owner.get(p.system) == place),
        facts=tuple({item.clip: item for run in reversed(runs) for item in run.facts}.values()),
        unit_times=tuple(t for place, run in enumerate(runs) for t in run.unit_times if owner.get(t.system) == place),
        notes=(
            _who_is_where(group, renamed),
            *_software(group),
            *dict.fromkeys(f"{label}: {note}" for label, run in group for note in run.notes),
        ),
    )


def _owns(owner: dict[str, int], failure: FailureEntry, place: int) -> bool:
    return owner.get(failure.system, place) == place


def _renamed(group: Sequence[tuple[str, RunData]]) -> list[dict[str, str]]:
    """Old name -> new name for each run: systems that are the same share a name, others of one name get their run's."""
    names: dict[str, list[int]] = {}
    for place, (_, run) in enumerate(group):
        for system in run.record.systems:
            names.setdefault(system.name, []).append(place)
    found: list[dict[str, str]] = [{} for _ in group]
    for name, places in names.items():
        first = group[places[0]][1]
        same = all(_is_same(first, group[place][1], name) for place in places[1:])
        for place in places:
            found[place][name] = name if same else f"{name} ({group[place][0]})"
    return found


def _is_same(a: RunData, b: RunData, name: str) -> bool:
    """Whether both runs hold one system: the ground truth, or one of equal digest with equal values."""
    one, other = (next(s for s in run.record.systems if s.name == name) for run in (a, b))
    if one.kind == other.kind == "ground_truth":
        return True
    if one.digest != other.digest or one.anchor != other.anchor:
        return False
    values = [{(v.protocol, v.key): v.value for v in r.record.values if v.system == name} for r in (a, b)]
    return all(_equal(values[0][place], values[1][place]) for place in values[0].keys() & values[1].keys())


def _equal(a: float | None, b: float | None) -> bool:
    return a == b if a is None or b is None else math.isclose(a, b, rel_tol=SAME, abs_tol=SAME)


def _with_names(run: RunData, names: dict[str, str]) -> RunData:
    if all(old == new for old, new in names.items()):
        return run
    record = run.record

    def turned(item: SystemEntry | ValueEntry | FailureEntry | NoteEntry, field: str) -> dict[str, str]:
        old = getattr(item, field)
        return {field: names.get(old, old)}

    return replace(
        run,
        record=record.model_copy(
            update={
                "systems": tuple(s.model_copy(update=turned(s, "name")) for s in record.systems),
                "values": tuple(v.model_copy(update=turned(v, "system")) for v in record.values),
                "failures": tuple(f.model_copy(update=turned(f, "system")) for f in record.failures),
                "notes": tuple(n.model_copy(update=turned(n, "system")) for n in record.notes),
                "comparisons": tuple(
                    c.model_copy(update={side: names.get(getattr(c, side), "") for side in ("system_a", "system_b")})
                    for c in record.comparisons
                ),
                "checks": tuple(
                    c.model_copy(
                        update={side: names.get(getattr(c, side), getattr(c, side)) for side in ("better", "worse")}
                    )
                    for c in record.checks
                ),
            }
        ),
        rows=tuple(replace(row, system=names.get(row.system, row.system)) for row in run.rows),
        series=tuple(replace(item, system=names.get(item.system, item.system)) for item in run.series),
        previews=tuple(replace(item, system=names.get(item.system, item.system)) for item in run.previews),
        unit_times=tuple(replace(item, system=names.get(item.system, item.system)) for item in run.unit_times),
    )


def _protocols(records: Sequence[RunRecord]) -> tuple[ProtocolEntry, ...]:
    """Protocols of all runs; one that could be computed anywhere counts as computed."""
    found: dict[str, ProtocolEntry] = {}
    for record in records:
        for protocol in record.protocols:
            if protocol.name not in found or (found[protocol.name].status != "ok" and protocol.status == "ok"):
                found[protocol.name] = protocol
    return tuple(found.values())


def _values(
    group: Sequence[tuple[str, RunData]],
    records: Sequence[RunRecord],
    protocols: Sequence[ProtocolEntry],
    owner: dict[str, int],
) -> tuple[ValueEntry, ...]:
    """Values of every system from its own run, and the reason where that run did not compute a protocol."""
    values = [v for place, r in enumerate(records) for v in r.values if owner.get(v.system) == place]
    taken = {(v.system, v.protocol, v.key) for v in values}
    for record in records:
        # The same system in a later run may have protocols that its first run lacks.
        for value in record.values:
            if (value.system, value.protocol, value.key) not in taken:
                taken.add((value.system, value.protocol, value.key))
                values.append(value)
    for name, place in owner.items():
        for protocol in protocols:
            for description in protocol.values:
                if (name, protocol.name, description.key) not in taken:
                    reason = f"the run {group[place][0]} does not compute this protocol"
                    values.append(
                        ValueEntry(
                            system=name, protocol=protocol.name, key=description.key, value=None, status="skipped",
                            reason=reason, n_planned=0, n_scored=0,
                        )
                    )  # fmt: skip
    return tuple(values)


def _first_of_each(records: Sequence[RunRecord]) -> tuple[AnchorCheck, ...]:
    """Each check once, from the first run that could judge it."""
    found: dict[tuple[str, str, str, str], AnchorCheck] = {}
    for record in records:
        for check in record.checks:
            place = (check.protocol, check.key, check.better, check.worse)
            if place not in found or found[place].verdict == "no_value":
                found[place] = check
    return tuple(found.values())


def _counts(records: Sequence[RunRecord], owner: dict[str, int]) -> Counts:
    """Units of all runs, those of systems that several runs hold counted once."""
    planned = done = failed = 0
    for place, record in enumerate(records):
        again = {system.name for system in record.systems if owner[system.name] != place}
        units = sum(_units_of(record, name) for name in again)
        lost = {(f.system, f.clip, f.seed) for f in record.failures if f.system in again and not f.part}
        planned += max(0, record.counts.planned - units)
        done += max(0, record.counts.done - (units - len(lost)))
        failed += max(0, record.counts.failed - len(lost))
    return Counts(planned=planned, done=min(done, planned), failed=min(failed, planned))


def _units_of(record: RunRecord, system: str) -> int:
    """Clips times the seeds that a system was run with: one only where it has no randomness."""
    asked = max((value.n_planned for value in record.values if value.system == system), default=0)
    return asked or len(record.clips) * max(1, len(record.config.get("seeds", [0])))


def _timings(records: Sequence[RunRecord]) -> Timings:
    stages: Counter[str] = Counter()
    for record in records:
        stages.update(record.timings.by_stage)
    return Timings(
        started=min(r.timings.started for r in records),
        finished=max(r.timings.finished for r in records),
        seconds=math.fsum(r.timings.seconds for r in records),
        by_stage=dict(stages),
        units_computed=sum(r.timings.units_computed for r in records),
        units_reused=sum(r.timings.units_reused for r in records),
    )


def _who_is_where(group: Sequence[tuple[str, RunData]], renamed: Sequence[dict[str, str]]) -> str:
    sentences = []
    for (label, run), names in zip(group, renamed, strict=True):
        tested = [names[system.name] for system in run.record.systems if not system.anchor]
        sentences.append(f"From {label}: {', '.join(tested) or 'anchors only'}.")
    return " ".join(sentences)


def _software(group: Sequence[tuple[str, RunData]]) -> list[str]:
    """Sentences on what differs between runs that share a table, and may show in the numbers."""
    notes = []
    first_label, first = group[0]
    for label, run in group[1:]:
        a, b = first.record, run.record
        packages = sorted(
            name
            for name in {*a.provenance.packages, *b.provenance.packages}
            if a.provenance.packages.get(name) != b.provenance.packages.get(name)
        )
        if packages:
            notes.append(f"{label} used other versions than {first_label} of {', '.join(packages[:8])}.")
        if a.provenance.device != b.provenance.device:
            notes.append(f"{label} ran on {b.provenance.device}, {first_label} on {a.provenance.device}.")
        notes += _truths(first_label, first, label, run)
    return notes


def _truths(first_label: str, first: RunData, label: str, run: RunData) -> list[str]:
    truths = [
        {(v.protocol, v.key): v.value for v in r.record.values if v.system == r.ground_truth} for r in (first, run)
    ]
    columns = {(column.protocol.name, column.value.key): column for column in columns_of(first.record)}
    unequal = [
        columns[place].value.label
        for place in columns
        if place in truths[0] and place in truths[1] and not _equal(truths[0][place], truths[1][place])
    ]
    if not unequal:
        return []
    return [
        f"The real clips themselves score differently in {label} and {first_label} ({', '.join(unequal[:6])}): "
        "differences between systems of these runs contain that of software or machine."
    ]


def joint_folder_name(paths: Sequence[Path]) -> str:
    """A plain folder name for the report of several runs.

    >>> joint_folder_name([Path("runs/a"), Path("runs/b c")])
    'a+b-c'
    """
    names = [
        "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in p.resolve().name) for p in paths
    ]
    text = "+".join(names)
    return text if len(text) <= 120 else f"{text[:100]}-{digest_of(names)[:12]}"
