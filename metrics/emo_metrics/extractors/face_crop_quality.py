"""The extractor ``face-crop/quality@2``: how sharp the face is on each frame, and which colour it has."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Piece
from emo_metrics.faces.gaps import FACE

FACE_CROP: Final = "face-crop/quality@2"
SIDE: Final = 256
"""The square around the face is brought to this side, so that sharpness does not depend on how large the face is."""
_MARGIN: Final = 0.1


def face_square(frame: FrameArray, box: NDArray[np.floating]) -> FrameArray:
    """The square around a face's box with a tenth more on each side, 256 x 256.

    Larger squares are averaged down, smaller ones enlarged bicubically; what lies outside of the frame
    repeats its edge, since the step to any one colour would count as detail.

    Args:
        frame: ``uint8 RGB [H, W, 3]``.
        box: Left, top, right, bottom in pixels.
    """
    import cv2

    left, top, right, bottom = (float(value) for value in box)
    side = max(2, round(max(right - left, bottom - top) * (1 + 2 * _MARGIN)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    rows = np.clip(np.arange(y, y + side), 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(x, x + side), 0, frame.shape[1] - 1)
    crop = frame[rows[:, None], columns[None]]
    way = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=way), dtype=np.uint8)


def sharpness(square: FrameArray) -> float:
    """Standard deviation of the Laplacian (4 neighbours) of luma, in grey levels of 255.

    >>> sharpness(np.full((256, 256, 3), 128, dtype=np.uint8))
    0.0
    """
    import cv2

    luma = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return float(cv2.Laplacian(luma, cv2.CV_64F)[1:-1, 1:-1].std())


def mean_lab(square: FrameArray) -> NDArray[np.float64]:
    """Mean CIE L*a*b* (D65, sRGB) of the middle half of a square: the face without hair and background."""
    import cv2

    middle = square[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4].astype(np.float32) / np.float32(255.0)
    lab: NDArray[np.float64] = np.asarray(cv2.cvtColor(middle, cv2.COLOR_RGB2LAB), dtype=np.float64)
    mean: NDArray[np.float64] = lab.reshape(-1, 3).mean(axis=0)
    return mean


class FaceCropQuality(Extractor):
    """Sharpness and colour of the face on every frame.

    Arrays with one row a frame, NaN where no face was found: ``sharpness`` float64 [n], ``lab`` float64 [n, 3].
    """

    name: ClassVar[str] = FACE_CROP
    requires: ClassVar[tuple[str, ...]] = (FACE,)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _Rows()


class _Rows(Accumulator):
    def update(self, piece: Piece) -> Arrays:
        face = piece.upstream[FACE]
        sharp, lab = np.full(len(piece.frames), np.nan), np.full((len(piece.frames), 3), np.nan)
        for row in np.flatnonzero(face["found"]):
            square = face_square(piece.frames[row], np.asarray(face["box"][row], dtype=np.float64))
            sharp[row], lab[row] = sharpness(square), mean_lab(square)
        return {"sharpness": sharp, "lab": lab}

    def finish(self) -> Arrays:
        return {}
