"""How sharp the face is: a quality that needs no ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from emo_metrics.contract import (
    PICTURE_QUALITY,
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    ProtocolSpec,
    ValueSpec,
)
from emo_metrics.extractors.face_crop_quality import FACE_CROP
from emo_metrics.faces.gaps import FACE, face_arrays


class FaceSharpness(ClipMetric):
    """Mean over the frames of the standard deviation of the Laplacian in the face's square."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="sharpness/face@1",
        title="Sharpness of the face",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(
                key="sharpness",
                label="Sharpness",
                direction=Direction.CLOSER_TO_GT,
                unit="grey levels",
                decimals=2,
            ),
        ),
        extractors=(FACE_CROP, FACE),
        # A sharp portrait that never moves, and another person's real video, are as sharp as any.
        blind_to=frozenset({"other_identity", "frozen"}),
        source="docs/protocols/sharpness-face.md",
        page="sharpness-face",
        group=PICTURE_QUALITY,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The mean of one clip.

        Raises:
            Unscored: ``no_face`` when more than a fifth of the frames has none.
        """
        face_arrays(generated)
        return {"sharpness": float(np.nanmean(np.asarray(generated.arrays[FACE_CROP]["sharpness"], dtype=np.float64)))}
