"""Two runs side by side: for every value, the paired difference per clip, its interval and a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emo_bench.compare.ground_truth import differing_ground_truth
from emo_bench.compare.terms import other_media, other_protocol
from emo_bench.record.columns import Column, columns_of
from emo_bench.record.coverage import lost_coverage
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import IntervalEntry, RunRecord, ValueEntry
from emo_core.rng import numpy_generator

Verdict = Literal["better", "worse", "tie", "undefined"]


FROM_INTERVALS = "from the two intervals (MOVER)"
"""Method of the interval of a change that is not paired by clip: that of a value of whole sets."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """How one value of one system changed from run A to run B.

    All of ``difference``, ``low``, ``high`` and ``detectable`` are in the unit of the value and count cost: positive
    is worse, whatever the value's direction. For ``closer_to_gt`` it is the change of the distance to the ground truth
    of the same clip.

    Attributes:
        system_a: System in run A.
        system_b: System in run B.
        protocol: The protocol, the same in both.
        key: Which value of it.
        label: Column label.
        direction: Which way the value improves.
        decimals: Digits to print.
        unit: Unit in words.
        value_a: The value in run A, or None.
        value_b: The value in run B, or None.
        difference: Change for the worse, or None.
        low: Lower end of its interval, or None.
        high: Upper end of its interval, or None.
        level: Confidence level.
        method: How the interval was made.
        p: Two-sided p, or None.
        p_corrected: The same after Holm's correction over all values compared, or None.
        n_pairs: Clips that both runs have.
        n_units: Independent people or clips among them.
        lost: Clips that have a value in A and none in B.
        gained: Clips that have a value in B and none in A.
        coverage_a: Mean share of frames behind the value in run A, or None when unknown.
        coverage_b: The same in run B.
        coverage_lost: What the value of run B no longer rests on, in a sentence; empty when nothing is lost.
        detectable: Smallest change that would be found with 80 % power after correction, or None.
        verdict: Of B against A.
        reason: Why there is no verdict.
    """

    system_a: str
    system_b: str
    protocol: str
    key: str
    label: str
    direction: str
    decimals: int
    unit: str = ""
    value_a: float | None = None
    value_b: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    method: str = ""
    p: float | None = None
    p_corrected: float | None = None
    n_pairs: int = 0
    n_units: int = 0
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    coverage_a: float | None = None
    coverage_b: float | None = None
    coverage_lost: str = ""
    detectable: float | None = None
    verdict: Verdict = "undefined"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs and what changed between them.

    Attributes:
        name_a: Name of run A.
        name_b: Name of run B.
        differences: What is not equal between the runs and limits the comparison, in sentences.
        only_a: Systems of run A without a partner.
        only_b: Systems of run B without a partner.
        changes: One entry per pair of systems and value.
    """

    name_a: str
    name_b: str
    differences: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    changes: tuple[Change, ...]


def compare_runs(
    a: RunData,
    b: RunData,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    alpha: float = 0.05,
    resamples: int = 2000,
) -> Comparison:
    """Compares run B with run A, value by value.

    A change is ``better`` or ``worse`` when its interval excludes zero and its p, corrected by Holm over all values
    compared, is at most ``alpha``; else it is a tie.

    Args:
        a: The older run.
        b: The newer run.
        pairs: Names of systems (in A, in B); the systems of the same name when absent, or the only system under test
            of either run when no names are equal.
        alpha: Chance of any false verdict.
        resamples: Bootstrap resamples.
    """
    chosen = list(pairs) if pairs is not None else match_systems(a.record, b.record)
    columns = shared_columns(a.record, b.record)
    tasks = [(names, column) for names in chosen for column in columns]
    # The first of so many p that Holm corrects must be this small.
    strict = alpha / max(1, len(tasks))
    changes = [
        measure_change(a, b, column, names, level=1 - alpha, resamples=resamples, detectable_alpha=strict)
        for names, column in tasks
    ]
    truths = differing_ground_truth(a, b, columns, labels=("first run", "second run"))
    used_a, used_b = {name for name, _ in chosen}, {name for _, name in chosen}
    return Comparison(
        name_a=a.record.name,
        name_b=b.record.name,
        differences=(*unequal_terms(a.record, b.record), *truths, *_doubts(a, b)),
        only_a=tuple(s.name for s in a.record.systems if not s.anchor and s.name not in used_a),
        only_b=tuple(s.name for s in b.record.systems if not s.anchor and s.name not in used_b),
        changes=judge(changes, alpha=alpha),
    )


