"""E-FID: Fréchet distance between the facial expressions of generated and true clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
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

VALUES = (ValueSpec(key="e-fid", label="E-FID", direction=Direction.LOWER, decimals=3),)


class _ExpressionDistance(SetMetric):
    """Fréchet distance over the expression of every frame that has a face, pooled over all clips."""

    extractor: ClassVar[str]
    array: ClassVar[str]

    def samples(self, clip: ClipFeatures) -> NDArray[np.float64]:
        """One row per frame with a face.

        Raises:
            Unscored: ``no_face`` when more than a fifth of the frames has none.
        """
        face_arrays(clip)
        rows = np.asarray(clip.arrays[self.extractor][self.array], dtype=np.float64)
        return rows[np.isfinite(rows).all(axis=1)]

    def compute(
        self, generated: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]]
    ) -> Mapping[str, float]:
        """The distance, raw coefficients, no whitening.

        Raises:
            Unscored: ``too_few`` with fewer frames than coefficients.
        """
        ours, theirs, least = joined(generated), joined(truth), self.spec.minimum_samples
        for side, rows in (("generated", ours), ("ground truth", theirs)):
            if len(rows) < least:
                raise Unscored(
                    "too_few", f"{len(rows)} frames with a face on the {side} side; at least {least} are needed"
                )
        return {"e-fid": frechet_distance(ours, theirs)}


class EFidMediaPipe(_ExpressionDistance):
    """E-FID on MediaPipe's 52 blendshape scores."""

    extractor: ClassVar[str] = FACE
    array: ClassVar[str] = "blendshapes"
    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="e-fid/mediapipe-52@1",
        title="Expression Fréchet distance (52 MediaPipe blendshapes)",
        family=Family.OPEN,
        granularity=Granularity.SET,
        values=VALUES,
        extractors=(FACE,),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=53,
        source="arXiv 2402.17485, section 4.3, with another expression space",
        page="e-fid-mediapipe-52",
        order=50,
    )


class EFid3ddfa(_ExpressionDistance):
    """E-FID on the 10 expression coefficients of 3DDFA_V2."""

    extractor: ClassVar[str] = "expression/3ddfa-v2@1"
    array: ClassVar[str] = "expression"
    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="e-fid/3ddfa-exp10@1",
        title="Expression Fréchet distance (10 coefficients of 3DDFA_V2)",
        family=Family.OPEN,
        granularity=Granularity.SET,
        values=VALUES,
        extractors=(FACE, "expression/3ddfa-v2@1"),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=11,
        source="arXiv 2402.17485, section 4.3, with the coefficients of 3DDFA_V2 (ECCV 2020)",
        page="e-fid-3ddfa-exp10",
        order=50,
    )


class EFidDeep3d(_ExpressionDistance):
    """E-FID on the 64 expression coefficients of Deep3DFaceRecon, which EMO's scale suggests."""

    extractor: ClassVar[str] = "expression/deep3d@1"
    array: ClassVar[str] = "expression"
    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="e-fid/deep3d-exp64@1",
        title="Expression Fréchet distance (64 coefficients of Deep3DFaceRecon)",
        family=Family.REFERENCE,
        granularity=Granularity.SET,
        values=VALUES,
        extractors=(FACE, "expression/deep3d@1"),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=65,
        source="arXiv 2402.17485, section 4.3; arXiv 1903.08527; github.com/sicxu/Deep3DFaceRecon_pytorch",
        page="e-fid-deep3d-exp64",
        order=50,
    )
