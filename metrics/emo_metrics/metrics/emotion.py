"""Whether the face wears the expression that the real one wears: levels and spread of expressive blendshapes."""

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
from emo_metrics.faces.landmark_sets import blendshape

CUES: Final[Mapping[str, tuple[str, ...]]] = {
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "frown": ("mouthFrownLeft", "mouthFrownRight"),
    "brows down": ("browDownLeft", "browDownRight"),
    "brows up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "eyes wide": ("eyeWideLeft", "eyeWideRight"),
    "eyes narrow": ("eyeSquintLeft", "eyeSquintRight"),
    "nose": ("noseSneerLeft", "noseSneerRight"),
    "lips pressed": ("mouthPressLeft", "mouthPressRight"),
}
"""Parts of an expression that speech alone hardly moves, and their blendshapes."""


def cues(clip: ClipFeatures) -> NDArray[np.float64]:
    """The cues on every frame with a face, ``float64 [m, 8]`` in [0, 1], in the order of ``CUES``.

    Raises:
        Unscored: ``no_face`` when more than a fifth of the frames has none.
    """
    shapes = np.asarray(face_arrays(clip)["blendshapes"], dtype=np.float64)
    rows = np.stack([blendshape(shapes, *names) for names in CUES.values()], axis=1)
    return rows[np.isfinite(rows).all(axis=1)]


class Emotion(ClipMetric):
    """Mean absolute difference from the ground truth of the cues' means and of their standard deviations over time."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="emotion/mediapipe@1",
        title="Expression against the ground truth's (8 cues of MediaPipe's blendshapes)",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(key="emotion", label="Emotion", direction=Direction.LOWER),
            ValueSpec(key="emotion-range", label="Emotion range", direction=Direction.LOWER, primary=False),
        ),
        extractors=(FACE,),
        needs=frozenset({Need.GROUND_TRUTH}),
        source="docs/protocols/emotion-mediapipe.md",
        page="emotion-mediapipe",
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """Both differences of one clip.

        Raises:
            Unscored: ``no_face``; ``not_applicable`` without a ground truth.
        """
        if truth is None:
            raise Unscored("not_applicable", "there is no ground truth to compare the expression with")
        ours, theirs = cues(generated), cues(truth)
        return {
            "emotion": float(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).mean()),
            "emotion-range": float(np.abs(ours.std(axis=0) - theirs.std(axis=0)).mean()),
        }
