"""Smoothing, slow changes and lagged correlation of signals with unknown values."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

LARGEST_LAG: Final = 10
LEAST_FRAMES: Final = 25


def lagged_correlation(
    follower: NDArray[np.float64], leader: NDArray[np.float64], *, largest_lag: int = LARGEST_LAG
) -> NDArray[np.float64]:
    """Pearson correlation of ``follower[t + k]`` with ``leader[t]`` for k from ``-largest_lag`` to ``largest_lag``.

    Only frames where both are known count. The peak is at +d when the follower comes d frames after the leader.

    Args:
        follower: ``[n]``, NaN where unknown.
        leader: ``[m]``; what the longer one has beyond the other is left out.
        largest_lag: In frames.

    Returns:
        ``float64 [2 * largest_lag + 1]``; NaN where fewer than 25 frames overlap or one side is constant.
    """
    count = min(len(follower), len(leader))
    result = np.full(2 * largest_lag + 1, np.nan)
    for index, lag in enumerate(range(-largest_lag, largest_lag + 1)):
        a = follower[max(lag, 0) : count + min(lag, 0)]
        b = leader[max(-lag, 0) : count + min(-lag, 0)]
        known = np.isfinite(a) & np.isfinite(b)
        if known.sum() < LEAST_FRAMES:
            continue
        a, b = a[known] - a[known].mean(), b[known] - b[known].mean()
        norm = float(np.sqrt((a @ a) * (b @ b)))
        if norm > 1e-12 * len(a):
            result[index] = float(a @ b) / norm
    return result


def without_slow_changes(values: NDArray[np.float64], *, fps: float) -> NDArray[np.float64]:
    """Takes away the mean over one second around each frame (what is known of it).

    Args:
        values: ``[n]``, NaN where unknown.
        fps: Frames per second; the window has the nearest odd number of frames.

    Returns:
        ``float64 [n]``, NaN where unknown.
    """
    window = np.ones(2 * (round(fps) // 2) + 1)
    known = np.isfinite(values)
    sums = np.convolve(np.where(known, values, 0.0), window)
    counts = np.convolve(known.astype(np.float64), window)
    margin = len(window) // 2
    local = slice(margin, margin + len(values))
    return values - sums[local] / np.maximum(counts[local], 1.0)


def smoothed(values: NDArray[np.float64], *, deviation: float) -> NDArray[np.float64]:
    """Gaussian smoothing of the known values of a signal.

    Args:
        values: ``[n]``, NaN where unknown.
        deviation: In samples.

    Returns:
        ``float64 [n]``; NaN where no known value lies within four deviations.
    """
    reach = max(1, int(np.ceil(4 * deviation)))
    weights = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / deviation))
    known = np.isfinite(values)
    local = slice(reach, reach + len(values))
    sums = np.convolve(np.where(known, values, 0.0), weights)[local]
    mass = np.convolve(known.astype(np.float64), weights)[local]
    means: NDArray[np.float64] = np.divide(sums, mass, out=np.full(len(values), np.nan), where=mass > 1e-9)
    return means
