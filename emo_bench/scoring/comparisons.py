"""Two systems on the same clips: paired differences, correction for many comparisons, ties called ties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np

from emo_bench.config.schema import Statistics
from emo_bench.engine.unit import GROUND_TRUTH
from emo_bench.record.coverage import SHARED
from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import ComparisonEntry, IntervalEntry
from emo_bench.scoring.values import Samples, as_entry
from emo_core.rng import numpy_generator

if TYPE_CHECKING:
    from emo_metrics.contract import SetMetric, ValueSpec
    from emo_metrics.statistics.interval import Interval

Verdict = Literal["a_better", "b_better", "tie", "undefined"]
Values = Mapping[str, float]

GROUPS = 10
"""Of identities, left out one after the other for the interval between two values of sets."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The rows of one value of a protocol by system: ``clip#seed`` -> number."""

    protocol: str
    value: ValueSpec
    by_system: Mapping[str, Values]
    identities: Mapping[str, str]


def gather(rows: Sequence[ClipRow], value: ValueSpec, protocol: str) -> Scores:
    """Collects the numbers of one value from all rows."""
    by_system: dict[str, dict[str, float]] = {}
    identities: dict[str, str] = {}
    for row in rows:
        if row.key == value.key and row.protocol == protocol:
            identities[row.clip] = row.identity
            numbers = by_system.setdefault(row.system, {})
            if row.value is not None:
                numbers[f"{row.clip}#{row.seed}"] = row.value
    return Scores(protocol=protocol, value=value, by_system=by_system, identities=identities)


def cost_by_clip(scores: Scores, system: str) -> dict[str, float]:
    """One number a clip (the mean over seeds), lower is better; for 'closer_to_gt' the distance to the ground truth."""
    from emo_metrics.contract import Direction

    truth = {_clip(name): number for name, number in scores.by_system.get(GROUND_TRUTH, {}).items()}
    turn: Callable[[str, float], float | None] = {
        Direction.HIGHER: lambda clip, number: -number,
        Direction.LOWER: lambda clip, number: number,
        Direction.CLOSER_TO_GT: lambda clip, number: abs(number - truth[clip]) if clip in truth else None,
    }[scores.value.direction]
    grouped: dict[str, list[float]] = {}
    for name, number in sorted(scores.by_system.get(system, {}).items()):  # seeds are added in one order
        turned = turn(_clip(name), number)
        if turned is not None:
            grouped.setdefault(_clip(name), []).append(turned)
    return {clip: float(np.mean(numbers)) for clip, numbers in grouped.items()}


def _clip(name: str) -> str:
    return name.rsplit("#", 1)[0]


def compare_on_clips(scores: Scores, pair: tuple[str, str], statistics: Statistics) -> ComparisonEntry:
    """Paired difference of two systems on the clips that both have a number for."""
    from emo_metrics.contract import Unscored
    from emo_metrics.statistics.paired import compare_paired

    first, second = cost_by_clip(scores, pair[0]), cost_by_clip(scores, pair[1])
    shared, either = sorted(set(first) & set(second)), set(first) | set(second)
    if not shared and _needs_ground_truth(scores) and not scores.by_system.get(GROUND_TRUTH):
        return _undefined(scores.protocol, scores.value.key, pair, 0, "there is no ground truth to be close to")
    first, second = {clip: first[clip] for clip in shared}, {clip: second[clip] for clip in shared}
    generator = numpy_generator(0, f"paired {scores.protocol} {scores.value.key} {pair[0]} {pair[1]}")
    try:
        got = compare_paired(
            first,
            second,
            {clip: scores.identities[clip] for clip in first},
            generator=generator,
            level=statistics.level,
            resamples=statistics.resamples,
        )
    except Unscored as outcome:
        return _undefined(scores.protocol, scores.value.key, pair, len(first), outcome.reason)
    shown = as_entry(got.interval)
    return ComparisonEntry(
        protocol=scores.protocol,
        key=scores.value.key,
        system_a=pair[0],
        system_b=pair[1],
        difference=_signed(got.difference, scores),
        interval=shown if shown is None or _is_lower_better(scores) else _mirrored(shown),
        p_value=_finite(got.permutation_p),
        probability_a_better=_probability(first, second, scores.identities, generator),
        n_pairs=got.n_clips,
        verdict=_verdict(got.interval.low, got.interval.high),
        reason=only_shared(len(shared), len(either)),
    )


def _needs_ground_truth(scores: Scores) -> bool:
    from emo_metrics.contract import Direction

    return scores.value.direction is Direction.CLOSER_TO_GT


def _is_lower_better(scores: Scores) -> bool:
    from emo_metrics.contract import Direction

    return scores.value.direction is not Direction.HIGHER


def _signed(difference: float, scores: Scores) -> float:
    return difference if _is_lower_better(scores) else -difference


def _mirrored(interval: IntervalEntry) -> IntervalEntry:
    return interval.model_copy(update={"low": -interval.high, "high": -interval.low})


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _verdict(low: float, high: float) -> Verdict:
    if high < 0:
        return "a_better"
    if low > 0:
        return "b_better"
    return "tie"


