"""CLIP-IQA: picture quality without a reference, by a learned network that the user brings."""

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
from emo_metrics.extractors.clip_quality_frames import CLIP_QUALITY


class ClipIqa(ClipMetric):
    """Mean CLIP-IQA over up to 16 frames of a clip."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="clip-iqa/transformers@1",
        title="CLIP-IQA (picture quality without a reference) with your own CLIP folder",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(ValueSpec(key="clip-iqa", label="CLIP-IQA", direction=Direction.HIGHER),),
        extractors=(CLIP_QUALITY,),
        # It looks at single frames: a still portrait, and another person's real video, are as good as any.
        blind_to=frozenset({"other_identity", "frozen"}),
        source="Wang, Chan and Loy, AAAI 2023; torchmetrics' clip_image_quality_assessment",
        page="clip-iqa-transformers",
        group=PICTURE_QUALITY,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The mean of one clip."""
        return {"clip-iqa": float(np.mean(np.asarray(generated.arrays[CLIP_QUALITY]["score"], dtype=np.float64)))}
