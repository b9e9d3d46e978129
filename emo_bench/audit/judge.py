"""The verdict on one value of a protocol on one corruption; the rule is written down in docs/guide/audit.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo_bench.audit.distortions import Corruption
from emo_bench.audit.result import Baseline, Finding, Reversal, Step
from emo_bench.config.schema import Statistics
from emo_bench.engine.unit import GROUND_TRUTH
from emo_bench.record.schema import IntervalEntry
from emo_bench.scoring.anchor_checks import why_blind
from emo_bench.scoring.comparisons import Scores, cost_by_clip
from emo_bench.scoring.values import Samples, as_entry
from emo_core.rng import numpy_generator

if TYPE_CHECKING:
    from emo_metrics.contract import ProtocolSpec, SetMetric, ValueSpec
    from emo_metrics.statistics.interval import Interval


Difference = tuple[float, "Interval"]
Arrays = Sequence[NDArray[np.float64]]
"""The samples of some clips."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """All that the verdicts on one value of a protocol rest on.

    Attributes:
        spec: The protocol.
        value: Which of its values.
        nothing: The undistorted reference.
        shown: From a system's name to its value, as a table would show it, and the number of clips behind it.
        worse_by: From (a, b) and a level of confidence to how much worse b is than a, with an interval.
            Raises ``Unscored`` when that is undefined.
        missing: From a system's name to why it has no value.
    """

    spec: ProtocolSpec
    value: ValueSpec
    nothing: Baseline
    shown: Callable[[str], tuple[float | None, int]]
    worse_by: Callable[[str, str, float], Difference]
    missing: Callable[[str], str]


def baseline_of(spec: ProtocolSpec, value: ValueSpec) -> Baseline:
    """What an undistorted clip is.

    The ground truth; but for what compares with the ground truth, or asks to be close to it, that would be perfect
    without measuring, and any change at all would be detected. There it is the ground truth through ordinary
    compression, which no system's output does without.
    """
    from emo_metrics.contract import Direction, Need

    compares = Need.GROUND_TRUTH in spec.needs or value.direction is Direction.CLOSER_TO_GT
    return "reencoded" if compares else "ground-truth"


def why_blind_to(spec: ProtocolSpec, corruption: Corruption) -> str:
    """Why a protocol is declared blind to a distortion; empty when it is not."""
    if corruption.distortion.anchor:
        reason = why_blind(spec, corruption.distortion.anchor)
        if reason:
            return reason
    names = {corruption.name, corruption.name.replace("-", "_")}
    return "declared blind to this distortion" if names & spec.blind_to else ""


def judge(evidence: Evidence, corruption: Corruption, statistics: Statistics) -> Finding:
    """The verdict on one corruption."""
    blind = why_blind_to(evidence.spec, corruption)
    common = {
        "protocol": evidence.spec.name,
        "key": evidence.value.key,
        "label": evidence.value.label,
        "primary": evidence.value.primary,
        "distortion": corruption.name,
        "nothing": evidence.nothing,
    }
    gaps = {level: why for level in corruption.levels if (why := evidence.missing(corruption.system(level)))}
    absent = evidence.missing(evidence.nothing) or (
        next(iter(gaps.values())) if len(gaps) == len(corruption.levels) else ""
    )
    if absent:
        return Finding.model_validate(
            {**common, "verdict": "cannot" if blind else "no_value", "reason": blind or absent}
        )
    corruption = replace(corruption, levels=tuple(level for level in corruption.levels if level not in gaps))
    steps, unjudged = _steps(evidence, corruption, statistics)
    if unjudged:  # a level on too few clips says nothing of the others, nor does it share their confidence
        judged = tuple(level for level in corruption.levels if level not in unjudged)
        corruption = replace(corruption, levels=judged)
        steps, _ = _steps(evidence, corruption, statistics)
    if not steps:
        reason = next(iter(unjudged.values()))
        return Finding.model_validate({**common, "verdict": "cannot" if blind else "tie", "reason": blind or reason})
    reversals = _reversals(evidence, corruption, statistics)
    verdict, reason = _verdict(evidence, corruption, steps, reversals)
    for what, levels in (("no value", gaps), ("not judged", unjudged)):
        if levels:
            shown = ", ".join(f"{level:g}" for level in levels)
            reason += f"; {what} at level {shown}: {next(iter(levels.values()))}"
    reacts = any(step.told for step in steps)
    if blind:
        verdict = "cannot"
        reason = f"{blind}; yet it reacts: {reason}" if reacts else blind
    return Finding.model_validate(
        {
            **common,
            "verdict": verdict,
            "reason": reason,
            "smallest_told": smallest_told(steps),
            "reacts": reacts,
            "order": _order(steps),
            "steps": tuple(steps),
            "reversals": tuple(reversals),
        }
    )


def _shared_level(statistics: Statistics, comparisons: int) -> float:
    """Bonferroni: all comparisons of one kind on one corruption hold together with the suite's confidence."""
    return 1.0 - (1.0 - statistics.level) / max(1, comparisons)