def _probability(
    first: Values, second: Values, identities: Mapping[str, str], generator: np.random.Generator
) -> float | None:
    """Share of cluster resamples in which the first is better; equal means count half."""
    from emo_metrics.statistics.ranking import rank_stability

    clusters = {clip: identities[clip] for clip in first}
    stability = rank_stability(
        {"a": first, "b": second}, clusters, higher_is_better=False, generator=generator, resamples=1000
    )
    return float(stability.above["a"]["b"])


def compare_sets(
    metric: SetMetric,
    samples: Mapping[str, Samples],
    truth: Samples,
    identities: Mapping[str, str],
    pair: tuple[str, str],
    statistics: Statistics,
) -> list[ComparisonEntry]:
    """Difference of two systems under a set protocol, by the group jackknife over identities.

    Args:
        metric: The protocol.
        samples: System -> samples of its clips.
        truth: What both are compared with: the ground truth, or the reference set.
        identities: Clip id -> identity.
        pair: The systems.
        statistics: Of the suite.
    """
    from emo_metrics.contract import Unscored
    from emo_metrics.statistics.set_intervals import group_jackknife_difference

    first, second = samples.get(pair[0], {}), samples.get(pair[1], {})
    shared = sorted(set(first) & set(second))
    keys = [value.key for value in metric.spec.values]
    clusters = {clip: identities[clip.rsplit("#", 1)[0]] for clip in {*first, *second, *truth}}
    if not shared or not truth:
        return [_undefined(metric.spec.name, key, pair, 0, "no clip has samples of both systems") for key in keys]
    try:
        reference = [truth[clip] for clip in sorted(truth)]
        a = metric.compute([first[clip] for clip in shared], reference)
        b = metric.compute([second[clip] for clip in shared], reference)
        intervals = group_jackknife_difference(
            metric.compute,
            first,
            second,
            truth,
            clusters,
            generator=numpy_generator(0, f"paired {metric.spec.name} {pair[0]} {pair[1]}"),
            level=statistics.level,
            groups=GROUPS,
        )
    except Unscored as outcome:
        return [_undefined(metric.spec.name, key, pair, len(shared), outcome.reason) for key in keys]
    said = only_shared(len(shared), len({*first, *second}))
    return [
        _of_sets(metric.spec.name, value, pair, a[value.key] - b[value.key], intervals[value.key], len(shared), said)
        for value in metric.spec.values
    ]


def _of_sets(
    protocol: str,
    value: ValueSpec,
    pair: tuple[str, str],
    difference: float,
    interval: Interval,
    n_pairs: int,
    reason: str,
) -> ComparisonEntry:
    """The comparison of one value of a set protocol from the difference of its two values."""
    from emo_metrics.contract import Direction
    from emo_metrics.statistics.set_intervals import jackknife_p

    if value.direction is Direction.CLOSER_TO_GT:
        return _undefined(protocol, value.key, pair, n_pairs, "a distance to the ground truth needs values per clip")
    shown = as_entry(interval)
    if shown is None or not np.isfinite(difference):
        return _undefined(protocol, value.key, pair, n_pairs, "one of the values is no finite number")
    cost = _mirrored(shown) if value.direction is Direction.HIGHER else shown
    return ComparisonEntry(
        protocol=protocol,
        key=value.key,
        system_a=pair[0],
        system_b=pair[1],
        difference=float(difference),
        interval=shown,
        p_value=jackknife_p(difference, interval, groups=GROUPS),  # else no correction would reach its verdict
        n_pairs=n_pairs,
        verdict=_verdict(cost.low, cost.high),
        reason=reason,
    )


def only_shared(shared: int, either: int) -> str:
    """What a comparison leaves out, in words; empty when both systems have the same clips."""
    return "" if shared == either else f"on the {shared} {SHARED}, of {either} that either has"


def _undefined(protocol: str, key: str, pair: tuple[str, str], n_pairs: int, reason: str) -> ComparisonEntry:
    return ComparisonEntry(
        protocol=protocol,
        key=key,
        system_a=pair[0],
        system_b=pair[1],
        difference=None,
        n_pairs=n_pairs,
        verdict="undefined",
        reason=reason,
    )


def all_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Every two systems once, in the suite's order."""
    return list(combinations(names, 2))


def corrected(entries: Sequence[ComparisonEntry], statistics: Statistics) -> list[ComparisonEntry]:
    """Adds p-values corrected over all comparisons, and turns verdicts that do not survive into ties."""
    from emo_metrics.statistics.multiple_tests import benjamini_hochberg, holm

    p_values = {str(index): entry.p_value for index, entry in enumerate(entries) if entry.p_value is not None}
    adjusted = (benjamini_hochberg if statistics.correction == "bh" else holm)(p_values) if p_values else {}
    return [_survived(entry, adjusted.get(str(index)), statistics.level) for index, entry in enumerate(entries)]


def _survived(entry: ComparisonEntry, p: float | None, level: float) -> ComparisonEntry:
    """A comparison with its corrected p, and as a tie when that is too large for a verdict."""
    if p is None:
        return entry
    update: dict[str, object] = {"p_corrected": p}
    if p > 1 - level and entry.verdict in ("a_better", "b_better"):
        reasons = ("not significant after correction for many comparisons", entry.reason)
        update |= {"verdict": "tie", "reason": "; ".join(reason for reason in reasons if reason)}
    return entry.model_copy(update=update)
