"""Values of a system under a protocol, with an interval that resamples identities."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo_bench.config.schema import Statistics
from emo_bench.engine.unit import GROUND_TRUTH, Unit
from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import IntervalEntry, ValueEntry
from emo_bench.scoring.coverage import frame_share, mean_coverage
from emo_bench.scoring.rows import FeatureReader
from emo_core.rng import numpy_generator

if TYPE_CHECKING:
    from emo_metrics.contract import ClipMetric, SetMetric
    from emo_metrics.statistics.interval import Interval

FEW_UNITS = 10
"""Below so many identities a value carries a watermark."""

NO_CLIP_HAS_TRUTH = "no clip has a ground truth"

Samples = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class ScoringRequest:
    """How much of a system was requested, and how intervals are made.

    Attributes:
        system: Its name.
        n_planned: Clips times seeds that the protocol applies to.
        statistics: Of the suite.
        absent: Why nothing was requested, where ``n_planned`` is 0.
    """

    system: str
    n_planned: int
    statistics: Statistics
    absent: str = ""


def row_id(row: ClipRow) -> str:
    """Name of a clip and seed."""
    return f"{row.clip}#{row.seed}"


def clip_metric_values(metric: ClipMetric, rows: Sequence[ClipRow], request: ScoringRequest) -> list[ValueEntry]:
    """Values of a per-clip protocol from the rows of one system."""
    from emo_metrics.contract import ClipMetric, Unscored
    from emo_metrics.statistics.bootstrap import cluster_bootstrap

    keys = [value.key for value in metric.spec.values]
    table = complete_rows(rows, keys)
    identities = {row_id(row): row.identity for row in rows}
    plain_mean = type(metric).summarise is ClipMetric.summarise
    entries = []
    for position, key in enumerate(keys):
        if request.n_planned == 0 and request.absent:
            entries.append(_nothing(metric.spec.name, key, request, request.absent))
            continue
        scored = {name: numbers for name, numbers in table.items() if math.isfinite(numbers[position])}
        if not scored:
            entries.append(_nothing(metric.spec.name, key, request, _why(rows, key)))
            continue
        matrix = np.array([scored[name] for name in sorted(scored)])
        statistic = None if plain_mean else summary_of(metric, keys, key)
        value = _value_of(matrix, position, statistic)
        source: Mapping[str, NDArray[np.float64]] = (
            {name: numbers[position : position + 1] for name, numbers in scored.items()} if plain_mean else scored
        )
        try:
            interval: Interval | None = cluster_bootstrap(
                source,
                {name: identities[name] for name in scored},
                generator=numpy_generator(0, f"interval {metric.spec.name} {key}"),
                level=request.statistics.level,
                resamples=request.statistics.resamples,
                statistic=statistic,
            )
        except Unscored:
            interval = None  # one identity: a value without an interval, and the watermark says so
        units = {identities[name] for name in scored}
        coverage = mean_coverage(row.coverage for row in rows if row.key == key and row_id(row) in scored)
        entries.append(
            _value(
                metric.spec.name, key, value, interval, request, n_scored=len(scored), units=len(units),
                coverage=coverage,
            )
        )  # fmt: skip
    return entries


Gaps = dict[tuple[str, str, str], float | None]
"""(system, protocol, key) -> distance of a value from the ground truth's; None where they have no clip in common."""


def gaps_on_shared_clips(metric: ClipMetric, rows: Sequence[ClipRow]) -> Gaps:
    """Distance of every system's value from the ground truth's, either taken over the clips that both have alone.

    Else a clip that a system failed on, or that has no ground truth, would pass for a distance.

    Args:
        metric: A per-clip protocol.
        rows: Its rows, of all systems.
    """
    from emo_metrics.contract import ClipMetric

    keys = [value.key for value in metric.spec.values]
    plain_mean = type(metric).summarise is ClipMetric.summarise
    systems = dict.fromkeys(row.system for row in rows)
    tables = {name: complete_rows([row for row in rows if row.system == name], keys) for name in systems}
    truth = tables.get(GROUND_TRUTH)
    found: Gaps = {}
    for position, key in enumerate(keys) if truth is not None else ():
        statistic = None if plain_mean else summary_of(metric, keys, key)
        for name, table in tables.items():
            sides = _on_shared_clips(table, truth or {}, position)
            own, real = (_value_of(side, position, statistic) if len(side) else math.nan for side in sides)
            found[name, metric.spec.name, key] = abs(own - real) if math.isfinite(own - real) else None
    return found


