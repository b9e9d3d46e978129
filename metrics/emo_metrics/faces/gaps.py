"""When a clip has enough frames with a face, and how short gaps are closed."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Arrays, ClipFeatures, Unscored

FACE: Final = "face/mediapipe-landmarker@1"
LEAST_FOUND: Final = 0.8
"""A clip with a face on fewer of its frames has no value under protocols that read faces."""
LONGEST_GAP_SECONDS: Final = 0.2
"""Longer stretches without a face are left out and not interpolated."""


def face_arrays(clip: ClipFeatures) -> Arrays:
    """The face arrays of a clip that has a face on at least 80 % of its frames.

    Raises:
        Unscored: ``no_face`` with the counts.
    """
    arrays = clip.arrays[FACE]
    found = np.asarray(arrays["found"], dtype=bool)
    if found.size == 0 or found.mean() < LEAST_FOUND:
        raise Unscored(
            "no_face",
            f"a face was found on {int(found.sum())} of {found.size} frames of clip {clip.clip_id!r}; "
            f"at least {LEAST_FOUND:.0%} are needed",
        )
    return arrays


def close_gaps(values: NDArray[np.floating], *, longest: int) -> NDArray[np.float64]:
    """Interpolates linearly over gaps of at most ``longest`` rows that have a row on either side.

    Args:
        values: ``[n, ...]``; a row that is not finite is a gap.
        longest: In rows.

    Returns:
        ``float64 [n, ...]``; longer gaps and those at the ends stay NaN.

    >>> close_gaps(np.array([np.nan, 0.0, np.nan, 2.0, np.nan, np.nan, 5.0]), longest=1).tolist()
    [nan, 0.0, 1.0, 2.0, nan, nan, 5.0]
    """
    filled = np.array(values, dtype=np.float64)
    if filled.size == 0:
        return filled
    known = np.flatnonzero(np.isfinite(filled.reshape(len(filled), -1)).all(axis=1))
    for before, after in pairwise(known):
        gap = after - before - 1
        if 0 < gap <= longest:
            weight = (np.arange(1, gap + 1) / (gap + 1)).reshape(-1, *([1] * (filled.ndim - 1)))
            filled[before + 1 : after] = (1 - weight) * filled[before] + weight * filled[after]
    return filled


def longest_gap(clip: ClipFeatures) -> int:
    """The longest gap in frames that is interpolated at this clip's frame rate (0.2 s: 5 frames at 25 fps)."""
    return int(LONGEST_GAP_SECONDS * float(clip.fps) + 1e-9)
