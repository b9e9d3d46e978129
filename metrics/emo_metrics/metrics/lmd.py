"""LMD: how far the mouth's (or the face's) points are from those of the ground truth, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    Need,
    ProtocolSpec,
    Unscored,
    ValueSpec,
)
from emo_metrics.faces.gaps import FACE, face_arrays
from emo_metrics.faces.landmark_sets import MOUTH_68, OUTER_EYE_CORNERS_68

LONGEST_MISMATCH: Final = 2
"""Clips whose lengths differ by more frames than these are not compared."""


def interocular_distance(points68: NDArray[np.float64]) -> float:
    """Median over frames of the distance between the outer eye corners, of ``[n, 68, 2]`` points, in pixels."""
    first, second = OUTER_EYE_CORNERS_68
    return float(np.median(np.linalg.norm(points68[:, first] - points68[:, second], axis=1)))


def landmark_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Mean distance of corresponding points after each frame's mean point is taken away.

    Args:
        first: ``[n, k, 2]``.
        second: The same shape.

    Returns:
        Mean over points, then over frames, in the unit of the points.

    >>> square = np.array([[[0.0, 0], [2, 0], [2, 2], [0, 2]]])
    >>> round(landmark_distance(square, 2 * square + 7), 6)  # centred, the corners are sqrt(2) apart
    1.414214
    """
    a = first - first.mean(axis=1, keepdims=True)
    b = second - second.mean(axis=1, keepdims=True)
    return float(np.linalg.norm(a - b, axis=2).mean(axis=1).mean())


def _paired_points(
    generated: ClipFeatures, truth: ClipFeatures | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if truth is None:
        raise Unscored("not_applicable", f"clip {generated.clip_id!r} has no ground truth to compare with")
    ours, theirs = face_arrays(generated), face_arrays(truth)
    if abs(generated.n_frames - truth.n_frames) > LONGEST_MISMATCH:
        raise Unscored(
            "undefined",
            f"clip {generated.clip_id!r} has {generated.n_frames} frames and its ground truth {truth.n_frames}; "
            f"frames can only be paired when the lengths differ by at most {LONGEST_MISMATCH}",
        )
    count = min(generated.n_frames, truth.n_frames)
    both = np.asarray(ours["found"][:count], dtype=bool) & np.asarray(theirs["found"][:count], dtype=bool)
    if not both.any():
        raise Unscored("no_face", f"no frame of clip {generated.clip_id!r} has a face on both sides")
    a, b = (np.asarray(arrays["points68"][:count], dtype=np.float64)[both] for arrays in (ours, theirs))
    return a, b


def _spec(variant: str, unit: str, decimals: int, title: str) -> ProtocolSpec:
    return ProtocolSpec(
        name=f"lmd/{variant}@1",
        title=title,
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(key="m-lmd", label="M-LMD", direction=Direction.LOWER, unit=unit, decimals=decimals),
            ValueSpec(key="f-lmd", label="F-LMD", direction=Direction.LOWER, unit=unit, decimals=decimals),
        ),
        extractors=(FACE,),
        needs=frozenset({Need.GROUND_TRUTH}),
        source="LMDMeter of RAD-NeRF (arXiv 2211.12368), on MediaPipe's points",
        page=f"lmd-{variant}",
        order=60,
    )


class LmdPixels(ClipMetric):
    """Landmark distance in pixels: 20 points of the mouth (M-LMD), all 68 (F-LMD)."""

    spec: ClassVar[ProtocolSpec] = _spec("px", "pixels", 3, "Landmark distance in pixels")

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """Both distances of one clip.

        Raises:
            Unscored: ``no_face``; ``not_applicable`` without ground truth or at another frame size; ``undefined`` when
                the lengths differ.
        """
        ours, theirs = _paired_points(generated, truth)
        sizes = [f.arrays[FACE]["frame_size"][0].tolist() for f in (generated, truth) if f is not None]
        if sizes[0] != sizes[1]:
            raise Unscored(
                "not_applicable",
                f"clip {generated.clip_id!r} is {sizes[0]} pixels high and wide and its ground truth {sizes[1]}; "
                "distances in pixels need equal sizes (lmd/iod@1 does not)",
            )
        return {
            "m-lmd": landmark_distance(ours[:, MOUTH_68], theirs[:, MOUTH_68]),
            "f-lmd": landmark_distance(ours, theirs),
        }


class LmdInterocular(ClipMetric):
    """Landmark distance after each clip is divided by its own median distance between the outer eye corners."""

    spec: ClassVar[ProtocolSpec] = _spec("iod", "eye distances", 4, "Landmark distance in eye distances")

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """Both distances of one clip.

        Raises:
            Unscored: ``no_face``; ``not_applicable`` without ground truth; ``undefined`` when the lengths differ.
        """
        ours, theirs = _paired_points(generated, truth)
        ours, theirs = ours / interocular_distance(ours), theirs / interocular_distance(theirs)
        return {
            "m-lmd": landmark_distance(ours[:, MOUTH_68], theirs[:, MOUTH_68]),
            "f-lmd": landmark_distance(ours, theirs),
        }