def _doubts(a: RunData, b: RunData) -> Iterator[str]:
    """What is not as a run wrote it."""
    for label, run in (("first", a), ("second", b)):
        yield from (f"The {label} run is not as it was written. {sentence}" for sentence in run.damage)
        if run.unsealed:
            yield f"The {label} run has no digests of its files, so changes of them would go unnoticed."
        if run.missing_rows:
            yield f"The {label} run is not whole. {run.missing_rows}"


def match_systems(a: RunRecord, b: RunRecord) -> list[tuple[str, str]]:
    """Systems under test of the same name; the only one of either run when no names are equal."""
    names_a = [system.name for system in a.systems if not system.anchor]
    names_b = [system.name for system in b.systems if not system.anchor]
    same = [(name, name) for name in names_a if name in names_b]
    if not same and len(names_a) == len(names_b) == 1:
        return [(names_a[0], names_b[0])]
    return same


def shared_columns(a: RunRecord, b: RunRecord) -> tuple[Column, ...]:
    """Values of protocols that are the same and could be computed in both runs."""
    others = {protocol.name: protocol for protocol in b.protocols if protocol.status == "ok"}
    return tuple(
        column
        for column in columns_of(a)
        if column.protocol.status == "ok"
        and (other := others.get(column.protocol.name)) is not None
        and not other_protocol(column.protocol, other)
    )


def unequal_terms(a: RunRecord, b: RunRecord) -> list[str]:
    """Sentences on everything that must be equal for a fair comparison and is not."""
    found = []
    if a.digests.dataset != b.digests.dataset:
        found.append(
            f"The data sets differ: {a.dataset_name} ({a.digests.dataset[:12]}) and "
            f"{b.dataset_name} ({b.digests.dataset[:12]})."
        )
    if seeds_of(a) != seeds_of(b):
        found.append(f"The seed lists differ: {seeds_of(a)} and {seeds_of(b)}.")
    found.extend(other_media(a, b))
    names_a, names_b = ({protocol.name: protocol for protocol in record.protocols} for record in (a, b))
    found.extend(
        f"Protocol {name} is only in the {'first' if name in names_a else 'second'} run."
        for name in sorted(set(names_a) ^ set(names_b))
    )
    for name in sorted(set(names_a) & set(names_b)):
        if names_a[name].status != names_b[name].status:
            found.append(f"Protocol {name} could be computed in one run only.")
        elif differs := other_protocol(names_a[name], names_b[name]):
            found.append(f"Protocol {name} is not the same in both runs (other {differs}).")
    for label, record in (("first", a), ("second", b)):
        if record.status != "complete":
            found.append(f"The {label} run is {record.status}.")
    return found


def seeds_of(record: RunRecord) -> list[int]:
    """Seeds of generation that the run was asked for; none where its config names something else."""
    seeds = record.config.get("seeds", [0])
    return list(seeds) if isinstance(seeds, (list, tuple)) else []


def measure_change(
    a: RunData,
    b: RunData,
    column: Column,
    names: tuple[str, str],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    detectable_alpha: float = 0.05,
) -> Change:
    """Measures one value of one pair of systems; the verdict is left to ``judge``.

    Args:
        a: The older run.
        b: The newer run.
        column: The value.
        names: The system in either run.
        level: Level of the interval.
        resamples: Bootstrap resamples.
        detectable_alpha: Size of the two-sided test for which ``detectable`` holds.
    """
    entries = [_entry(run.record, name, column) for run, name in zip((a, b), names, strict=True)]
    blank = Change(
        system_a=names[0],
        system_b=names[1],
        protocol=column.protocol.name,
        key=column.value.key,
        label=column.value.label,
        direction=column.value.direction,
        decimals=column.value.decimals,
        unit=column.value.unit,
        value_a=_number(entries[0]),
        value_b=_number(entries[1]),
        level=level,
        coverage_a=entries[0].frame_coverage if entries[0] is not None else None,
        coverage_b=entries[1].frame_coverage if entries[1] is not None else None,
        coverage_lost=lost_coverage(*entries),
    )
    if column.protocol.granularity == "set":
        return _of_sets(blank, entries, detectable_alpha=detectable_alpha)
    first, second = cost_by_clip(a, names[0], column), cost_by_clip(b, names[1], column)
    identities = {**a.identities, **b.identities}
    return _of_clips(blank, first, second, identities, resamples=resamples, detectable_alpha=detectable_alpha)


def _entry(record: RunRecord, system: str, column: Column) -> ValueEntry | None:
    wanted = (system, column.protocol.name, column.value.key)
    return next((entry for entry in record.values if (entry.system, entry.protocol, entry.key) == wanted), None)


def _number(entry: ValueEntry | None) -> float | None:
    known = entry is not None and entry.status == "ok" and entry.value is not None and math.isfinite(entry.value)
    return entry.value if known and entry is not None else None