def _steps(evidence: Evidence, corruption: Corruption, statistics: Statistics) -> tuple[list[Step], dict[float, str]]:
    """What is seen at each level, and why nothing can be said at the others."""
    from emo_metrics.contract import Unscored

    level = _shared_level(statistics, len(corruption.levels))
    steps: list[Step] = []
    unjudged: dict[float, str] = {}
    for severity in corruption.levels:
        system = corruption.system(severity)
        try:
            difference, interval = evidence.worse_by(evidence.nothing, system, level)
        except Unscored as outcome:
            unjudged[severity] = outcome.reason
            continue
        value, n = evidence.shown(system)
        steps.append(
            Step(
                level=severity,
                value=value,
                n=n,
                worse_by=difference,
                interval=as_entry(interval),
                told=interval.low > 0,
            )
        )
    return steps, unjudged


def _reversals(evidence: Evidence, corruption: Corruption, statistics: Statistics) -> list[Reversal]:
    from emo_metrics.contract import Unscored

    pairs = list(combinations(corruption.levels, 2))
    level = _shared_level(statistics, len(pairs))
    found = []
    for milder, stronger in pairs:
        try:
            _, interval = evidence.worse_by(corruption.system(milder), corruption.system(stronger), level)
        except Unscored:
            continue  # they share too few clips for an order
        entry = as_entry(interval)
        if entry is not None and interval.high < 0:
            found.append(Reversal(milder=milder, stronger=stronger, interval=entry))
    return found


def smallest_told(steps: Sequence[Step]) -> float | None:
    """The mildest level from which on every level is detected."""
    found = None
    for step in reversed(steps):
        if not step.told:
            break
        found = step.level
    return found


def _order(steps: Sequence[Step]) -> float | None:
    from scipy.stats import spearmanr

    worse = [step.worse_by for step in steps if step.worse_by is not None]
    if len(worse) < 2 or len(worse) < len(steps) or np.ptp(worse) == 0:
        return None
    return float(spearmanr(np.arange(len(worse)), worse).statistic)


def _verdict(
    evidence: Evidence, corruption: Corruption, steps: Sequence[Step], reversals: Sequence[Reversal]
) -> tuple[str, str]:
    unit, worst = corruption.distortion.unit, steps[-1]
    high = worst.interval.high if worst.interval else 0.0
    if evidence.nothing == GROUND_TRUTH and high < 0:
        return "fail", f"prefers level {worst.level:g} to the ground truth; {_span(worst.interval)}"
    if reversals:
        one = reversals[0]
        return "fail", f"puts level {one.stronger:g} before level {one.milder:g}; {_span(one.interval)}"
    if not worst.told:
        return "tie", f"the worst level ({worst.level:g} {unit}) is not detected; {_span(worst.interval)}"
    start = smallest_told(steps)
    return "pass", f"detected from {start:g} on ({unit}), no level out of order"


def _span(interval: IntervalEntry | None) -> str:
    return f"worse by [{interval.low:.3g}, {interval.high:.3g}]" if interval else "no finite interval"


