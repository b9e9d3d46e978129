"""How well numbers agree with people, and people with each other.

Votes are counts: of an item (two clips side by side) so many raters preferred the first, so many the second. Ties of
raters count half for either side, and so do ties of a metric.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from emo_metrics.contract import Unscored
from emo_metrics.statistics.interval import Interval

MINIMUM_FOR_RANKS = 3
"""Fewer items than this have no rank correlation."""


def agreement_with_majority(
    difference: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each pair whether a number prefers what most raters prefer: 1, 0, or 0.5 where the number is tied.

    Args:
        difference: The number of the first clip minus that of the second, more is better, ``[pairs]``.
        first: Votes for the first clip, ``[pairs]``.
        second: Votes for the second clip, ``[pairs]``.

    Returns:
        ``float64 [pairs]``; NaN where the raters are tied or the difference is not finite.

    >>> agreement_with_majority(np.array([1.0, -1.0, 0.0, 2.0]), np.array([9.0, 9, 9, 5]), np.array([1.0, 1, 1, 5]))
    array([1. , 0. , 0.5, nan])
    """
    said, meant = np.sign(difference), np.sign(first - second)
    return np.where((meant == 0) | ~np.isfinite(difference), np.nan, (1 + said * meant) / 2)


def agreement_of_raters(
    first: NDArray[np.float64], second: NDArray[np.float64], ties: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """For each pair the mean over its raters of whether one agrees with the majority of the *others*.

    This is what a metric can be held to: no number knows more of the majority than a rater who was not asked. A tie
    among the others counts half, and so does a rater's own tie.

    Args:
        first: Votes for the first clip, ``[pairs]``.
        second: Votes for the second clip, ``[pairs]``.
        ties: How many raters had no preference, ``[pairs]``; half of them are among either side's votes.

    Returns:
        ``float64 [pairs]``; NaN for pairs with fewer than two votes.

    >>> agreement_of_raters(np.array([14.0, 2.0, 1.0]), np.array([1.0, 1.0, 0.0])).round(3)
    array([0.933, 0.333,   nan])
    """
    total = first + second
    undecided = np.zeros_like(total) if ties is None else ties
    first, second = first - undecided / 2, second - undecided / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        for_first = first * (1 + np.sign(first - 1 - second)) / 2
        for_second = second * (1 + np.sign(second - 1 - first)) / 2
        return np.where(total >= 2, (for_first + for_second + undecided / 2) / total, np.nan)


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation, ties with mean ranks.

    Raises:
        Unscored: ``too_few`` for fewer than three items; ``undefined`` when one side is constant or not finite.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if len(x) < MINIMUM_FOR_RANKS:
        raise Unscored("too_few", f"a rank correlation needs at least {MINIMUM_FOR_RANKS} items, found {len(x)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise Unscored("undefined", "a value is not finite")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise Unscored("undefined", "all values are equal, so there is no order to compare")
    ranks = scipy.stats.rankdata(x), scipy.stats.rankdata(y)
    return float(np.corrcoef(*ranks)[0, 1])


def rank_correlation_within(a: ArrayLike, b: ArrayLike, groups: ArrayLike) -> float:
    """Mean over groups of the rank correlation within each, weighted by their items; groups without one are left out.

    Raises:
        Unscored: ``undefined`` when no group has one.
    """
    x, y, of = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), np.asarray(groups)
    found, weights = [], []
    for group in np.unique(of):
        chosen = of == group
        try:
            found.append(rank_correlation(x[chosen], y[chosen]))
        except Unscored:
            continue
        weights.append(int(chosen.sum()))
    if not found:
        raise Unscored("undefined", "no group has three items with different values")
    return float(np.average(found, weights=weights))


def rank_correlation_between(a: ArrayLike, b: ArrayLike, groups: ArrayLike) -> float:
    """Rank correlation of the groups' means.

    Raises:
        Unscored: as ``rank_correlation``, over groups.
    """
    x, y, of = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), np.asarray(groups)
    names = np.unique(of)
    means = [(x[of == name].mean(), y[of == name].mean()) for name in names]
    return rank_correlation([mean for mean, _ in means], [mean for _, mean in means])


def krippendorff_alpha(counts: NDArray[np.float64]) -> float:
    """Krippendorff's alpha for nominal answers: 1 is full agreement, 0 what chance gives.

    Args:
        counts: How many raters gave each answer, ``[items, answers]``; items with fewer than two answers are left out.

    Raises:
        Unscored: ``too_few`` when no item has two answers; ``undefined`` when all answers are equal.

    Source: Krippendorff, Content Analysis, 2004, section 11.3.

    >>> round(krippendorff_alpha(np.array([[3.0, 0], [0, 3], [2, 1]])), 3)
    0.6
    """
    kept = counts[counts.sum(axis=1) >= 2]
    if not len(kept):
        raise Unscored("too_few", "no item was answered by two raters")
    per_item = kept.sum(axis=1)
    totals = kept.sum(axis=0)
    everything = totals.sum()
    observed = np.sum((per_item**2 - (kept**2).sum(axis=1)) / (per_item - 1)) / everything
    expected = (everything**2 - (totals**2).sum()) / (everything * (everything - 1))
    if expected == 0:
        raise Unscored("undefined", "all answers are equal, so chance agreement is full as well")
    return float(1 - observed / expected)


def resampled_interval(
    statistic: Callable[[NDArray[np.intp]], float],
    units: ArrayLike,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """Percentile interval of a statistic of items, with whole units drawn with replacement.

    Args:
        statistic: From indices of items, possibly repeated, to a number; draws where it is ``Unscored`` are left out.
        units: Unit of each item, ``[items]``.
        generator: The only source of randomness.
        level: Nominal coverage.
        resamples: Number of draws.

    Raises:
        Unscored: ``too_few`` for fewer than two units; ``undefined`` when less than half of the draws have a value.
    """
    of = np.asarray(units)
    names = np.unique(of)
    if len(names) < 2:
        raise Unscored("too_few", f"an interval needs at least 2 independent units, found {len(names)}")
    members = [np.flatnonzero(of == name) for name in names]
    draws: list[float] = []
    for picks in generator.integers(len(members), size=(resamples, len(members))):
        try:
            draws.append(statistic(np.concatenate([members[i] for i in picks])))
        except Unscored:
            continue
    if len(draws) < resamples / 2:
        raise Unscored("undefined", "most resamples have no value")
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    method = "unit-bootstrap-percentile"
    return Interval(low=float(low), high=float(high), level=level, method=method, n_units=len(names))