def _on_shared_clips(
    first: Mapping[str, NDArray[np.float64]], second: Mapping[str, NDArray[np.float64]], position: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows of the clips that both have a number for, in the order of ``clip_metric_values``."""
    scored = [{name for name, row in table.items() if math.isfinite(row[position])} for table in (first, second)]
    clips = [{name.rpartition("#")[0] for name in names} for names in scored]
    own, real = (
        np.array([table[name] for name in sorted(names) if name.rpartition("#")[0] in clips[0] & clips[1]])
        for table, names in zip((first, second), scored, strict=True)
    )
    return own, real


def _value_of(
    matrix: NDArray[np.float64], position: int, statistic: Callable[[NDArray[np.float64]], float] | None
) -> float:
    return float(np.mean(matrix[:, position])) if statistic is None else statistic(matrix)


def complete_rows(rows: Sequence[ClipRow], keys: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """``clip#seed`` -> one number a key, NaN where there is none."""
    table: dict[str, NDArray[np.float64]] = {}
    for row in rows:
        numbers = table.setdefault(row_id(row), np.full(len(keys), np.nan))
        if row.value is not None:
            numbers[keys.index(row.key)] = row.value
    return table


def summary_of(metric: ClipMetric, keys: Sequence[str], key: str) -> Callable[[NDArray[np.float64]], float]:
    """A protocol's own rule for the value of a set, on rows ``float64 [clips, keys]``."""

    def summarise(matrix: NDArray[np.float64]) -> float:
        return float(metric.summarise({name: matrix[:, column] for column, name in enumerate(keys)})[key])

    return summarise


@dataclass(frozen=True)
class SetSamples:
    """What a set protocol takes from the clips of a system.

    Attributes:
        samples: ``clip#seed`` -> samples.
        missing: ``clip#seed`` -> ``status: reason`` of those that have none.
        shares: ``clip#seed`` -> share of frames behind its samples.
    """

    samples: Samples
    missing: Mapping[str, str]
    shares: Mapping[str, float]

    @property
    def coverage(self) -> float | None:
        """Mean share of frames over the clips with samples; None without any."""
        return mean_coverage(self.shares.values())


def set_samples(reader: FeatureReader, metric: SetMetric, units: Sequence[Unit]) -> SetSamples:
    """Takes the samples of each clip, and the reasons of those that have none."""
    from emo_metrics.contract import Unscored

    samples: Samples = {}
    missing: dict[str, str] = {}
    shares: dict[str, float] = {}
    for unit in units:
        name = f"{unit.clip}#{unit.seed}"
        try:
            features = reader.features(unit, metric.spec.extractors, with_truth=False)
            samples[name] = metric.samples(features)
            shares[name] = frame_share(features)
        except Unscored as outcome:
            missing[name] = f"{outcome.status}: {outcome.reason}"
        except Exception as error:  # a bug in one metric must not take the others' numbers with it
            missing[name] = f"error: {type(error).__name__}: {error}"
    return SetSamples(samples, missing, shares)


def set_metric_values(
    metric: SetMetric,
    generated: Samples,
    truth: Samples,
    missing: Mapping[str, str],
    identities: Mapping[str, str],
    request: ScoringRequest,
    *,
    coverage: float | None = None,
) -> list[ValueEntry]:
    """Values of a set protocol; the ground truth against itself is 0 by definition and has no interval.

    Args:
        metric: The protocol.
        generated: Samples of the system.
        truth: Samples of what it is compared with: the ground truth, or the reference set.
        missing: Clips of the system without samples, with the reasons.
        identities: Clip id -> identity, of both sides.
        request: What was asked for.
        coverage: Mean share of frames behind the samples.
    """
    from emo_metrics.contract import Unscored
    from emo_metrics.statistics.set_intervals import group_jackknife

    name, keys = metric.spec.name, [value.key for value in metric.spec.values]
    if request.n_planned == 0 and request.absent:
        return [_nothing(name, key, request, request.absent) for key in keys]
    if not generated:
        return [_nothing(name, key, request, next(iter(missing.values()), "no clip was scored")) for key in keys]
    try:
        values = metric.compute(
            [generated[clip] for clip in sorted(generated)], [truth[clip] for clip in sorted(truth)]
        )
    except Unscored as outcome:
        return [_nothing(name, key, request, f"{outcome.status}: {outcome.reason}") for key in keys]
    clusters = {clip: identities[clip.rsplit("#", 1)[0]] for clip in {*generated, *truth}}
    intervals: Mapping[str, Interval] = {}
    if request.system != GROUND_TRUTH or set(generated) != set(truth):
        try:
            intervals = group_jackknife(
                metric.compute,
                generated,
                truth,
                clusters,
                generator=numpy_generator(0, f"interval {name}"),
                level=request.statistics.level,
            )
        except Unscored:
            intervals = {}
    units = len({clusters[clip] for clip in generated})
    marks = [_few_samples(generated, "samples")]
    if not set(truth) & set(generated):  # a reference set
        marks.append(_few_samples(truth, "real samples"))
    few = "; ".join(mark for mark in dict.fromkeys(marks) if mark)
    return [
        _value(
            name,
            key,
            values[key],
            intervals.get(key),
            request,
            n_scored=len(generated),
            units=units,
            mark=few,
            coverage=coverage,
        )
        for key in keys
    ]


def _few_samples(samples: Samples, what: str) -> str:
    """A mark when a covariance cannot have full rank; Fréchet distances are then strongly biased."""
    count = sum(len(rows) for rows in samples.values())
    width = next(iter(samples.values())).shape[1]
    return f"{count} {what} in {width} dimensions" if count <= width else ""


def _value(
    protocol: str,
    key: str,
    value: float,
    interval: Interval | None,
    request: ScoringRequest,
    *,
    n_scored: int,
    units: int,
    mark: str = "",
    coverage: float | None = None,
) -> ValueEntry:
    finite = math.isfinite(value)
    few_units = f"only {units} identities" if units < FEW_UNITS else ""
    return ValueEntry(
        system=request.system,
        protocol=protocol,
        key=key,
        value=value if finite else None,
        status="ok" if finite else "undefined",
        reason="" if finite else "the metric gave no finite number",
        interval=as_entry(interval) if finite else None,
        n_planned=request.n_planned,
        n_scored=n_scored,
        n_identities=units,
        frame_coverage=coverage,
        watermark="; ".join(part for part in (mark, few_units) if part),
    )


def as_entry(interval: Interval | None) -> IntervalEntry | None:
    """A record's form of an interval; None when there is none or its ends are not finite."""
    if interval is None or not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return None
    return IntervalEntry(
        low=interval.low, high=interval.high, level=interval.level, method=interval.method, n_units=interval.n_units
    )


def _nothing(protocol: str, key: str, request: ScoringRequest, reason: str) -> ValueEntry:
    return ValueEntry(
        system=request.system,
        protocol=protocol,
        key=key,
        value=None,
        status="not_applicable" if request.n_planned == 0 and request.absent else "failed",
        reason=reason,
        n_planned=request.n_planned,
        n_scored=0,
    )


def _why(rows: Sequence[ClipRow], key: str) -> str:
    """The most frequent reason among the clips without a number."""
    reasons = [f"{row.status}: {row.reason}" for row in rows if row.key == key and row.value is None]
    return max(sorted(set(reasons)), key=reasons.count) if reasons else "no clip was scored"


def with_gaps(values: Sequence[ValueEntry], shared: Mapping[tuple[str, str, str], float | None]) -> list[ValueEntry]:
    """Adds to every value its distance from the ground truth's.

    Args:
        values: The values.
        shared: Distances over the clips that both have, of per-clip protocols; other values are compared as they are.
    """
    truth = {(entry.protocol, entry.key): entry.value for entry in values if entry.system == GROUND_TRUTH}
    result = []
    for entry in values:
        reference = truth.get((entry.protocol, entry.key))
        gap = abs(entry.value - reference) if entry.value is not None and reference is not None else None
        if gap is not None:
            gap = shared.get((entry.system, entry.protocol, entry.key), gap)
        result.append(entry.model_copy(update={"gap_to_ground_truth": gap}))
    return result
