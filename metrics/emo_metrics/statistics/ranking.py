"""How stable a ranking of systems is, and which systems are tied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Unscored
from emo_metrics.statistics.units import group_into_units


@dataclass(frozen=True, kw_only=True)
class RankStability:
    """Ranks under resampling of the identities.

    Attributes:
        order: Systems from best to worst by their means over the shared clips; equal means keep alphabetical order.
        above: ``above[a][b]`` is the probability that a ranks above b; equal means count half.
        expected_rank: Mean rank, 1 is best.
        rank_probabilities: ``rank_probabilities[a][r]`` is the probability that a has rank r + 1.
        n_units: Independent units.
    """

    order: tuple[str, ...]
    above: Mapping[str, Mapping[str, float]]
    expected_rank: Mapping[str, float]
    rank_probabilities: Mapping[str, tuple[float, ...]]
    n_units: int


def rank_stability(
    systems: Mapping[str, Mapping[str, float]],
    clusters: Mapping[str, str] | None = None,
    *,
    higher_is_better: bool,
    generator: np.random.Generator,
    resamples: int = 2000,
) -> RankStability:
    """Probability that each system ranks above each other one, over the clips that all of them share.

    Args:
        systems: System -> clip id -> value. For a value that should be close to the ground truth's, pass its distance
            to that and ``higher_is_better=False``.
        clusters: Clip id -> identity; None makes every clip its own unit.
        higher_is_better: Direction of the value.
        generator: The only source of randomness.
        resamples: Number of bootstrap samples.

    Raises:
        Unscored: ``too_few`` for fewer than two shared units, ``undefined`` for values that are not finite.
    """
    names = sorted(systems)
    if not names:
        raise Unscored("too_few", "there is no system to rank")
    shared = sorted(set.intersection(*(set(values) for values in systems.values())))
    sign = 1.0 if higher_is_better else -1.0
    rows = {clip: np.array([sign * systems[name][clip] for name in names]) for clip in shared}
    units = group_into_units(rows, clusters)
    picks = generator.integers(len(units), size=(resamples, len(units)))
    draws = units.sums[picks].sum(axis=1) / units.counts[picks].sum(axis=1)[:, None]
    estimate = units.sums.sum(axis=0) / units.counts.sum()
    wins = (draws[:, :, None] > draws[:, None, :]).mean(axis=0)
    ties = (draws[:, :, None] == draws[:, None, :]).mean(axis=0)
    ranks = _ranks(draws)
    return RankStability(
        order=tuple(names[i] for i in np.argsort(-estimate, kind="stable")),
        above={
            a: {b: float(wins[i, j] + ties[i, j] / 2) for j, b in enumerate(names) if i != j}
            for i, a in enumerate(names)
        },
        expected_rank={name: float(ranks[:, i].mean()) for i, name in enumerate(names)},
        rank_probabilities={
            name: tuple(float(np.mean(np.floor(ranks[:, i]) == r + 1)) for r in range(len(names)))
            for i, name in enumerate(names)
        },
        n_units=len(units),
    )


def _ranks(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank 1 for the largest; ties share the mean of their ranks."""
    larger = (draws[:, None, :] > draws[:, :, None]).sum(axis=2)
    equal = (draws[:, None, :] == draws[:, :, None]).sum(axis=2)
    return np.asarray(larger + (equal + 1) / 2.0)


def tie_groups(
    order: Sequence[str], p_values: Mapping[frozenset[str], float], *, alpha: float = 0.05
) -> list[set[str]]:
    """Runs of neighbouring systems no two of which differ significantly; a system may be in several.

    Args:
        order: Systems from best to worst.
        p_values: Corrected p of each pair, by the set of its two names.
        alpha: Pairs with p above it are tied.

    Returns:
        The longest such runs of at least two systems, from best to worst.

    >>> p = {frozenset("ab"): 0.5, frozenset("bc"): 0.2, frozenset("ac"): 0.01}
    >>> [sorted(group) for group in tie_groups(["a", "b", "c"], p)]
    [['a', 'b'], ['b', 'c']]
    """
    groups: list[set[str]] = []
    last_end = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and all(p_values[frozenset((order[end], order[i]))] > alpha for i in range(start, end)):
            end += 1
        # A run that ends where an earlier one ended is part of it.
        if end - start >= 2 and end > last_end:
            groups.append(set(order[start:end]))
        last_end = max(last_end, end)
    return groups