def clip_evidence(
    spec: ProtocolSpec, value: ValueSpec, scores: Scores, reasons: Mapping[str, str], *, resamples: int = 2000
) -> Evidence:
    """Evidence of a value per clip: paired differences, resampled by identity.

    Args:
        spec: The protocol.
        value: Which of its values.
        scores: Numbers by system.
        reasons: Why clips of a system have no number.
        resamples: Bootstrap draws of each interval.
    """
    from emo_metrics.contract import Unscored
    from emo_metrics.statistics.bootstrap import cluster_bootstrap

    def worse_by(first: str, second: str, level: float) -> Difference:
        a, b = cost_by_clip(scores, first), cost_by_clip(scores, second)
        shared = sorted(set(a) & set(b))
        if not shared:
            raise Unscored("too_few", "no clip has a number at both levels")
        differences = {clip: b[clip] - a[clip] for clip in shared}
        interval = cluster_bootstrap(
            differences,
            {clip: scores.identities[clip] for clip in shared},
            generator=numpy_generator(0, f"audit {scores.protocol} {value.key} {first} {second}"),
            level=level,
            resamples=resamples,
        )
        return float(np.mean(list(differences.values()))), interval

    def shown(system: str) -> tuple[float | None, int]:
        numbers = list(scores.by_system.get(system, {}).values())
        return (float(np.mean(numbers)) if numbers else None), len(numbers)

    def missing(system: str) -> str:
        return "" if cost_by_clip(scores, system) else reasons.get(system, "no clip has a number")

    nothing = baseline_of(spec, value)
    return Evidence(spec=spec, value=value, nothing=nothing, shown=shown, worse_by=worse_by, missing=missing)


def set_evidence(
    metric: SetMetric,
    value: ValueSpec,
    samples: Mapping[str, Samples],
    identities: Mapping[str, str],
    reasons: Mapping[str, str],
    memory: dict[object, Mapping[str, float]],
) -> Evidence:
    """Evidence of a value of the whole set: differences with a jackknife over groups of identities.

    Args:
        metric: The protocol.
        value: Which of its values.
        samples: By system, then by ``clip#seed``.
        identities: Clip id -> identity.
        reasons: Why a system has no samples.
        memory: Values of sets of clips that were computed already, for all values and corruptions of the protocol.
    """
    from emo_metrics.contract import Direction, Unscored
    from emo_metrics.statistics.set_intervals import group_jackknife_difference

    truth = samples.get(GROUND_TRUTH, {})

    def compute(generated: Arrays, reference: Arrays) -> Mapping[str, float]:
        # The same groups are left out for every pair of systems, so each set of clips is computed once.
        key = (tuple(map(id, generated)), tuple(map(id, reference)))
        if key not in memory:
            memory[key] = metric.compute(generated, reference)
        return memory[key]

    def turned(generated: Arrays, reference: Arrays) -> Mapping[str, float]:
        number = compute(generated, reference)[value.key]
        if value.direction is Direction.HIGHER:
            return {value.key: -number}
        if value.direction is Direction.CLOSER_TO_GT:
            return {value.key: abs(number - compute(reference, reference)[value.key])}
        return {value.key: number}

    def clusters(*names: str) -> dict[str, str]:
        clips = {clip for name in names for clip in samples[name]} | set(truth)
        return {clip: identities[clip.rsplit("#", 1)[0]] for clip in clips}

    def worse_by(first: str, second: str, level: float) -> Difference:
        intervals = group_jackknife_difference(
            turned,
            samples[second],
            samples[first],
            truth,
            clusters(first, second),
            generator=numpy_generator(0, f"audit {metric.spec.name}"),
            level=level,
            groups=10,
        )
        interval = intervals[value.key]
        if not np.isfinite([interval.low, interval.high]).all():
            raise Unscored("undefined", "the interval of the difference is not finite")
        return (interval.low + interval.high) / 2, interval

    def shown(system: str) -> tuple[float | None, int]:
        own = samples.get(system, {})
        number = compute(_listed(own), _listed(truth))[value.key] if own else float("nan")
        return (float(number) if np.isfinite(number) else None), len(own)

    def missing(system: str) -> str:
        if not samples.get(system) or not truth:
            return reasons.get(system, "no clip has samples")
        try:
            finite = np.isfinite(compute(_listed(samples[system]), _listed(truth))[value.key])
        except Unscored as outcome:
            return f"{outcome.status}: {outcome.reason}"
        return "" if finite else "the metric gave no finite number"

    nothing = baseline_of(metric.spec, value)
    return Evidence(spec=metric.spec, value=value, nothing=nothing, shown=shown, worse_by=worse_by, missing=missing)


def _listed(samples: Samples) -> list[NDArray[np.float64]]:
    return [samples[clip] for clip in sorted(samples)]
