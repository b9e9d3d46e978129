"""Fréchet distances of motion: how the head turns, and how the points of the face move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    HEAD_MOTION,
    ClipFeatures,
    Direction,
    Family,
    Granularity,
    Need,
    ProtocolSpec,
    SetMetric,
    Unscored,
    ValueSpec,
)
from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.distances.samples import joined
from emo_metrics.faces.gaps import FACE, face_arrays
from emo_metrics.faces.landmark_sets import OUTER_EYE_CORNERS_68
from emo_metrics.metrics.head_motion import REFERENCE_FPS, head_turn

POINTS: Final = tuple(range(17, 68))
"""Without the jaw line, whose points slide along the cheek as the head turns."""


class _MotionDistance(SetMetric):
    """Fréchet distance over the motion of every frame, pooled over all clips."""

    key: ClassVar[str]

    def compute(
        self, generated: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]]
    ) -> Mapping[str, float]:
        """The distance.

        Raises:
            Unscored: ``too_few`` with fewer frames than ``minimum_samples``.
        """
        ours, theirs, least = joined(generated), joined(truth), self.spec.minimum_samples
        for side, rows in (("generated", ours), ("ground truth", theirs)):
            if len(rows) < least:
                raise Unscored("too_few", f"{len(rows)} frames on the {side} side; at least {least} are needed")
        return {self.key: frechet_distance(ours, theirs)}


class PoseDistance(_MotionDistance):
    """Yaw, pitch and roll about the clip's middle pose, and their change from frame to frame: 6 numbers a frame."""

    key: ClassVar[str] = "pose-fd"
    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="pose-fd/mediapipe@1",
        title="Fréchet distance of head pose and its velocity",
        family=Family.OPEN,
        granularity=Granularity.SET,
        values=(ValueSpec(key="pose-fd", label="Pose FD", direction=Direction.LOWER, unit="squared degrees"),),
        extractors=(FACE,),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=7,
        source="docs/protocols/motion-fd-mediapipe.md",
        page="motion-fd-mediapipe",
        group=HEAD_MOTION,
    )

    def samples(self, clip: ClipFeatures) -> NDArray[np.float64]:
        """One row for each pair of neighbouring frames with a face; velocities in degrees per 1/25 s.

        Raises:
            Unscored: ``no_face`` when more than a fifth of the frames has none.
        """
        turn = head_turn(clip)
        turn = turn - np.nanmedian(turn, axis=0)
        rows: NDArray[np.float64] = np.concatenate(
            [turn[1:], np.diff(turn, axis=0) * (float(clip.fps) / REFERENCE_FPS)], axis=1
        )
        return rows[np.isfinite(rows).all(axis=1)]


class LandmarkVelocityDistance(_MotionDistance):
    """Velocities of 51 points of the face about its middle, upright, in eye distances: 102 numbers a frame."""

    key: ClassVar[str] = "velocity-fd"
    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="landmark-velocity-fd/mediapipe@1",
        title="Fréchet distance of the velocities of face points",
        family=Family.OPEN,
        granularity=Granularity.SET,
        values=(
            ValueSpec(
                key="velocity-fd",
                label="Velocity FD",
                direction=Direction.LOWER,
                unit="10⁻⁴ squared eye distances",
            ),
        ),
        extractors=(FACE,),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=103,
        source="docs/protocols/motion-fd-mediapipe.md",
        page="motion-fd-mediapipe",
    )

    def samples(self, clip: ClipFeatures) -> NDArray[np.float64]:
        """One row for each pair of neighbouring frames with a face; in hundredths of the eye distance per 1/25 s.

        Raises:
            Unscored: ``no_face`` when more than a fifth of the frames has none.
        """
        points = np.asarray(face_arrays(clip)["points68"], dtype=np.float64)
        shape = upright_points(points)
        rows: NDArray[np.float64] = 100.0 * np.diff(shape, axis=0) * (float(clip.fps) / REFERENCE_FPS)
        return rows[np.isfinite(rows).all(axis=1)]


def upright_points(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points 17 to 67 about the middle of the outer eye corners, turned upright, over their distance.

    Args:
        points: ``[n, 68, 2]`` in pixels; NaN where there is no face.

    Returns:
        ``float64 [n, 102]``.
    """
    left, right = (points[:, corner] for corner in OUTER_EYE_CORNERS_68)
    across = right - left
    scale = np.linalg.norm(across, axis=1, keepdims=True)
    x_axis = across / scale
    y_axis = np.stack([-x_axis[:, 1], x_axis[:, 0]], axis=1)
    away = (points[:, list(POINTS)] - ((left + right) / 2)[:, None]) / scale[:, None]
    upright = np.stack([(away * x_axis[:, None]).sum(axis=2), (away * y_axis[:, None]).sum(axis=2)], axis=2)
    return upright.reshape(len(points), -1)
