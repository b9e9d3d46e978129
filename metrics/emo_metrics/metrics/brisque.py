"""BRISQUE: picture quality without a reference, by statistics of natural scenes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from emo_metrics.contract import (
    PICTURE_QUALITY,
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    ProtocolSpec,
    Unscored,
    ValueSpec,
)
from emo_metrics.extractors.brisque_frames import BRISQUE

MOST_UNIFORM: Final = 0.2
"""A clip with a larger share of uniform frames, which have no score, is not judged by its others."""


class Brisque(ClipMetric):
    """Mean BRISQUE over up to 16 frames of a clip."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="brisque/live@1",
        title="BRISQUE (picture quality without a reference)",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(ValueSpec(key="brisque", label="BRISQUE", direction=Direction.LOWER, decimals=2),),
        extractors=(BRISQUE,),
        # It looks at single frames: a still portrait, and another person's real video, are as good as any.
        blind_to=frozenset({"other_identity", "frozen"}),
        source="Mittal, Moorthy and Bovik, IEEE TIP 2012; package brisque 0.2.0",
        page="brisque-live",
        group=PICTURE_QUALITY,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The mean of one clip.

        Raises:
            Unscored: ``undefined`` when more than a fifth of the frames is uniform.
        """
        scores = np.asarray(generated.arrays[BRISQUE]["score"], dtype=np.float64)
        uniform = np.isnan(scores)
        if uniform.mean() > MOST_UNIFORM:
            raise Unscored(
                "undefined", f"{int(uniform.sum())} of {uniform.size} frames of clip {generated.clip_id!r} are uniform"
            )
        return {"brisque": float(np.nanmean(scores))}
