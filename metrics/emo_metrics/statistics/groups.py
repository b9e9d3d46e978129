"""Two groups of clips under one system: the difference of their values, by a bootstrap stratified over identities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Unscored
from emo_metrics.statistics.bootstrap import Statistic
from emo_metrics.statistics.interval import Interval

FEWEST = 3
"""Identities that either side needs; the spread of fewer says nothing."""


def group_difference(
    inside: Mapping[str, float] | Mapping[str, NDArray[np.float64]],
    outside: Mapping[str, float] | Mapping[str, NDArray[np.float64]],
    clusters: Mapping[str, str] | None = None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
    statistic: Statistic | None = None,
) -> tuple[float, Interval]:
    """Value of one group minus value of another, with a percentile interval.

    Identities are drawn again with replacement among those that are in the first group only, in the second only, and
    in both: sides keep their sizes, and a person with clips on either side stays paired with herself.

    Args:
        inside: Clip id -> number, or -> row of numbers that ``statistic`` understands, of the first group.
        outside: The same of the second.
        clusters: Clip id -> identity; None makes every clip its own.
        generator: The only source of randomness.
        level: Nominal coverage.
        resamples: Number of bootstrap samples.
        statistic: From rows ``float64 [clips, k]`` to a number; None is the mean of the first column.

    Raises:
        Unscored: ``too_few`` for fewer than ``FEWEST`` identities on a side.

    >>> women = {f"w{i}": 1.0 + i % 3 for i in range(9)}
    >>> men = {f"m{i}": float(i % 3) for i in range(9)}
    >>> gap, interval = group_difference(women, men, generator=np.random.default_rng(0))
    >>> gap, interval.low < 1.0 < interval.high
    (1.0, True)
    """
    sides = [_units(inside, clusters), _units(outside, clusters)]
    for side in sides:
        if len(side) < FEWEST:
            raise Unscored("too_few", f"a gap needs at least {FEWEST} identities on either side, found {len(side)}")
    strata = [
        sorted(set(sides[0]) - set(sides[1])),
        sorted(set(sides[1]) - set(sides[0])),
        sorted(set(sides[0]) & set(sides[1])),
    ]
    draws = np.empty(resamples)
    for index in range(resamples):
        drawn = [
            stratum[place] for stratum in strata for place in generator.integers(len(stratum) or 1, size=len(stratum))
        ]
        draws[index] = _difference(sides, drawn, statistic)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    gap = _difference(sides, [name for stratum in strata for name in stratum], statistic)
    return gap, Interval(
        low=float(low),
        high=float(high),
        level=level,
        method="stratified-cluster-bootstrap-percentile",
        n_units=len({*sides[0], *sides[1]}),
    )


Side = Mapping[str, NDArray[np.float64]]
"""Identity -> rows of its clips, ``float64 [clips, k]``."""


def _units(values: Mapping[str, float] | Mapping[str, NDArray[np.float64]], clusters: Mapping[str, str] | None) -> Side:
    grouped: dict[str, list[NDArray[np.float64]]] = {}
    for clip in sorted(values):
        row = np.atleast_1d(np.asarray(values[clip], dtype=np.float64))
        grouped.setdefault(clip if clusters is None else clusters[clip], []).append(row)
    return {name: np.stack(rows) for name, rows in grouped.items()}


def _difference(sides: list[Side], drawn: list[str], statistic: Statistic | None) -> float:
    values = []
    for side in sides:
        rows = np.concatenate([side[name] for name in drawn if name in side])
        values.append(float(rows[:, 0].mean()) if statistic is None else statistic(rows))
    return values[0] - values[1]
