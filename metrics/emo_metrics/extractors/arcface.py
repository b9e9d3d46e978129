"""The extractors of ArcFace: who is seen in each frame and in the reference image.

The two ONNX files are run directly, without insightface, whose defaults changed between versions. The five points come
from MediaPipe's landmarker, not from insightface's SCRFD, so values differ slightly from insightface's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    Accumulator,
    Arrays,
    ClipInputs,
    Extractor,
    FrameArray,
    Need,
    Piece,
)
from emo_metrics.faces.alignment import aligned_face
from emo_metrics.faces.finder import FACE_FILES, make_finder
from emo_metrics.faces.gaps import FACE
from emo_metrics.faces.landmark_sets import five_points

EMBEDDING: Final = 512


class ArcFaceNetwork:
    """An ArcFace ONNX file on one thread, one face at a time, so that no number depends on a batch.

    Args:
        model: Path of the ONNX file: input ``[n, 3, 112, 112]``, output ``[n, 512]``.

    Raises:
        ValueError: when the file has another input or output.
    """

    def __init__(self, model: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(model), sess_options=options, providers=["CPUExecutionProvider"]
        )
        (entry,) = self._session.get_inputs()
        self._input: str = entry.name
        if list(entry.shape[1:]) != [3, 112, 112]:
            raise ValueError(f"{model.name}: expected images of 3 x 112 x 112, found {entry.shape[1:]}")

    def embed(self, frame: FrameArray, five: NDArray[np.floating]) -> NDArray[np.float32]:
        """Identity of the face with these five points (pixels), as a unit vector ``float32 [512]``.

        Aligned to 112 x 112, RGB, (x − 127.5) / 127.5.
        """
        face = (aligned_face(frame, five).astype(np.float32) - 127.5) / 127.5
        (output,) = self._session.run(None, {self._input: np.ascontiguousarray(face.transpose(2, 0, 1)[None])})
        vector = np.asarray(output, dtype=np.float64).reshape(-1)
        if vector.shape != (EMBEDDING,):
            raise ValueError(f"expected an embedding of {EMBEDDING} numbers, found {vector.shape}")
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


class _ArcFace(Extractor):
    """Identity on every frame with a face, and in the reference image.

    Arrays: ``embedding`` float32 [n, 512], unit rows, NaN where no face was found; ``reference_embedding`` float32
    [1, 512], NaN when the reference image has no face.
    """

    requires: ClassVar[tuple[str, ...]] = (FACE,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE_IMAGE})

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._network = ArcFaceNetwork(weights[self.weights[0]])
        self._finder = make_finder(weights)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        face = self._finder.find(clip.reference_image).face
        row = np.full((1, EMBEDDING), np.nan, dtype=np.float32)
        if face is not None:
            row[0] = self._network.embed(clip.reference_image, five_points(face.landmarks))
        return _Identities(self._network, row)


class _Identities(Accumulator):
    def __init__(self, network: ArcFaceNetwork, reference: NDArray[np.float32]) -> None:
        self._network = network
        self._reference = reference

    def update(self, piece: Piece) -> Arrays:
        faces = piece.upstream[FACE]
        rows = np.full((len(piece.frames), EMBEDDING), np.nan, dtype=np.float32)
        for index in np.flatnonzero(faces["found"]):
            rows[index] = self._network.embed(piece.frames[index], faces["five"][index].astype(np.float64))
        return {"embedding": rows}

    def finish(self) -> Arrays:
        return {"reference_embedding": self._reference}


class ArcFaceR50(_ArcFace):
    """ResNet-50 trained on WebFace600K (buffalo_l)."""

    name: ClassVar[str] = "identity/arcface-w600k-r50@1"
    weights: ClassVar[tuple[str, ...]] = ("w600k_r50.onnx", *FACE_FILES)


class ArcFaceR100(_ArcFace):
    """ResNet-100 trained on Glint360K (antelopev2)."""

    name: ClassVar[str] = "identity/arcface-glint-r100@1"
    weights: ClassVar[tuple[str, ...]] = ("glintr100.onnx", *FACE_FILES)
