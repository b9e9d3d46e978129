"""Aligning a face: a similarity transform to the ArcFace template, and crops that may leave the frame."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray

ARCFACE_112: Final[NDArray[np.float64]] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where the five points lie in an aligned face of 112 x 112 pixels (insightface's template)."""


def similarity_transform(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation, scale and shift that bring points nearest to others (least squares; Umeyama 1991).

    Args:
        source: ``[k, 2]``.
        target: ``[k, 2]``.

    Returns:
        ``float64 [2, 3]``: ``target ~ M[:, :2] @ source + M[:, 2]``, without reflection.

    Raises:
        ValueError: when the source points coincide.

    >>> square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    >>> similarity_transform(square, 2 * square + [3, 4]).round(12).tolist()
    [[2.0, 0.0, 3.0], [0.0, 2.0, 4.0]]
    """
    X, Y = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
    Xc, Yc = X - x_mean, Y - y_mean
    variance = float(np.square(Xc).sum() / len(X))
    if variance == 0.0:
        raise ValueError("the points to align all coincide; expected at least two different ones")
    U, singular, Vt = np.linalg.svd(Yc.T @ Xc / len(X))
    sign = np.array([1.0, np.sign(np.linalg.det(U @ Vt))])
    A = float((singular * sign).sum() / variance) * (U * sign) @ Vt
    return np.column_stack([A, y_mean - A @ x_mean])


def aligned_face(frame: FrameArray, five: NDArray[np.floating]) -> FrameArray:
    """The face in ArcFace's position, 112 x 112.

    Bilinear sampling of the frame at its own resolution (``cv2.warpAffine``, no low-pass before), black outside of
    the frame: what face-recognition networks are trained on.

    Args:
        frame: ``uint8 RGB [H, W, 3]``.
        five: ``[5, 2]`` points in pixels, in the order of ``landmark_sets.five_points``.

    Returns:
        ``uint8 RGB [112, 112, 3]``.
    """
    import cv2

    matrix = similarity_transform(five, ARCFACE_112)
    image = np.ascontiguousarray(frame)
    warped = cv2.warpAffine(image, matrix, (112, 112), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(warped, dtype=np.uint8)


def square_crop(frame: FrameArray, left: int, top: int, side: int) -> FrameArray:
    """A square part of a frame; what lies outside of the frame is black.

    Args:
        frame: ``uint8 [H, W, 3]``.
        left: Column of the first pixel; may be negative.
        top: Row of the first pixel; may be negative.
        side: In pixels, at least 1.

    Returns:
        ``uint8 [side, side, 3]``.
    """
    height, width = frame.shape[:2]
    crop = np.zeros((side, side, 3), dtype=np.uint8)
    x0, x1 = max(left, 0), min(left + side, width)
    y0, y1 = max(top, 0), min(top + side, height)
    if x1 > x0 and y1 > y0:
        crop[y0 - top : y1 - top, x0 - left : x1 - left] = frame[y0:y1, x0:x1]
    return crop
