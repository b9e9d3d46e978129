"""What the open sync network sees of a frame: an upright grey square around the mouth, and the outline of the lips."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray

SIDE: Final = 48
"""Pixels of the square."""
LIP_POINTS: Final = (*range(48, 68), 8, 33)
"""Of the 68 iBUG points: both lip contours, the chin and the base of the nose."""
OUTLINE: Final = 2 * len(LIP_POINTS)
_DOWN: Final = 0.06
"""How far the centre of the square lies below the middle of the mouth's corners, in face units."""


def face_frames(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Where the mouth lies, which way the face is upright, and how large it is.

    A face unit is the root of the squared distance of the outer eye corners plus the squared distance of their middle
    from the base of the nose: turning the head to the side shortens the first only, nodding the second only.

    Args:
        points: ``[n, 68, 2]`` in pixels, iBUG order.

    Returns:
        Middle of the mouth's corners ``[n, 2]``, unit vector along the line of the eyes ``[n, 2]``, face unit ``[n]``.
    """
    p = np.asarray(points, dtype=np.float64)
    across = p[:, 45] - p[:, 36]
    eyes = np.linalg.norm(across, axis=1)
    nose = np.linalg.norm(p[:, 33] - (p[:, 45] + p[:, 36]) / 2, axis=1)
    axis = across / np.maximum(eyes, 1e-6)[:, None]
    return (p[:, 48] + p[:, 54]) / 2, axis, np.hypot(eyes, nose)


def lip_outlines(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """The outline of the lips, chin and nose about the middle of the mouth's corners, upright, in face units.

    Args:
        points: ``[n, 68, 2]`` in pixels.

    Returns:
        ``float32 [n, 44]``; neither place, size nor roll of the face is left in it.
    """
    centre, axis, unit = face_frames(points)
    away = np.asarray(points, dtype=np.float64)[:, list(LIP_POINTS)] - centre[:, None]
    down = np.stack([-axis[:, 1], axis[:, 0]], axis=1)
    upright = np.stack([(away * axis[:, None]).sum(-1), (away * down[:, None]).sum(-1)], axis=-1)
    return np.asarray((upright / np.maximum(unit, 1e-6)[:, None, None]).reshape(len(upright), -1), dtype=np.float32)


def mouth_squares(
    frames: FrameArray, points: NDArray[np.floating], *, side: int = SIDE, share: float = 1.0
) -> NDArray[np.uint8]:
    """Grey squares around the mouth, upright; larger faces are smoothed before they are made smaller.

    Args:
        frames: ``uint8 RGB [n, H, W, 3]``.
        points: ``[n, 68, 2]`` in pixels; finite.
        side: Pixels of a square.
        share: Width of a square in face units.

    Returns:
        ``uint8 [n, side, side]``; what lies outside of the frame repeats its edge.
    """
    import cv2

    centre, axis, unit = face_frames(points)
    squares = np.empty((len(frames), side, side), dtype=np.uint8)
    for row, frame in enumerate(frames):
        scale = max(float(unit[row]) * share / side, 1e-3)  # pixels of the frame for one of the square
        down = np.array([-axis[row, 1], axis[row, 0]])
        middle = centre[row] + _DOWN * unit[row] * down
        reach = int(np.ceil(scale * side)) + 4
        left, top = (np.floor(middle) - reach).astype(int)
        part = _part(frame, int(left), int(top), 2 * reach)
        grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
        if scale > 1:
            grey = cv2.GaussianBlur(grey, (0, 0), 0.4 * scale)
        to_frame = np.stack([axis[row] * scale, down * scale], axis=1)
        start = middle - (left, top) - to_frame @ np.full(2, (side - 1) / 2)
        squares[row] = cv2.warpAffine(
            grey,
            np.column_stack([to_frame, start]),
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return squares


def _part(frame: FrameArray, left: int, top: int, side: int) -> FrameArray:
    """A square part of a frame; what lies outside repeats the edge."""
    height, width = frame.shape[:2]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    return np.ascontiguousarray(frame[rows[:, None], columns[None]])
