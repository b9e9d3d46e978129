"""Fréchet distance extrapolated to an infinite number of samples.

A Fréchet distance of N samples is biased upwards by about c / N, and c differs between models, so equal N does not make
two models comparable (Chong and Forsyth 2019, arXiv 1911.07023). The distance is measured on random parts of several
sizes and a line is fitted over 1 / N; its value at 0 is the estimate, R² says how straight the points lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Unscored
from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.distances.samples import canonical_order, joined


@dataclass(frozen=True, kw_only=True)
class FrechetInfinity:
    """Line through Fréchet distances of growing parts.

    Attributes:
        value: The fitted distance at infinitely many samples; it may be slightly negative.
        slope: Growth of the distance per 1 / N.
        r_squared: 1 for points on a straight line; below about 0.9 the extrapolation is not to be believed.
        sizes: Units (clips, or single samples) in each part of the generated side.
        distances: The measured distances.
        both_sides: Whether the truth was thinned as well, which removes its share of the bias too.
    """

    value: float
    slope: float
    r_squared: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]
    both_sides: bool


def frechet_infinity(
    generated: Sequence[NDArray[np.float64]],
    truth: Sequence[NDArray[np.float64]],
    *,
    generator: np.random.Generator,
    points: int = 15,
    smallest_part: float = 0.25,
    both_sides: bool = True,
) -> FrechetInfinity:
    """Extrapolates the Fréchet distance over 1 / N, drawing whole units (clips) and never single frames of them.

    Args:
        generated: One ``float64 [n_i, d]`` per unit; pass single rows ``[1, d]`` where samples are independent.
        truth: The same for the other side.
        generator: Draws the parts; the same generator state gives the same number, whatever the order of the units.
        points: Number of sizes, evenly spaced in the number of units.
        smallest_part: Share of the units in the smallest part.
        both_sides: Thin the truth by the same share, so that the bias of either side goes to zero together.

    Raises:
        Unscored: ``too_few`` when there are fewer than eight units on a side that is thinned.
    """
    fewest = min(len(generated), len(truth)) if both_sides else len(generated)
    if fewest < 8:
        raise Unscored("too_few", f"extrapolation needs at least 8 clips on a side, found {fewest}")
    ours, theirs = canonical_order(generated), canonical_order(truth)
    shares = np.linspace(smallest_part, 1.0, points)
    sizes: list[int] = []
    distances: list[float] = []
    for share in shares:
        part = _thinned(ours, share, generator)
        other = _thinned(theirs, share, generator) if both_sides else theirs
        sizes.append(len(part))
        distances.append(frechet_distance(joined(part), joined(other)))
    return _line(sizes, distances, both_sides=both_sides)


def _thinned(
    units: Sequence[NDArray[np.float64]], share: float, generator: np.random.Generator
) -> list[NDArray[np.float64]]:
    size = max(2, round(share * len(units)))
    return [units[i] for i in generator.choice(len(units), size, replace=False)]


def _line(sizes: Sequence[int], distances: Sequence[float], *, both_sides: bool) -> FrechetInfinity:
    x, y = 1.0 / np.asarray(sizes, dtype=np.float64), np.asarray(distances)
    design = np.stack([np.ones_like(x), x], axis=1)
    (value, slope), *_ = np.linalg.lstsq(design, y, rcond=None)
    residual = float(np.sum((y - design @ np.array([value, slope])) ** 2))
    spread = float(np.sum((y - y.mean()) ** 2))
    return FrechetInfinity(
        value=float(value),
        slope=float(slope),
        r_squared=1.0 - residual / spread if spread > 0 else 1.0,
        sizes=tuple(sizes),
        distances=tuple(distances),
        both_sides=both_sides,
    )
