"""The square of a clip in which the head stays, out of the boxes of its face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.prepare.resize import Window

EXPANSION = 2.0
"""Side of the square as a multiple of the longer side of everything that the face's box covers during the clip."""


@dataclass(frozen=True, kw_only=True)
class FaceFilter:
    """Which clips are refused.

    Attributes:
        least_share: Share of the looked-at frames that must show a face.
        most_several: Share of them that may show several.
        least_width: Median width of the face in pixels of the source.
    """

    least_share: float = 0.9
    most_several: float = 0.1
    least_width: float = 80.0


def judge_faces(n_faces: NDArray[np.generic], boxes: NDArray[np.generic], rule: FaceFilter) -> tuple[str, str] | None:
    """Why a clip is refused because of its faces, as code and reason; None when it is not.

    Args:
        n_faces: ``[t]`` faces seen in each looked-at frame.
        boxes: ``[t, 4]`` left, top, right, bottom of the followed face; NaN without one.
        rule: The limits.
    """
    counts = np.asarray(n_faces, dtype=np.int64)
    share = float((counts > 0).mean())
    if share < rule.least_share:
        return "no_face", f"expected a face on {rule.least_share:.0%} of the frames, found it on {share:.0%}"
    several = float((counts > 1).mean())
    if several > rule.most_several:
        return "several_faces", f"expected one face, found several on {several:.0%} of the frames"
    seen = np.asarray(boxes, dtype=np.float64)[counts > 0]
    width = float(np.median(seen[:, 2] - seen[:, 0]))
    if width < rule.least_width:
        return "tiny_face", f"expected a face at least {rule.least_width:.0f} px wide, found {width:.0f} px"
    return None


def face_square(boxes: NDArray[np.generic], *, width: int, height: int, expansion: float = EXPANSION) -> Window:
    """A square that stays where it is during the clip.

    Its centre is that of the union of all boxes and its side ``expansion`` times the union's longer side, at most the
    image's shorter side; it is moved into the image where it would leave it.

    Args:
        boxes: ``[t, 4]`` left, top, right, bottom; rows of NaN are left out.
        width: Of the image.
        height: Of the image.
        expansion: Factor.

    >>> face_square(np.array([[40.0, 40, 60, 60], [44, 40, 64, 60]]), width=200, height=100)
    (28, 26, 48, 48)
    """
    known = np.asarray(boxes, dtype=np.float64)
    known = known[np.isfinite(known).all(axis=1)]
    low, high = known[:, :2].min(axis=0), known[:, 2:].max(axis=0)
    side = min(round(expansion * float((high - low).max())), width, height)
    left, top = ((low + high) / 2 - side / 2).round().astype(int)
    return min(max(0, int(left)), width - side), min(max(0, int(top)), height - side), side, side
