"""Bradley-Terry strengths from paired preferences, with intervals that resample raters and clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

from emo_metrics.contract import Unscored

VIRTUAL_VOTES = 0.5
"""Added to both sides of every compared pair of systems: a system that always wins keeps a finite strength."""


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """Votes as arrays of equal length.

    Attributes:
        systems: Names that ``winner`` and ``loser`` point to.
        winner: Index of the preferred system, ``int [votes]``.
        loser: Index of the other, ``int [votes]``.
        weight: 1, or 0.5 for either half of a tie, ``float64 [votes]``.
        rater: Index of the rater, ``int [votes]``.
        clip: Index of the clip's independent unit, ``int [votes]``.
    """

    systems: tuple[str, ...]
    winner: NDArray[np.intp]
    loser: NDArray[np.intp]
    weight: NDArray[np.float64]
    rater: NDArray[np.intp]
    clip: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Strength:
    """The strength of one system.

    Attributes:
        system: Its name.
        value: Natural logarithm of the odds of winning against a system of mean strength.
        low: Lower end of the interval, None when there is none.
        high: Upper end.
        beats_mean: Probability of winning against a system of mean strength, in [0, 1].
    """

    system: str
    value: float
    low: float | None
    high: float | None

    @property
    def beats_mean(self) -> float:
        """Chance of winning against a system of mean strength."""
        return float(scipy.special.expit(self.value))


def strengths(wins: NDArray[np.float64], *, virtual: float = VIRTUAL_VOTES) -> NDArray[np.float64]:
    """Maximum-likelihood strengths with mean 0.

    Args:
        wins: How often the system of the row was preferred to that of the column, ``float64 [systems, systems]``.
        virtual: Votes added to both sides of every pair that was compared.

    Raises:
        Unscored: ``too_few`` for fewer than two systems or no votes; ``undefined`` when the comparisons do not link all
            systems with each other.

    Source: Bradley and Terry, Biometrika 39 (1952); logistic form of the likelihood.

    >>> strengths(np.array([[0.0, 30], [10, 0]]), virtual=0).round(3)
    array([ 0.549, -0.549])
    """
    n = len(wins)
    if n < 2 or wins.sum() == 0:
        raise Unscored("too_few", "strengths need two systems and at least one vote")
    compared = (wins + wins.T) > 0
    from scipy.sparse.csgraph import connected_components

    if connected_components(compared, directed=False)[0] > 1:
        raise Unscored("undefined", "the comparisons do not link all systems, so their strengths cannot be compared")
    total = wins + virtual * compared
    both = total + total.T

    def cost(free: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        theta = np.append(free, -free.sum())
        gaps = theta[:, None] - theta[None, :]
        loss = -np.sum(total * scipy.special.log_expit(gaps))
        slope = -(total.sum(axis=1) - np.sum(both * scipy.special.expit(gaps), axis=1))
        return float(loss), slope[:-1] - slope[-1]

    found = scipy.optimize.minimize(cost, np.zeros(n - 1), jac=True, method="BFGS", options={"gtol": 1e-8})
    return np.append(found.x, -found.x.sum())


def wins_of(ballot: Ballot, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """The matrix that ``strengths`` takes, ``float64 [systems, systems]``."""
    n = len(ballot.systems)
    flat = np.bincount(
        ballot.winner * n + ballot.loser, weights=ballot.weight if weights is None else weights, minlength=n * n
    )
    return flat.reshape(n, n).astype(np.float64)


def bradley_terry(
    ballot: Ballot, *, generator: np.random.Generator, level: float = 0.95, resamples: int = 500
) -> tuple[Strength, ...]:
    """Strengths from strongest to weakest, with percentile intervals.

    Raters and clips are both drawn with replacement in each resample, since either may differ from the next; with one
    rater only clips are, with one clip only raters.

    Args:
        ballot: The votes.
        generator: The only source of randomness.
        level: Nominal coverage.
        resamples: Number of resamples.

    Raises:
        Unscored: as ``strengths``.
    """
    values = strengths(wins_of(ballot))
    draws = _resampled(ballot, generator=generator, resamples=resamples)
    ends: Sequence[tuple[float | None, float | None]] = [(None, None)] * len(values)
    if len(draws) >= resamples / 2:
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        ends = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    made = [
        Strength(system=name, value=float(value), low=low, high=high)
        for name, value, (low, high) in zip(ballot.systems, values, ends, strict=True)
    ]
    return tuple(sorted(made, key=lambda item: (-item.value, item.system)))


def _resampled(ballot: Ballot, *, generator: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    n_raters, n_clips = int(ballot.rater.max()) + 1, int(ballot.clip.max()) + 1
    draws = []
    if n_raters < 2 and n_clips < 2:
        return np.empty((0, len(ballot.systems)))
    for _ in range(resamples):
        weights = ballot.weight.copy()
        for index, count in ((ballot.rater, n_raters), (ballot.clip, n_clips)):
            if count > 1:
                weights *= np.bincount(generator.integers(count, size=count), minlength=count)[index]
        try:
            draws.append(strengths(wins_of(ballot, weights)))
        except Unscored:
            continue
    return np.array(draws).reshape(len(draws), len(ballot.systems))
