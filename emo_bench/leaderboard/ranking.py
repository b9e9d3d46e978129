"""Ranks that claim no more than the intervals allow: one more than the number of systems that are surely better.

Two systems of one record are told apart by that record's own paired comparison. Systems of different records are told
apart by their intervals (Zou and Donner 2008, as in `emo_bench.compare.runs`), corrected by Holm over all such pairs of
the column; that ignores that the clips are shared, which makes ties more likely, never fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ALPHA = 0.05
LARGEST_TABLE = 5000
"""Systems of one table; beyond it the pairs take gigabytes."""


@dataclass(frozen=True)
class Score:
    """What a system is ranked by.

    Attributes:
        cost: Smaller is better.
        low: Lower end of its interval, in the same terms.
        high: Upper end.
        level: Of the interval.
    """

    cost: float
    low: float
    high: float
    level: float


def ranks(
    scores: Sequence[Score], verdicts: Mapping[tuple[int, int], bool] | None = None, *, alpha: float = ALPHA
) -> list[int]:
    """The rank of each system: 1 plus the number of systems that are better beyond doubt.

    Args:
        scores: One for each system.
        verdicts: (first, second) -> whether the first is better beyond doubt, for pairs with a paired comparison, in
            both orders.
        alpha: Chance of any false order between systems of different records.

    Raises:
        ValueError: for more systems than fit into memory as pairs.

    >>> ranks([Score(1.0, 0.9, 1.1, 0.95), Score(5.0, 4.9, 5.1, 0.95), Score(1.05, 0.95, 1.15, 0.95)])
    [1, 3, 1]
    """
    if len(scores) > LARGEST_TABLE:
        raise ValueError(f"expected at most {LARGEST_TABLE} systems in a table, found {len(scores)}")
    if not scores:
        return []
    better = _better_by_intervals(scores, verdicts or {}, alpha)
    for (first, second), is_better in (verdicts or {}).items():
        better[first, second] = is_better
    return [int(count) + 1 for count in better.sum(axis=0)]


def _better_by_intervals(
    scores: Sequence[Score], known: Mapping[tuple[int, int], bool], alpha: float
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Matrix: row is better than column, by the intervals alone; False for pairs that are known otherwise."""
    from scipy.special import ndtr, ndtri

    cost = np.array([score.cost for score in scores])
    z = ndtri(0.5 + np.array([score.level for score in scores]) / 2)
    down = np.maximum(cost - np.array([score.low for score in scores]), 0) / z
    up = np.maximum(np.array([score.high for score in scores]) - cost, 0) / z
    difference = cost[None, :] - cost[:, None]
    # The row is better when the column's lower arm and its own upper arm do not reach over the difference.
    spread = np.hypot(down[None, :], up[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(spread > 0, 2 * ndtr(-difference / spread), np.where(difference > 0, 0.0, 1.0))
    candidates = difference > 0
    for first, second in known:
        candidates[first, second] = False
    better: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = candidates & _holm(
        p, candidates, alpha, n_tests=_pairs(len(scores), known)
    )
    return better


def _pairs(n: int, known: Mapping[tuple[int, int], bool]) -> int:
    return n * (n - 1) // 2 - len({frozenset(pair) for pair in known})


def _holm(
    p: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    among: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    alpha: float,
    *,
    n_tests: int,
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Which p are significant after Holm's correction; pairs of equal cost count as tests that fail."""
    values = np.sort(p[among])
    steps = max(n_tests, 1) - np.arange(len(values))
    failing = np.flatnonzero(values * steps > alpha)
    # Equal p stand or fall together.
    limit = values[failing[0]] if len(failing) else np.inf
    significant: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = p < limit
    return significant
