"""Finds cuts between scenes while frames pass by: the colours of neighbouring frames are compared, nothing is kept.

Each frame is thinned to about 64 columns; its pixels fall into 8 x 4 x 8 cells of hue, saturation and value. The
distance of two frames is half the sum of the absolute differences of their shares, 0 (equal) to 1 (nothing in common).
A cut is a frame whose distance from its predecessor is at least ``THRESHOLD`` and at least ``SPIKE`` times the median
of the last distances, so that a waving camera is not taken for many cuts.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emo_bench.media.types import FrameArray

THRESHOLD = 0.22
"""Distance from which a change is a cut. Thirteen real talking heads stay below 0.12 (docs/datasets/prepare.md)."""
SPIKE = 3.0
MEMORY = 12
"""Distances that the median is taken of."""
THIN_WIDTH = 64
CELLS = (8, 4, 8)


class CutDetector:
    """Says for every frame whether a new scene begins with it; the first frame of a video is no cut."""

    def __init__(self, *, threshold: float = THRESHOLD) -> None:
        self._threshold = threshold
        self._last: NDArray[np.float64] | None = None
        self._distances: deque[float] = deque(maxlen=MEMORY)

    def add(self, frames: FrameArray) -> list[int]:
        """Takes ``uint8 RGB [t, H, W, 3]``; returns the indices within the piece at which a scene begins."""
        cuts = []
        for index, frame in enumerate(frames):
            shares = colour_shares(frame)
            if self._last is not None:
                distance = colour_distance(self._last, shares)
                usual = float(np.median(self._distances)) if self._distances else 0.0
                if distance >= max(self._threshold, SPIKE * usual):
                    cuts.append(index)
                self._distances.append(distance)
            self._last = shares
        return cuts


def colour_shares(frame: FrameArray) -> NDArray[np.float64]:
    """Share of the thinned pixels in each cell of hue, saturation and value.

    Args:
        frame: ``uint8 RGB [H, W, 3]``.

    Returns:
        ``float64 [256]`` that sums to 1.
    """
    step = max(1, frame.shape[1] // THIN_WIDTH)
    pixels = frame[::step, ::step].reshape(-1, 3).astype(np.float64) / 255.0
    value, low = pixels.max(axis=1), pixels.min(axis=1)
    spread = value - low
    safe = np.where(spread > 0, spread, 1.0)
    red, green, blue = pixels.T
    sixth = np.where(
        value == red, (green - blue) / safe, np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    )
    # The hue of greyish pixels is noise, so they all count as one hue.
    grey = spread < 0.06
    hue = np.where(grey, 0.0, (sixth / 6.0) % 1.0)
    saturation = np.where(grey, 0.0, spread / np.where(value > 0, value, 1.0))
    cell = np.zeros(len(pixels), np.int64)
    for channel, count in zip((hue, saturation, value), CELLS, strict=True):
        cell = cell * count + np.minimum((channel * count).astype(np.int64), count - 1)
    return np.bincount(cell, minlength=int(np.prod(CELLS))) / len(pixels)


def colour_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Half the sum of absolute differences, 0 to 1.

    >>> colour_distance(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    0.5
    """
    return float(np.abs(first - second).sum() / 2)


def scene_clips(cuts: list[int], *, n_frames: int, shortest: int, longest: int) -> tuple[list[tuple[int, int]], int]:
    """Scenes divided into clips of equal length.

    Args:
        cuts: First frames of all scenes but the first, ascending.
        n_frames: Of the video.
        shortest: Fewest frames of a clip.
        longest: Most frames of a clip; at least twice ``shortest``.

    Returns:
        (start, end) of the clips, and how many scenes are too short for one.

    >>> scene_clips([100], n_frames=1000, shortest=75, longest=300)
    ([(0, 100), (100, 400), (400, 700), (700, 1000)], 0)
    >>> scene_clips([50], n_frames=400, shortest=75, longest=300)
    ([(50, 225), (225, 400)], 1)
    """
    clips: list[tuple[int, int]] = []
    too_short = 0
    edges = [0, *cuts, n_frames]
    for start, end in pairwise(edges):
        length = end - start
        if length < shortest:
            too_short += 1
            continue
        parts = -(-length // longest)
        marks = [start + length * part // parts for part in range(parts + 1)]
        clips += list(pairwise(marks))
    return clips, too_short
