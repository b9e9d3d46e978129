"""The extractor ``identity/mobilefacenet@1``: who is seen in each frame, as a unit vector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Need, Piece
from emo_metrics.faces.alignment import aligned_face
from emo_metrics.faces.finder import FACE_FILES, FaceFinder, make_finder
from emo_metrics.faces.gaps import FACE
from emo_metrics.faces.landmark_sets import five_points

NETWORK_FILE: Final = "mobilefacenet_foamliu.onnx"
DIMENSION: Final = 128
MEAN: Final = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD: Final = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class IdentityNetwork:
    """MobileFaceNet through onnxruntime on one thread, one face at a time, so that no number depends on a batch.

    Args:
        model: Path of ``mobilefacenet_foamliu.onnx``.
    """

    def __init__(self, model: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            model.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._input: str = self._session.get_inputs()[0].name

    def embed(self, frame: FrameArray, five: NDArray[np.floating]) -> NDArray[np.float32]:
        """The identity of the face with these five points (pixels), as a unit vector ``float32 [128]``."""
        pixels = aligned_face(frame, five).astype(np.float32) / np.float32(255.0)
        tensor = np.ascontiguousarray(((pixels - MEAN) / STD).transpose(2, 0, 1)[np.newaxis])
        vector = np.asarray(self._session.run(None, {self._input: tensor})[0], dtype=np.float64)[0]
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


class MobileFaceNet(Extractor):
    """Identity of the clip's face on every frame and in the reference image.

    Arrays: ``embedding`` float32 [n, 128], unit rows, NaN where no face was found; ``reference_embedding`` float32
    [1, 128], NaN when the reference image has no face.
    """

    name: ClassVar[str] = "identity/mobilefacenet@1"
    weights: ClassVar[tuple[str, ...]] = (NETWORK_FILE, *FACE_FILES)
    requires: ClassVar[tuple[str, ...]] = (FACE,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE_IMAGE})

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._network = IdentityNetwork(weights[NETWORK_FILE])
        self._finder = make_finder(weights)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _Identity(self._network, self._finder, clip.reference_image)


class _Identity(Accumulator):
    def __init__(self, network: IdentityNetwork, finder: FaceFinder, reference: FrameArray) -> None:
        self._network = network
        self._finder = finder
        self._reference = reference

    def update(self, piece: Piece) -> Arrays:
        faces = piece.upstream[FACE]
        rows = np.full((len(piece.frames), DIMENSION), np.nan, dtype=np.float32)
        for index in np.flatnonzero(faces["found"]):
            rows[index] = self._network.embed(piece.frames[index], faces["five"][index].astype(np.float32))
        return {"embedding": rows}

    def finish(self) -> Arrays:
        row = np.full((1, DIMENSION), np.nan, dtype=np.float32)
        face = self._finder.find(self._reference).face
        if face is not None:
            row[0] = self._network.embed(self._reference, five_points(face.landmarks))
        return {"reference_embedding": row}
