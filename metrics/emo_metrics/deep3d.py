"""E-FID as EMO's scale suggests: Fréchet distance over 64 raw expression coefficients of Deep3DFaceRecon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.contract import (
    Accumulator,
    Arrays,
    ClipFeatures,
    ClipInputs,
    Direction,
    Extractor,
    Family,
    FrameArray,
    Granularity,
    Need,
    Piece,
    ProtocolSpec,
    SetMetric,
    Unscored,
    ValueSpec,
)
from emo_metrics.faces.coverage import FACE, face_arrays
from emo_metrics.frechet import frechet_distance
from emo_metrics.networks.deep3d import EXPRESSION, align_face, load_deep3d, template_points
from emo_metrics.networks.inference import exact_inference
from emo_metrics.samples import joined

NETWORK: Final = "epoch_20.pth"
TEMPLATE: Final = "similarity_Lm3D_all.mat"
NAME: Final = "expression/deep3d@1"
COEFFICIENTS: Final = 64


class Deep3dExpression(Extractor):
    """Expression coefficients of every frame with a face: array ``expression`` float32 [n, 64], NaN without a face."""

    name: ClassVar[str] = NAME
    weights: ClassVar[tuple[str, ...]] = (NETWORK, TEMPLATE)
    requires: ClassVar[tuple[str, ...]] = (FACE,)

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._network = load_deep3d(weights[NETWORK], device)
        self._template = template_points(weights[TEMPLATE])

    def expression(self, frame: FrameArray, five: NDArray[np.floating]) -> NDArray[np.float32]:
        """``float32 [64]`` of one face; ``five`` as in ``align_face``."""
        face = align_face(frame, five, self._template)
        x = torch.from_numpy(face.copy()).permute(2, 0, 1)[None].float() / 255.0
        with exact_inference():
            return np.asarray(self._network(x.to(self.device))[0, EXPRESSION].cpu().numpy(), dtype=np.float32)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _Expressions(self)


class _Expressions(Accumulator):
    def __init__(self, extractor: Deep3dExpression) -> None:
        self._extractor = extractor

    def update(self, piece: Piece) -> Arrays:
        faces = piece.upstream[FACE]
        rows = np.full((len(piece.frames), COEFFICIENTS), np.nan, dtype=np.float32)
        for index in np.flatnonzero(faces["found"]):
            rows[index] = self._extractor.expression(piece.frames[index], faces["five"][index].astype(np.float64))
        return {"expression": rows}

    def finish(self) -> Arrays:
        return {}


class EFidDeep3d(SetMetric):
    """E-FID over the expression of every frame that has a face, raw coefficients."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="e-fid/deep3d-exp64@1",
        title="Expression Fréchet distance (64 coefficients of Deep3DFaceRecon)",
        family=Family.REFERENCE,
        granularity=Granularity.SET,
        values=(ValueSpec(key="e-fid", label="E-FID", direction=Direction.LOWER),),
        extractors=(FACE, NAME),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=COEFFICIENTS + 1,
        source="arXiv 2402.17485, section 4.3; arXiv 1903.08527; github.com/sicxu/Deep3DFaceRecon_pytorch",
    )

    def samples(self, clip: ClipFeatures) -> NDArray[np.float64]:
        """One row per frame with a face.

        Raises:
            Unscored: ``no_face`` when more than a fifth of the frames has none.
        """
        face_arrays(clip)
        rows = np.asarray(clip.arrays[NAME]["expression"], dtype=np.float64)
        return rows[np.isfinite(rows).all(axis=1)]

    def compute(
        self, generated: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]]
    ) -> Mapping[str, float]:
        """The distance.

        Raises:
            Unscored: ``too_few`` with fewer frames than coefficients.
        """
        ours, theirs = joined(generated), joined(truth)
        if min(len(ours), len(theirs)) < self.spec.minimum_samples:
            raise Unscored(
                "too_few", f"{len(ours)} and {len(theirs)} frames with a face; {self.spec.minimum_samples} are needed"
            )
        return {"e-fid": frechet_distance(ours, theirs)}
