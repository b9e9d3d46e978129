"""What the identity extractors share: an embedding of each frame's face, and of the reference image's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Need, Piece
from emo_metrics.faces.finder import make_finder
from emo_metrics.faces.gaps import FACE
from emo_metrics.faces.landmark_sets import five_points


class Embedder(Protocol):
    """A face recognition network."""

    def embed(self, frame: FrameArray, five: NDArray[np.floating]) -> NDArray[np.float32]:
        """The identity of the face with these five points (pixels), as a unit vector."""


class IdentityExtractor(Extractor):
    """Identity on every frame with a face, and in the reference image.

    Arrays: ``embedding`` float32 [n, d], unit rows, NaN where no face was found; ``reference_embedding`` float32
    [1, d], NaN when the reference image has no face.

    Attributes:
        dimension: Length d of the embedding.
    """

    requires: ClassVar[tuple[str, ...]] = (FACE,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE_IMAGE})
    dimension: ClassVar[int]

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._network = self.load(weights[self.weights[0]])
        self._finder = make_finder(weights)

    @abstractmethod
    def load(self, model: Path) -> Embedder:
        """The network in the first of ``weights``."""

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        face = self._finder.find(clip.reference_image).face
        reference = np.full((1, self.dimension), np.nan, dtype=np.float32)
        if face is not None:
            reference[0] = self._network.embed(clip.reference_image, five_points(face.landmarks))
        return _Embeddings(self._network, reference)


class _Embeddings(Accumulator):
    def __init__(self, network: Embedder, reference: NDArray[np.float32]) -> None:
        self._network = network
        self._reference = reference

    def update(self, piece: Piece) -> Arrays:
        faces = piece.upstream[FACE]
        rows = np.full((len(piece.frames), self._reference.shape[1]), np.nan, dtype=np.float32)
        for index in np.flatnonzero(faces["found"]):
            rows[index] = self._network.embed(piece.frames[index], faces["five"][index])
        return {"embedding": rows}

    def finish(self) -> Arrays:
        return {"reference_embedding": self._reference}