def cost_by_clip(run: RunData, system: str, column: Column) -> dict[str, float]:
    """Clip id -> number that is lower for the better clip, mean over seeds; clips without a full value are absent."""
    protocol, key = column.protocol.name, column.value.key
    if column.value.direction == "closer_to_gt":
        return run.clip_distances(system, protocol, key)
    sign = -1.0 if column.value.direction == "higher" else 1.0
    return {clip: sign * value for clip, value in run.clip_means(system, protocol, key).items()}


def _of_clips(
    blank: Change,
    first: Mapping[str, float],
    second: Mapping[str, float],
    identities: Mapping[str, str],
    *,
    resamples: int,
    detectable_alpha: float,
) -> Change:
    from emo_metrics.contract import Unscored
    from emo_metrics.statistics import compare_paired, minimum_detectable_effect

    counted = replace(
        blank,
        n_pairs=len(set(first) & set(second)),
        lost=tuple(sorted(set(first) - set(second))),
        gained=tuple(sorted(set(second) - set(first))),
    )
    purpose = f"compare {blank.protocol}#{blank.key} {blank.system_a} {blank.system_b}"
    clusters = {clip: identities.get(clip, clip) for clip in {*first, *second}}
    try:
        found = compare_paired(
            second, first, clusters, generator=numpy_generator(0, purpose), level=blank.level, resamples=resamples
        )
        shared = {clip: second[clip] - first[clip] for clip in set(first) & set(second)}
        detectable = minimum_detectable_effect(shared, clusters, alpha=detectable_alpha)
    except Unscored as error:
        return replace(counted, reason=error.reason)
    return replace(
        counted,
        difference=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        method=f"paired {found.interval.method}",
        p=found.permutation_p,
        n_units=found.n_units,
        detectable=detectable,
    )


def _of_sets(blank: Change, entries: Sequence[ValueEntry | None], *, detectable_alpha: float) -> Change:
    """Difference of two set values from their own intervals (Zou and Donner 2008), which ignores that clips are shared.

    Ignoring a positive correlation makes the interval too wide, never too narrow.
    """
    from scipy.stats import norm

    first, second = entries
    if blank.value_a is None or blank.value_b is None or first is None or second is None:
        return replace(blank, reason="one of the runs has no value")
    if first.interval is None or second.interval is None:
        return replace(blank, reason="one of the values has no interval, so chance cannot be judged")
    if blank.direction == "closer_to_gt":
        return replace(blank, reason="a distance to the ground truth needs values per clip")
    sign = -1.0 if blank.direction == "higher" else 1.0
    a_low, a_high = _arms(blank.value_a, first.interval, blank.level)
    b_low, b_high = _arms(blank.value_b, second.interval, blank.level)
    if sign < 0:
        a_low, a_high, b_low, b_high = a_high, a_low, b_high, b_low
    difference = sign * (blank.value_b - blank.value_a)
    below, above = math.hypot(b_low, a_high), math.hypot(b_high, a_low)
    z = float(norm.ppf(0.5 + blank.level / 2))
    spread = (below if difference > 0 else above) / z
    p = float(2 * norm.sf(abs(difference) / spread)) if spread > 0 else (1.0 if difference == 0 else 0.0)
    return replace(
        blank,
        difference=difference,
        low=difference - below,
        high=difference + above,
        method=FROM_INTERVALS,
        p=p,
        n_pairs=min(first.n_scored, second.n_scored),
        n_units=min(first.interval.n_units, second.interval.n_units),
        detectable=float(norm.isf(detectable_alpha / 2) + norm.ppf(0.8)) * below / z,
    )


def _arms(value: float, interval: IntervalEntry, level: float) -> tuple[float, float]:
    """Lengths of an interval below and above its value, stretched to another level."""
    from scipy.stats import norm

    stretch = float(norm.ppf(0.5 + level / 2) / norm.ppf(0.5 + interval.level / 2))
    return stretch * max(0.0, value - interval.low), stretch * max(0.0, interval.high - value)


def judge(changes: Sequence[Change], *, alpha: float) -> tuple[Change, ...]:
    """Corrects p over all changes and sets the verdicts."""
    from emo_metrics.statistics import holm

    known = {str(index): change.p for index, change in enumerate(changes) if change.p is not None}
    corrected = holm(known)
    judged = []
    for index, change in enumerate(changes):
        p = corrected.get(str(index))
        if p is None or change.low is None or change.high is None:
            judged.append(replace(change, verdict="undefined"))
            continue
        verdict: Verdict = "tie"
        if p <= alpha and change.low > 0:
            verdict = "worse"
        elif p <= alpha and change.high < 0:
            verdict = "better"
        judged.append(replace(change, p_corrected=p, verdict=verdict))
    return tuple(judged)
