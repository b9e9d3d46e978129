"""LPIPS: mean perceptual distance between generated and true frames of the same index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from emo_metrics.contract import (
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    Need,
    ProtocolSpec,
    ValueSpec,
)

VALUES: Final = (ValueSpec(key="lpips", label="LPIPS", direction=Direction.LOWER, decimals=4),)


class _LpipsMean(ClipMetric):
    """Mean over the sampled frames of a clip."""

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """LPIPS of one clip."""
        (extractor,) = self.spec.extractors
        return {"lpips": float(np.mean(generated.arrays[extractor]["distance"].astype(np.float64)))}


def _spec(trunk: str, network: str) -> ProtocolSpec:
    return ProtocolSpec(
        name=f"lpips/{trunk}@0.1",
        title=f"Perceptual distance to the true frame ({network}, version 0.1, 32 frames of a clip)",
        family=Family.REFERENCE,
        granularity=Granularity.CLIP,
        values=VALUES,
        extractors=(f"lpips-frames/{trunk}@0.1",),
        needs=frozenset({Need.GROUND_TRUTH}),
        source="arXiv 1801.03924; github.com/richzhang/PerceptualSimilarity, version 0.1",
        page="lpips",
        order=70,
    )


class LpipsAlex(_LpipsMean):
    """LPIPS on AlexNet."""

    spec: ClassVar[ProtocolSpec] = _spec("alex", "AlexNet")


class LpipsVgg(_LpipsMean):
    """LPIPS on VGG16."""

    spec: ClassVar[ProtocolSpec] = _spec("vgg", "VGG16")
