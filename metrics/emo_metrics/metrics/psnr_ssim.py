"""PSNR and SSIM: means over the frames of a clip against the ground truth's frames of the same index."""

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
    Unscored,
    ValueSpec,
)
from emo_metrics.extractors.paired_pixels import PAIRED

LEAST_COMPARED: Final = 0.95


class _MeanOfFrames(ClipMetric):
    key: ClassVar[str]

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The mean over the frames of one clip.

        Raises:
            Unscored: ``not_applicable`` without ground truth; ``undefined`` when more than a twentieth of the frames
                has no counterpart.
        """
        rows = np.asarray(generated.arrays[PAIRED][self.key], dtype=np.float64)
        known = rows[np.isfinite(rows)]
        if known.size == 0:
            raise Unscored("not_applicable", f"no frame of clip {generated.clip_id!r} could be compared")
        if known.size < LEAST_COMPARED * rows.size:
            raise Unscored(
                "undefined",
                f"only {known.size} of {rows.size} frames of clip {generated.clip_id!r} have a frame of the ground "
                f"truth beside them; at least {LEAST_COMPARED:.0%} are needed",
            )
        return {self.key: float(known.mean())}


class Psnr(_MeanOfFrames):
    """Mean PSNR over frames; equal frames count as 100 dB."""

    key: ClassVar[str] = "psnr"
    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="psnr/rgb@1",
        title="Peak signal-to-noise ratio",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(ValueSpec(key="psnr", label="PSNR", direction=Direction.HIGHER, unit="dB", decimals=2),),
        extractors=(PAIRED,),
        needs=frozenset({Need.GROUND_TRUTH}),
        source="10 log10(255^2 / MSE) over RGB, per frame",
        page="psnr-rgb",
        order=80,
    )


class Ssim(_MeanOfFrames):
    """Mean SSIM over frames."""

    key: ClassVar[str] = "ssim"
    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="ssim/gauss11@1",
        title="Structural similarity",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(ValueSpec(key="ssim", label="SSIM", direction=Direction.HIGHER, decimals=4),),
        extractors=(PAIRED,),
        needs=frozenset({Need.GROUND_TRUTH}),
        source="Wang et al. 2004; Gaussian 11 x 11, sigma 1.5, per RGB channel, as torchmetrics",
        page="ssim-gauss11",
        order=90,
    )
