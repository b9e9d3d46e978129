"""F-SIM: how much the generated face looks like the person of the reference image."""

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
    Need,
    ProtocolSpec,
    Unscored,
    ValueSpec,
)
from emo_metrics.faces.gaps import FACE, face_arrays

VALUES = (
    ValueSpec(key="f-sim", label="F-SIM", direction=Direction.CLOSER_TO_GT, unit="cosine x 100", decimals=2),
    ValueSpec(
        key="f-sim-min",
        label="F-SIM min",
        direction=Direction.CLOSER_TO_GT,
        unit="cosine x 100",
        decimals=2,
        primary=False,
    ),
    ValueSpec(
        key="f-sim-std",
        label="F-SIM std",
        direction=Direction.CLOSER_TO_GT,
        unit="cosine x 100",
        decimals=2,
        primary=False,
    ),
)


class FSimMobileFaceNet(ClipMetric):
    """Cosine between each frame's identity and that of the reference image, times 100: mean, least and deviation.

    A face that never moves would come out too high, so what counts is how near a system is to the ground truth's own
    value (EMO, section 4.3).
    """

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="f-sim/mobilefacenet@1",
        title="Face similarity to the reference image (MobileFaceNet)",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=VALUES,
        extractors=(FACE, "identity/mobilefacenet@1"),
        needs=frozenset({Need.REFERENCE_IMAGE}),
        source="arXiv 2402.17485, section 4.3 (network unnamed there); aligned as insightface does",
        page="f-sim-mobilefacenet",
        order=30,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The three values of one clip.

        Raises:
            Unscored: ``no_face`` when the reference image or more than a fifth of the frames has no face.
        """
        face_arrays(generated)
        arrays = generated.arrays[self.spec.extractors[1]]
        reference = np.asarray(arrays["reference_embedding"], dtype=np.float64)[0]
        if not np.isfinite(reference).all():
            raise Unscored("no_face", f"no face was found in the reference image of clip {generated.clip_id!r}")
        rows = np.asarray(arrays["embedding"], dtype=np.float64)
        cosines = 100.0 * rows[np.isfinite(rows).all(axis=1)] @ reference
        return {"f-sim": float(cosines.mean()), "f-sim-min": float(cosines.min()), "f-sim-std": float(cosines.std())}


def _spec(variant: str, how: str) -> ProtocolSpec:
    return ProtocolSpec(
        name=f"f-sim/{variant}",
        title=f"Face similarity to the reference image ({how}; points of MediaPipe)",
        family=Family.REFERENCE,
        granularity=Granularity.CLIP,
        values=VALUES,
        extractors=(FACE, f"identity/{variant}"),
        needs=frozenset({Need.REFERENCE_IMAGE}),
        source="arXiv 2402.17485, section 4.3 (network unnamed there); arXiv 1801.07698; insightface's model packs",
        page="f-sim-arcface",
        order=30,
    )


class FSimArcFaceR50(FSimMobileFaceNet):
    """F-SIM on ArcFace R50."""

    spec: ClassVar[ProtocolSpec] = _spec("arcface-w600k-r50@1", "ArcFace R50, WebFace600K")


class FSimArcFaceR100(FSimMobileFaceNet):
    """F-SIM on ArcFace R100."""

    spec: ClassVar[ProtocolSpec] = _spec("arcface-glint-r100@1", "ArcFace R100, Glint360K")
