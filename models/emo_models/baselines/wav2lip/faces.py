"""Where the face is and how it goes into the generator and back: padding, smoothing, masking, pasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FrameArray = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""left, top, right, bottom in whole pixels; right and bottom are the first pixels outside."""

PUBLISHED_PADDING: Final = (0, 10, 0, 0)
"""Pixels added above, below, left and right of a detected face."""
PUBLISHED_SMOOTHING: Final = 5
"""Frames over which boxes are averaged."""
SMALLEST_SIDE: Final = 4


def padded_box(
    box: Sequence[float], *, padding: tuple[int, int, int, int], height: int, width: int
) -> tuple[float, float, float, float]:
    """Widens a face box and keeps it inside the image.

    Args:
        box: left, top, right, bottom in pixels.
        padding: Pixels above, below, left and right.
        height: Of the image.
        width: Of the image.

    >>> padded_box((10, 20, 50, 60), padding=(0, 10, 0, 0), height=65, width=64)
    (10.0, 20.0, 50.0, 65.0)
    """
    above, below, left, right = padding
    x0, y0, x1, y1 = (float(value) for value in box)
    return max(0.0, x0 - left), max(0.0, y0 - above), min(float(width), x1 + right), min(float(height), y1 + below)


def smoothed(boxes: NDArray[np.floating], *, frames: int) -> NDArray[np.float64]:
    """Averages each box with the ones that follow it, as the published program does.

    Frame ``i`` becomes the mean of frames ``i .. i + frames - 1``, cut down to whole pixels. Near the end the last
    ``frames`` rows are averaged, in which rows that were smoothed before already count with their new value.

    Args:
        boxes: ``[n, 4]``, whole pixels, 0 or more.
        frames: Length of the window; 1 does nothing.

    >>> smoothed(np.arange(4.0)[:, None], frames=3).ravel().tolist()
    [1.0, 2.0, 2.0, 2.0]
    """
    result = np.array(boxes, dtype=np.float64)
    for row in range(len(result)):
        first = min(row, max(0, len(result) - frames))
        result[row] = np.floor(result[first : first + frames].mean(axis=0))
    return result


def whole_pixels(box: Sequence[float], *, height: int, width: int) -> Box:
    """Cuts a box down to whole pixels inside the image.

    Raises:
        ValueError: when less than 4 pixels are left on a side.

    >>> whole_pixels((1.9, 2.2, 30.9, 40.0), height=64, width=64)
    (1, 2, 30, 40)
    """
    x0, y0 = (max(0, int(value)) for value in box[:2])
    x1, y1 = min(width, int(box[2])), min(height, int(box[3]))
    if x1 - x0 < SMALLEST_SIDE or y1 - y0 < SMALLEST_SIDE:
        raise ValueError(
            f"expected a face box of at least {SMALLEST_SIDE} pixels inside the {width}x{height} image, "
            f"found {tuple(round(float(value), 1) for value in box)}"
        )
    return x0, y0, x1, y1


def crop_face(frame: FrameArray, box: Box, *, size: int) -> FrameArray:
    """Cuts the face out and resizes it (bilinear, as published) to ``uint8 RGB [size, size, 3]``."""
    import cv2

    x0, y0, x1, y1 = box
    return np.asarray(cv2.resize(np.ascontiguousarray(frame[y0:y1, x0:x1]), (size, size)), dtype=np.uint8)


def generator_input(faces: FrameArray, references: FrameArray | None = None) -> NDArray[np.float32]:
    """Masked faces and reference faces as the generator takes them.

    Args:
        faces: ``uint8 RGB [B, S, S, 3]``; their lower half is blackened.
        references: The same person at another time, same shape; the faces themselves when absent (inference).

    Returns:
        ``float32 [B, 6, S, S]`` in [0, 1], channels in the order BGR BGR (OpenCV's, in which it was trained).
    """
    masked = faces.copy()
    masked[:, faces.shape[1] // 2 :] = 0
    pair = np.concatenate((masked[..., ::-1], (faces if references is None else references)[..., ::-1]), axis=3)
    return np.ascontiguousarray(pair.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255.0)


def painted_faces(output: NDArray[np.floating]) -> FrameArray:
    """The generator's ``[B, 3, S, S]`` (BGR, [0, 1]) as ``uint8 RGB [B, S, S, 3]``; rounds down as published."""
    levels = np.clip(output * np.float32(255.0), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(0, 2, 3, 1)[..., ::-1])


def feather_mask(height: int, width: int, *, feather: int) -> NDArray[np.float32]:
    """Weight of the painted face, ``float32 [height, width, 1]``: 1 inside, falling to 0 over ``feather`` pixels.

    The upper edge is not feathered: the generator leaves the upper half as it is.
    """
    x = np.minimum(np.arange(width) + 1, np.arange(width)[::-1] + 1)
    y = np.arange(height)[::-1] + 1
    distance = np.minimum(x[None, :], y[:, None])
    return np.clip(distance / np.float32(feather + 1), 0, 1).astype(np.float32)[..., None]


def paste_face(frame: FrameArray, face: FrameArray, box: Box, *, feather: int = 0) -> FrameArray:
    """A copy of ``frame`` with the face in the box.

    Args:
        frame: ``uint8 RGB [H, W, 3]``.
        face: ``uint8 RGB [S, S, 3]``.
        box: Where it goes.
        feather: Pixels over which the edges blend; 0 is published.
    """
    import cv2

    x0, y0, x1, y1 = box
    resized = np.asarray(cv2.resize(face, (x1 - x0, y1 - y0)), dtype=np.uint8)
    result = frame.copy()
    if feather > 0:
        weight = feather_mask(y1 - y0, x1 - x0, feather=feather)
        mixed = resized * weight + frame[y0:y1, x0:x1] * (1 - weight)
        resized = np.rint(mixed).astype(np.uint8)
    result[y0:y1, x0:x1] = resized
    return result
