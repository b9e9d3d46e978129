"""Which of MediaPipe's 478 face points stand for the 68 points of the iBUG scheme, and the names of its blendshapes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

IBUG_68: Final[tuple[int, ...]] = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # 0-16 jaw
    *(71, 63, 105, 66, 107),  # 17-21 brow on the image's left
    *(336, 296, 334, 293, 301),  # 22-26 brow on the image's right
    *(168, 197, 5, 4),  # 27-30 bridge of the nose down to its tip
    *(75, 97, 2, 326, 305),  # 31-35 nostrils
    *(33, 160, 158, 133, 153, 144),  # 36-41 eye on the image's left, outer corner first
    *(362, 385, 387, 263, 373, 380),  # 42-47 eye on the image's right, inner corner first
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # 48-59 outer lip, clockwise from the image's left corner
    *(78, 82, 13, 312, 308, 317, 14, 87),  # 60-67 inner lip, clockwise from the image's left corner
)
"""MediaPipe indices in the order of the 68 iBUG points (left and right as seen in the image)."""

IRISES: Final[tuple[int, int]] = (468, 473)
"""Centres of the irises: the eye on the image's left (the subject's right), then the other."""

NOSE_TIP: Final = 4
MOUTH_68: Final = slice(48, 68)
OUTER_EYE_CORNERS_68: Final[tuple[int, int]] = (36, 45)
INNER_UPPER_LIP_68: Final[tuple[int, ...]] = (61, 62, 63)
INNER_LOWER_LIP_68: Final[tuple[int, ...]] = (67, 66, 65)

BLENDSHAPE_NAMES: Final[tuple[str, ...]] = (
    "_neutral",
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight"),
    *("jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
)
"""The 52 blendshapes in the order in which MediaPipe returns them (the first is always close to 0)."""


def blendshape(rows: NDArray[np.floating], *names: str) -> NDArray[np.float64]:
    """Mean of the named blendshapes.

    Args:
        rows: ``[n, 52]``, in the order of ``BLENDSHAPE_NAMES``.
        names: One or more of ``BLENDSHAPE_NAMES``.

    Returns:
        ``float64 [n]`` in [0, 1].
    """
    columns = [BLENDSHAPE_NAMES.index(name) for name in names]
    means: NDArray[np.float64] = np.asarray(rows, dtype=np.float64)[:, columns].mean(axis=1)
    return means


def ibug_68(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """The 68 iBUG points of ``[478, 2 or 3]`` landmarks, as ``float32 [68, 2]``."""
    return np.asarray(landmarks[list(IBUG_68), :2], dtype=np.float32)


def five_points(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """Eye centres, tip of the nose and mouth corners of ``[478, 2 or 3]`` landmarks, as ``float32 [5, 2]``.

    An eye's centre is the middle of its two corners, which neither gaze nor a blink moves. Order: eye on the image's
    left, eye on the image's right, nose, mouth corner on the image's left, on the image's right.
    """
    xy = np.asarray(landmarks[:, :2], dtype=np.float64)
    points = ((xy[33] + xy[133]) / 2, (xy[362] + xy[263]) / 2, xy[NOSE_TIP], xy[61], xy[291])
    return np.stack(points).astype(np.float32)
