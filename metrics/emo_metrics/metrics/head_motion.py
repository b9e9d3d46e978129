"""How fast the head turns: EMO's Table 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    HEAD_MOTION,
    Arrays,
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    ProtocolSpec,
    Unscored,
    ValueSpec,
    ordered_mean,
)
from emo_metrics.faces.finder import FoundBy
from emo_metrics.faces.gaps import FACE, face_arrays
from emo_metrics.faces.rotation import angle_between, pose_degrees

REFERENCE_FPS: Final = 25.0
LEAST_STEPS: Final = 10


def rotation_steps(clip: ClipFeatures) -> NDArray[np.float64]:
    """The angle by which the head turns from each frame to the next.

    A step from a face found in the whole frame to one found in a crop counts as unknown: the pose is estimated for the
    camera of the image at hand, and a crop is another camera.

    Returns:
        ``float64 [n - 1]`` in degrees per 1/25 s (the angle times fps / 25); NaN where a frame has no face.

    Raises:
        Unscored: ``no_face`` when more than a fifth of the frames has none.
    """
    arrays = face_arrays(clip)
    rotation = np.asarray(arrays["rotation"], dtype=np.float64)
    steps = angle_between(rotation[1:], rotation[:-1]) * (float(clip.fps) / REFERENCE_FPS)
    whole = np.asarray(arrays["found_by"]) == FoundBy.WHOLE_FRAME
    return np.where(whole[1:] == whole[:-1], steps, np.nan)


def found_as_most(arrays: Arrays) -> NDArray[np.bool_]:
    """Frames ``[n]`` with a face that was found as most faces of the clip: in the whole frame, or in a crop of it."""
    whole = np.asarray(arrays["found_by"]) == FoundBy.WHOLE_FRAME
    found = np.asarray(arrays["found"], dtype=bool)
    usual: NDArray[np.bool_] = found & (whole == (whole[found].mean() >= 0.5))
    return usual


def head_turn(clip: ClipFeatures) -> NDArray[np.float64]:
    """Yaw, pitch and roll of the head about its own axes, from its pose in the middle frame with a face.

    Frames whose face was found in another way than most are unknown, for the reason that ``rotation_steps`` gives.

    Returns:
        ``float64 [n, 3]`` in degrees, NaN where unknown.

    Raises:
        Unscored: ``no_face`` when more than a fifth of the frames has none.
    """
    arrays = face_arrays(clip)
    rotation = np.asarray(arrays["rotation"], dtype=np.float64)
    usual = found_as_most(arrays)
    places = np.flatnonzero(usual)
    turned = rotation[places[len(places) // 2]].T @ rotation
    return np.where(usual[:, None], pose_degrees(turned), np.nan)


class HeadVelocity(ClipMetric):
    """Mean and variance of the head's rotation per frame, and the variance of the clips' means.

    The unit is degrees per frame at 25 frames a second; other frame rates are converted. Clips have the mean
    (``velocity``) and the variance within the clip (``velocity-variance``); a set has the means of both and the
    variance of the clips' means (``vmv``). The row of a clip holds under ``vmv`` what it adds to that variance: its
    mean.
    """

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="head-velocity/mediapipe@1",
        title="Head rotation velocity (EMO, Table 2)",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(key="velocity", label="Head vel.", direction=Direction.CLOSER_TO_GT, unit="degrees per frame"),
            ValueSpec(
                key="velocity-variance",
                label="Head vel. var.",
                direction=Direction.CLOSER_TO_GT,
                unit="squared degrees per frame",
            ),
            ValueSpec(
                key="vmv",
                label="VMV",
                direction=Direction.CLOSER_TO_GT,
                unit="squared degrees per frame",
                primary=False,
            ),
        ),
        extractors=(FACE,),
        source="arXiv 2402.17485, Table 2",
        page="head-velocity-mediapipe",
        order=62,
        group=HEAD_MOTION,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """Mean and variance (unbiased) of one clip.

        Raises:
            Unscored: ``no_face``; ``too_short`` with fewer than 10 steps.
        """
        steps = rotation_steps(generated)
        steps = steps[np.isfinite(steps)]
        if len(steps) < LEAST_STEPS:
            raise Unscored(
                "too_short",
                f"clip {generated.clip_id!r} has {len(steps)} pairs of neighbouring frames with a face; "
                f"{LEAST_STEPS} are needed",
            )
        mean = float(steps.mean())
        return {"velocity": mean, "velocity-variance": float(steps.var(ddof=1)), "vmv": mean}

    def summarise(self, rows: Mapping[str, NDArray[np.float64]]) -> Mapping[str, float]:
        """Mean of the means, mean of the variances, and the variance of the means (NaN for a single clip).

        >>> means = np.array([1.0, 3.0])
        >>> rows = {"velocity": means, "velocity-variance": np.array([0.5, 1.5]), "vmv": means}
        >>> HeadVelocity().summarise(rows)
        {'velocity': 2.0, 'velocity-variance': 1.0, 'vmv': 2.0}
        """
        means = np.sort(rows["vmv"])
        return {
            "velocity": ordered_mean(rows["velocity"]),
            "velocity-variance": ordered_mean(rows["velocity-variance"]),
            "vmv": float(np.var(means, ddof=1)) if len(means) > 1 else float("nan"),
        }
