"""The extractors of ArcFace: who is seen in each frame and in the reference image.

The two ONNX files are run directly, without insightface, whose defaults changed between versions. The five points come
from MediaPipe's landmarker, not from insightface's SCRFD, so values differ slightly from insightface's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray
from emo_metrics.extractors.identity import IdentityExtractor
from emo_metrics.faces.alignment import aligned_face
from emo_metrics.faces.finder import FACE_FILES

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


class _ArcFace(IdentityExtractor):
    dimension: ClassVar[int] = EMBEDDING

    def load(self, model: Path) -> ArcFaceNetwork:
        """The network."""
        return ArcFaceNetwork(model)


class ArcFaceR50(_ArcFace):
    """ResNet-50 trained on WebFace600K (buffalo_l)."""

    name: ClassVar[str] = "identity/arcface-w600k-r50@1"
    weights: ClassVar[tuple[str, ...]] = ("w600k_r50.onnx", *FACE_FILES)


class ArcFaceR100(_ArcFace):
    """ResNet-100 trained on Glint360K (antelopev2)."""

    name: ClassVar[str] = "identity/arcface-glint-r100@1"
    weights: ClassVar[tuple[str, ...]] = ("glintr100.onnx", *FACE_FILES)
