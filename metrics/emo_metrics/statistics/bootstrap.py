"""Cluster bootstrap: whole identities are drawn again with replacement, with all of their clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import scipy.special
from numpy.typing import NDArray

from emo_metrics.contract import Unscored
from emo_metrics.statistics.interval import Interval
from emo_metrics.statistics.units import Units, group_into_units

Statistic = Callable[[NDArray[np.float64]], float]
"""Takes rows ``float64 [clips, k]``, returns one number."""


def cluster_bootstrap(
    values: Mapping[str, float] | Mapping[str, NDArray[np.float64]],
    clusters: Mapping[str, str] | None = None,
    *,
    generator: np.random.Generator,
    method: Literal["bca", "percentile"] = "bca",
    level: float = 0.95,
    resamples: int = 2000,
    statistic: Statistic | None = None,
) -> Interval:
    """Interval of a statistic of per-clip values, by default their mean.

    Args:
        values: Clip id -> number, or -> row of k numbers that ``statistic`` understands.
        clusters: Clip id -> identity; None resamples clips.
        generator: The only source of randomness.
        method: ``bca`` corrects bias and skewness (Efron 1987); ``percentile`` does not.
        level: Nominal coverage.
        resamples: Number of bootstrap samples.
        statistic: From rows ``[clips, k]`` to a number; None is the mean of the first column.

    Raises:
        Unscored: ``too_few`` for fewer than two units, ``undefined`` for values that are not finite.

    >>> clips = {f"clip{i}": float(i % 5) for i in range(40)}
    >>> interval = cluster_bootstrap(clips, generator=np.random.default_rng(0))
    >>> interval.low < 2.0 < interval.high
    True
    """
    units = group_into_units(values, clusters)
    draws = _resampled(units, statistic, generator=generator, resamples=resamples)
    if method == "percentile":
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    else:
        low, high = _bca_ends(units, statistic, draws, level=level)
    return Interval(
        low=float(low), high=float(high), level=level, method=f"cluster-bootstrap-{method}", n_units=len(units)
    )


def _resampled(
    units: Units, statistic: Statistic | None, *, generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    picks = generator.integers(len(units), size=(resamples, len(units)))
    if statistic is None:
        sums, counts = units.sums[:, 0], units.counts
        return np.asarray(sums[picks].sum(axis=1) / counts[picks].sum(axis=1))
    return np.array([statistic(np.concatenate([units.rows[i] for i in row])) for row in picks])


def _bca_ends(
    units: Units, statistic: Statistic | None, draws: NDArray[np.float64], *, level: float
) -> tuple[float, float]:
    of_rows = statistic or _mean_of_first_column
    estimate = of_rows(np.concatenate(units.rows))
    if np.ptp(draws) == 0.0:
        return float(draws[0]), float(draws[0])
    # Half of the ties count as below, and what differs from the estimate by rounding only is a tie: else a statistic
    # with few distinct values gets a false bias correction.
    rounding = 1e-10 * np.ptp(draws)
    ties = np.abs(draws - estimate) <= rounding
    below = (np.sum(draws < estimate - rounding) + 0.5 * np.sum(ties)) / len(draws)
    bias = scipy.special.ndtri(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    acceleration = _acceleration(_left_out_means(units) if statistic is None else _left_out(units, of_rows))
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + scipy.special.ndtri(tail)
        ends.append(scipy.special.ndtr(bias + z / max(1e-6, 1 - acceleration * z)))
    low, high = np.quantile(draws, ends)
    return float(low), float(high)


def _left_out(units: Units, of_rows: Statistic) -> NDArray[np.float64]:
    return np.array(
        [of_rows(np.concatenate([rows for j, rows in enumerate(units.rows) if j != i])) for i in range(len(units))]
    )


def _left_out_means(units: Units) -> NDArray[np.float64]:
    sums, counts = units.sums[:, 0], units.counts
    return np.asarray((sums.sum() - sums) / (counts.sum() - counts))


def _acceleration(left_out: NDArray[np.float64]) -> float:
    deviation = left_out.mean() - left_out
    spread = np.sum(deviation**2) ** 1.5
    return float(np.sum(deviation**3) / (6.0 * spread)) if spread > 0 else 0.0


def _mean_of_first_column(rows: NDArray[np.float64]) -> float:
    return float(rows[:, 0].mean())


def two_level_bootstrap(
    values: Mapping[str, Mapping[str, float]],
    clusters: Mapping[str, str] | None = None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Interval of a mean over clips that were generated several times: identities first, then the seeds of each clip.

    Each clip counts once, whatever its number of seeds.

    Args:
        values: Clip id -> seed name -> number.
        clusters: Clip id -> identity; None resamples clips.
        generator: The only source of randomness.
        level: Nominal coverage.
        resamples: Number of bootstrap samples.

    Raises:
        Unscored: ``too_few`` for fewer than two units or a clip without a seed, ``undefined`` for values not finite.
    """
    empty = sorted(clip for clip, by_seed in values.items() if not by_seed)
    if empty:
        raise Unscored("too_few", f"no value for any seed of {empty[0]}")
    clips = sorted(values)
    by_seed = [np.array([values[clip][seed] for seed in sorted(values[clip])], dtype=np.float64) for clip in clips]
    positions = group_into_units({clip: float(i) for i, clip in enumerate(clips)}, clusters)
    if not all(np.isfinite(row).all() for row in by_seed):
        raise Unscored("undefined", "a value is not finite; leave unscored clips out")
    members = [rows[:, 0].astype(int) for rows in positions.rows]
    picks = generator.integers(len(members), size=(resamples, len(members)))
    draws = np.empty(resamples)
    for i, row in enumerate(picks):
        chosen = [by_seed[clip] for unit in row for clip in members[unit]]
        draws[i] = np.mean([seeds[generator.integers(len(seeds), size=len(seeds))].mean() for seeds in chosen])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high), level=level, method="two-level-bootstrap", n_units=len(members))
