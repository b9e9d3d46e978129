"""The extractor ``pixels/flicker@1``: how far each pixel jumps away for one frame and back."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    Accumulator,
    Arrays,
    ClipInputs,
    Extractor,
    FrameArray,
    Piece,
)

FLICKER: Final = "pixels/flicker@1"
SIDE: Final = 128
"""The luma image is averaged down to this longer side, so that fine texture and size do not matter."""
LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def small_luma(frame: FrameArray) -> NDArray[np.float64]:
    """Luma (BT.601 weights) of a frame ``uint8 RGB [H, W, 3]``, averaged down to a longer side of at most 128.

    Returns:
        ``float64 [h, w]`` in [0, 255].
    """
    import cv2

    height, width = frame.shape[:2]
    luma: NDArray[np.floating] = frame.astype(np.float32) @ LUMA
    scale = SIDE / max(height, width)
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return np.asarray(luma, dtype=np.float64)


def jump_away_and_back(before: NDArray[np.float64], at: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """How far values leave the span of their two neighbours in time: mean over pixels, in grey levels of 255.

    A steady change (light fading in, something moving past in one direction) stays between its neighbours and counts
    nothing; one flashed frame counts its full height.

    >>> jump_away_and_back(np.array([[10.0]]), np.array([[30.0]]), np.array([[12.0]]))
    18.0
    >>> jump_away_and_back(np.array([[10.0]]), np.array([[30.0]]), np.array([[50.0]]))
    0.0
    """
    high, low = np.maximum(before, after), np.minimum(before, after)
    return float((np.maximum(at - high, 0.0) + np.maximum(low - at, 0.0)).mean())


class FlickerPixels(Extractor):
    """Flicker of each frame against its two neighbours.

    Arrays, float64 [n]: ``pixel`` (mean over the pixels) and ``whole`` (of the frame's mean brightness). The row of a
    frame describes the frame before it, so the first two rows are NaN.
    """

    name: ClassVar[str] = FLICKER

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _FlickerRows()


class _FlickerRows(Accumulator):
    """Keeps the last two small luma images."""

    def __init__(self) -> None:
        self._kept: list[NDArray[np.float64]] = []

    def update(self, piece: Piece) -> Arrays:
        rows = np.full((2, len(piece.frames)), np.nan)
        for index, frame in enumerate(piece.frames):
            luma = small_luma(frame)
            if len(self._kept) == 2:
                before, at = self._kept
                rows[0, index] = jump_away_and_back(before, at, luma)
                means = (np.array(image.mean()) for image in (before, at, luma))
                rows[1, index] = jump_away_and_back(*means)
            self._kept = [*self._kept[-1:], luma]
        return {"pixel": rows[0], "whole": rows[1]}

    def finish(self) -> Arrays:
        return {}
