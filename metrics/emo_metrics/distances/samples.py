"""Checks and canonical order of sample arrays, shared by every distance between two sets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Unscored


def checked_samples(samples: NDArray[np.generic], *, side: str, minimum: int = 2) -> NDArray[np.float64]:
    """The samples as finite ``float64 [n, d]``.

    Args:
        samples: Real numbers ``[n, d]``, one row a sample.
        side: What the samples are called in messages.
        minimum: Fewer rows than this are refused.

    Raises:
        Unscored: ``undefined`` for a wrong shape or a value that is not finite; ``too_few`` for too few rows.
    """
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise Unscored("undefined", f"expected {side} features of shape [n, d], found {array.shape}")
    if len(array) < minimum:
        raise Unscored("too_few", f"{side} has {len(array)} sample(s), at least {minimum} are needed")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(axis=1)).sum())
        raise Unscored("undefined", f"{bad} of {len(array)} {side} feature rows hold NaN or infinity")
    return array


def require_same_width(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    """Refuses two sample sets of different dimension.

    Raises:
        Unscored: ``undefined`` with both dimensions.
    """
    if a.shape[-1] != b.shape[-1]:
        raise Unscored("undefined", f"the two sets have features of {a.shape[-1]} and {b.shape[-1]} dimensions")


def joined(units: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """One array of all rows in an order that depends on their contents only.

    Floating point sums change in the last digit with the order of their terms; sorting the units by the digest of
    their bytes makes the result equal to the last bit whatever the order in which clips arrive.

    Args:
        units: One ``float64 [n_i, d]`` per clip.

    Raises:
        Unscored: ``too_few`` when there is no unit at all, ``undefined`` when their widths differ.
    """
    if not units:
        raise Unscored("too_few", "there are no samples")
    widths = {unit.shape[1:] for unit in units}
    if len(widths) != 1:
        raise Unscored("undefined", f"clips of one set have features of different shapes: {sorted(widths)}")
    return np.concatenate(canonical_order(units), axis=0)


def canonical_order(units: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The same arrays sorted by the digest of their contents."""
    contiguous = [np.ascontiguousarray(unit, dtype=np.float64) for unit in units]
    return sorted(contiguous, key=lambda unit: hashlib.sha256(unit.tobytes()).digest())
