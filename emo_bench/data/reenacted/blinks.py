"""Blinks that are added to a driver's own: speakers of short sentences hardly blink, and a model learns that too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHAPE = (0.62, 0.15, 0.03, 0.05, 0.32, 0.62, 0.85)
"""How far the eyes are open during a blink at 25 frames a second: down in a tenth of a second, up in twice that."""
_REST = 0.5
"""Seconds from the start of a blink before which no other starts."""
_NEVER = 1e-6
"""Blinks a minute; one in two years. Of rarer ones not even the mean interval need be a finite number."""


def seeded_blinks(
    frames: int, rng: np.random.Generator, *, per_minute: float, fps: float = 25.0
) -> NDArray[np.float64]:
    """How far the eyes are open, 1 = usual, ``float64 [frames]``; blinks come at random with a rest between them.

    Args:
        frames: How many.
        rng: Decides when.
        per_minute: Mean rate; at most 60 / 0.5 s. 0 adds none.
        fps: Frames per second.

    >>> seeded_blinks(4, np.random.default_rng(0), per_minute=0).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    opened = np.ones(frames)
    if per_minute < _NEVER:
        return opened
    rest = round(_REST * fps)
    mean_gap = max(60 * fps / per_minute - rest, 1e-6)
    # The process is under way when the clip starts: waiting times have no memory, so the first gap is like any other.
    start = int(rng.exponential(mean_gap)) - len(SHAPE) + 1
    while start < frames:
        for offset, value in enumerate(SHAPE):
            if 0 <= start + offset < frames:
                opened[start + offset] = min(opened[start + offset], value)
        start += rest + int(rng.exponential(mean_gap))
    return opened
