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

Samples = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class ScoringRequest:
    """How much of a system was requested, and how intervals are made."""

    system: str
    n_planned: int
    statistics: Statistics


def row_id(row: ClipRow) -> str:
    """Name of a clip and seed."""
    return f"{row.clip}#{row.seed}"


def clip_metric_values(metric: ClipMetric, rows: Sequence[ClipRow], request: ScoringRequest) -> list[ValueEntry]:
    """Values of a per-clip protocol from the rows of one system."""
    from emo_metrics.contract import ClipMetric, Unscored
    from emo_metrics.statistics.bootstrap import cluster_bootstrap

    keys = [value.key for value in metric.spec.values]
    table = _complete_rows(rows, keys)
    identities = {row_id(row): row.identity for row in rows}
    plain_mean = type(metric).summarise is ClipMetric.summarise
    entries = []
    for position, key in enumerate(keys):
        scored = {name: numbers for name, numbers in table.items() if math.isfinite(numbers[position])}
        if not scored:
            entries.append(_nothing(metric.spec.name, key, request, _why(rows, key)))
            continue
        matrix = np.array([scored[name] for name in sorted(scored)])
        statistic = None if plain_mean else _statistic(metric, keys, key)
        value = float(np.mean(matrix[:, position])) if statistic is None else statistic(matrix)
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


def _complete_rows(rows: Sequence[ClipRow], keys: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    table: dict[str, NDArray[np.float64]] = {}
    for row in rows:
        numbers = table.setdefault(row_id(row), np.full(len(keys), np.nan))
        if row.value is not None:
            numbers[keys.index(row.key)] = row.value
    return table


def _statistic(metric: ClipMetric, keys: Sequence[str], key: str) -> Callable[[NDArray[np.float64]], float]:
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
    """Values of a set protocol; the ground truth against itself is 0 by definition and has no interval."""
    from emo_metrics.contract import Unscored
    from emo_metrics.statistics.set_intervals import group_jackknife

    name, keys = metric.spec.name, [value.key for value in metric.spec.values]
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
    if request.system != GROUND_TRUTH:
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
    few = _few_samples(generated)
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


def _few_samples(samples: Samples) -> str:
    """A mark when a covariance cannot have full rank; Fréchet distances are then strongly biased."""
    count = sum(len(rows) for rows in samples.values())
    width = next(iter(samples.values())).shape[1]
    return f"{count} samples in {width} dimensions" if count <= width else ""


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
        status="failed",
        reason=reason,
        n_planned=request.n_planned,
        n_scored=0,
    )


def _why(rows: Sequence[ClipRow], key: str) -> str:
    """The most frequent reason among the clips without a number."""
    reasons = [f"{row.status}: {row.reason}" for row in rows if row.key == key and row.value is None]
    return max(sorted(set(reasons)), key=reasons.count) if reasons else "no clip was scored"


def with_gaps(values: Sequence[ValueEntry]) -> list[ValueEntry]:
    """Adds to every value its distance from the ground truth's."""
    truth = {(entry.protocol, entry.key): entry.value for entry in values if entry.system == GROUND_TRUTH}
    result = []
    for entry in values:
        reference = truth.get((entry.protocol, entry.key))
        gap = abs(entry.value - reference) if entry.value is not None and reference is not None else None
        result.append(entry.model_copy(update={"gap_to_ground_truth": gap}))
    return result
