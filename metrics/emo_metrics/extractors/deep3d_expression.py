"""The extractor ``expression/deep3d@1``: expression coefficients of Deep3DFaceRecon for every frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.contract import (
    Accumulator,
    Arrays,
    ClipInputs,
    Extractor,
    FrameArray,
    Piece,
)
from emo_metrics.faces.gaps import FACE
from emo_metrics.networks.deep3d import EXPRESSION, align_face, load_deep3d, template_points
from emo_metrics.networks.inference import exact_inference

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
