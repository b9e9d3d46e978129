"""Flicker: brightness that jumps away for one frame and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from emo_metrics.contract import (
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    ProtocolSpec,
    Unscored,
    ValueSpec,
)
from emo_metrics.extractors.flicker_pixels import FLICKER


class Flicker(ClipMetric):
    """Mean flicker over the frames of a clip, of single pixels and of the whole image."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="flicker/luma@1",
        title="Flicker of brightness",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(key="flicker", label="Flicker", direction=Direction.CLOSER_TO_GT, unit="grey levels"),
            ValueSpec(
                key="flicker-whole",
                label="Flicker of the picture",
                direction=Direction.CLOSER_TO_GT,
                unit="grey levels",
                primary=False,
            ),
        ),
        extractors=(FLICKER,),
        # Another person's real video flickers as any real video does.
        blind_to=frozenset({"other_identity"}),
        source="docs/protocols/flicker-luma.md",
        page="flicker-luma",
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """Both means of one clip.

        Raises:
            Unscored: ``too_short`` with fewer than three frames.
        """
        arrays = generated.arrays[FLICKER]
        pixel, whole = (np.asarray(arrays[key], dtype=np.float64) for key in ("pixel", "whole"))
        known = np.isfinite(pixel)
        if not known.any():
            raise Unscored("too_short", f"clip {generated.clip_id!r} has fewer than 3 frames")
        return {"flicker": float(pixel[known].mean()), "flicker-whole": float(whole[known].mean())}
