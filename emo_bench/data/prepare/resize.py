"""Part of a frame to a square of another size, with antialiasing."""

from __future__ import annotations

from typing import Any

import numpy as np

from emo_bench.media.types import FrameArray

Window = tuple[int, int, int, int]
"""Left, top, width and height in whole pixels."""


def cut_and_resize(frames: FrameArray, window: Window, size: int) -> FrameArray:
    """The same window of every frame as a square image.

    Pillow's bicubic filter, whose kernel widens with the reduction, so that fine detail does not turn into patterns.
    A window that has the size already is copied without a change.

    Args:
        frames: ``uint8 RGB [t, H, W, 3]``.
        window: Inside the frames.
        size: Width and height of the result.

    Returns:
        ``uint8 RGB [t, size, size, 3]``.
    """
    from PIL import Image

    left, top, width, height = window
    parts = frames[:, top : top + height, left : left + width]
    if parts.shape[1:3] != (height, width):
        raise ValueError(f"the window {window} leaves the frame of {frames.shape[2]} x {frames.shape[1]}")
    if (width, height) == (size, size):
        return np.ascontiguousarray(parts)
    result = np.empty((len(parts), size, size, 3), np.uint8)
    filter_: Any = Image.Resampling.BICUBIC
    for row, part in enumerate(parts):
        result[row] = np.asarray(Image.fromarray(np.ascontiguousarray(part)).resize((size, size), filter_))
    return result
