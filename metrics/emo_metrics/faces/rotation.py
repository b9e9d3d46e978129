"""Head rotations: angles out of matrices, and the angle between two of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pose_degrees(rotation: NDArray[np.floating]) -> NDArray[np.float64]:
    """Yaw, pitch and roll of rotation matrices.

    The axes are those of MediaPipe: x to the image's right, y up, z towards the camera. Yaw turns the face to the
    image's right, pitch lifts it, roll tilts it counter-clockwise in the image; ``R = Ry(yaw) Rx(-pitch) Rz(roll)``.

    Args:
        rotation: ``[..., 3, 3]``.

    Returns:
        ``float64 [..., 3]`` in degrees; pitch within [-90, 90].

    >>> pose_degrees(np.eye(3)).tolist()
    [0.0, 0.0, 0.0]
    """
    R = np.asarray(rotation, dtype=np.float64)
    yaw = np.arctan2(R[..., 0, 2], R[..., 2, 2])
    pitch = np.arcsin(np.clip(R[..., 1, 2], -1.0, 1.0))
    roll = np.arctan2(R[..., 1, 0], R[..., 1, 1])
    angles: NDArray[np.float64] = np.degrees(np.stack([yaw, pitch, roll], axis=-1))
    return angles


def nearest_rotation(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation nearest to the 3x3 matrices ``[..., 3, 3]`` (removes scale and rounding; determinant +1)."""
    U, _, Vt = np.linalg.svd(np.asarray(matrix, dtype=np.float64))
    sign = np.ones(U.shape[:-1])
    sign[..., -1] = np.sign(np.linalg.det(U @ Vt))
    rotation: NDArray[np.float64] = (U * sign[..., None, :]) @ Vt
    return rotation


def angle_between(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Angle of the rotation that takes one orientation to the other, along the shortest way.

    From the Frobenius distance, ``2 asin(|A - B| / (2 sqrt 2))``, which stays exact for the small angles between
    neighbouring frames where an arc cosine of the trace loses half of its digits.

    Args:
        first: ``[..., 3, 3]``.
        second: The same shape.

    Returns:
        ``float64 [...]`` in degrees, within [0, 180]; NaN where an input is NaN.
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    norm = np.sqrt(np.square(difference).sum(axis=(-2, -1)))
    angle: NDArray[np.float64] = np.degrees(2.0 * np.arcsin(np.clip(norm / np.sqrt(8.0), 0.0, 1.0)))
    return angle
