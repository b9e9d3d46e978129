"""Two systems on the same clips: the difference, its interval, and two tests of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from emo_metrics.statistics.bootstrap import cluster_bootstrap
from emo_metrics.statistics.interval import Interval
from emo_metrics.statistics.units import Units, group_into_units

_EXACT_UNITS = 14
"""Up to this many units all 2^n sign patterns are enumerated."""
_FEW_EXTREME = 10
"""With fewer patterns as extreme as the observed one, more are drawn: else no p survives a correction for many."""
_MOST_PATTERNS = 100_000
_MOST_SIGNS = 50_000_000
_SIGNS_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """First minus second, over the clips that both have.

    Attributes:
        difference: Mean difference over the shared clips.
        interval: Its cluster bootstrap interval.
        wilcoxon_p: Two-sided p of the signed-rank test on the differences of the units.
        rank_biserial: Effect size of that test in [-1, 1]: 1 when the first is larger in every unit.
        permutation_p: Two-sided p of flipping the sign of whole units.
        n_clips: Shared clips.
        n_units: Independent units among them.
        only_first: Clips that only the first system has a value for.
        only_second: Clips that only the second system has a value for.
    """

    difference: float
    interval: Interval
    wilcoxon_p: float
    rank_biserial: float
    permutation_p: float
    n_clips: int
    n_units: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def compare_paired(
    first: Mapping[str, float],
    second: Mapping[str, float],
    clusters: Mapping[str, str] | None = None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> PairedComparison:
    """Compares two systems by the differences on their shared clips.

    Args:
        first: Clip id -> value of the first system.
        second: Clip id -> value of the second system.
        clusters: Clip id -> identity; None makes every clip its own unit.
        generator: The only source of randomness.
        level: Nominal coverage of the interval.
        resamples: Bootstrap samples, and sign patterns where they are not enumerated; more where hardly any is extreme.

    Raises:
        Unscored: ``too_few`` for fewer than two shared units, ``undefined`` for values that are not finite.
    """
    shared = sorted(set(first) & set(second))
    differences = {clip: first[clip] - second[clip] for clip in shared}
    units = group_into_units(differences, clusters)
    interval = cluster_bootstrap(differences, clusters, generator=generator, level=level, resamples=resamples)
    p, effect = signed_rank(units.means[:, 0])
    return PairedComparison(
        difference=float(np.mean([differences[clip] for clip in shared])),
        interval=interval,
        wilcoxon_p=p,
        rank_biserial=effect,
        permutation_p=sign_flip_p(units, generator=generator, resamples=resamples),
        n_clips=len(shared),
        n_units=len(units),
        only_first=tuple(sorted(set(first) - set(second))),
        only_second=tuple(sorted(set(second) - set(first))),
    )


def signed_rank(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Wilcoxon's signed-rank test; zeros are left out, ties share their rank.

    Args:
        differences: ``float64 [n]``.

    Returns:
        Two-sided p, and the matched-pairs rank-biserial correlation (Kerby 2014). All zeros give (1, 0).

    >>> signed_rank(np.array([1.0, 2.0, 3.0]))[1]
    1.0
    """
    kept = differences[differences != 0.0]
    if len(kept) == 0:
        return 1.0, 0.0
    ranks = scipy.stats.rankdata(np.abs(kept))
    total = ranks.sum()
    effect = float((ranks[kept > 0].sum() - ranks[kept < 0].sum()) / total)
    tied = len(np.unique(np.abs(kept))) < len(kept)
    # With ties the exact null distribution is not the tabulated one; the corrected normal form is used.
    method = "exact" if len(kept) <= 50 and not tied else "asymptotic"
    return float(scipy.stats.wilcoxon(kept, method=method).pvalue), effect


def sign_flip_p(units: Units, *, generator: np.random.Generator, resamples: int) -> float:
    """Two-sided p of the mean difference under flips of the sign of whole units.

    All patterns are enumerated for up to 14 units; else patterns are drawn and the observed one is counted in. Where
    hardly any of ``resamples`` patterns is as extreme, up to 100,000 are drawn, so that a small p is told from a tiny
    one (Besag and Clifford 1991): p is at most a with a chance of at most a, whenever drawing stops.
    """
    sums = units.sums[:, 0]
    observed = abs(sums.sum())
    # A pattern that equals the observed one but for rounding must count as at least as extreme.
    bound = observed - 1e-12 * np.abs(sums).sum()
    if len(sums) <= _EXACT_UNITS:
        signs = np.array(list(product((1.0, -1.0), repeat=len(sums))))
        return float(np.mean(np.abs(signs @ sums) >= bound))
    signs = generator.choice(np.array([1.0, -1.0]), size=(resamples, len(sums)))
    extreme, drawn = int(np.sum(np.abs(signs @ sums) >= bound)), resamples
    if extreme < _FEW_EXTREME:
        drawn = _most_patterns(len(sums), resamples)
        # A generator of its own: what the caller draws next stays the same.
        extreme += _count_extreme(sums, bound, drawn - resamples, generator.spawn(1)[0])
    return (1 + extreme) / (1 + drawn)


def smallest_p(n_units: int, *, resamples: int) -> float:
    """The smallest two-sided p that ``sign_flip_p`` can give for so many units.

    >>> smallest_p(5, resamples=2000)
    0.0625
    """
    exact = 2.0 ** (1 - n_units) if n_units else 1.0
    return exact if n_units <= _EXACT_UNITS else max(exact, 1 / (1 + _most_patterns(n_units, resamples)))


def _most_patterns(n_units: int, resamples: int) -> int:
    return max(resamples, min(_MOST_PATTERNS, _MOST_SIGNS // n_units))


def _count_extreme(sums: NDArray[np.float64], bound: float, patterns: int, generator: np.random.Generator) -> int:
    """How many of so many drawn patterns are at least as extreme as ``bound``."""
    width, at_once = -(-len(sums) // 8), max(1, _SIGNS_AT_ONCE // len(sums))
    found = 0
    for start in range(0, patterns, at_once):
        rows = min(at_once, patterns - start)
        bits = np.frombuffer(generator.bytes(rows * width), dtype=np.uint8).reshape(rows, width)
        signs = 2.0 * np.unpackbits(bits, axis=1, count=len(sums)) - 1.0
        found += int(np.sum(np.abs(signs @ sums) >= bound))
    return found
