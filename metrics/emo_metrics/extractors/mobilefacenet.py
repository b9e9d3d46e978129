"""The extractor ``identity/mobilefacenet@1``: who is seen in each frame, as a unit vector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray
from emo_metrics.extractors.identity import IdentityExtractor
from emo_metrics.faces.alignment import aligned_face
from emo_metrics.faces.finder import FACE_FILES

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


class MobileFaceNet(IdentityExtractor):
    """Identity on MobileFaceNet: 128 numbers."""

    name: ClassVar[str] = "identity/mobilefacenet@1"
    weights: ClassVar[tuple[str, ...]] = (NETWORK_FILE, *FACE_FILES)
    dimension: ClassVar[int] = DIMENSION

    def load(self, model: Path) -> IdentityNetwork:
        """The network."""
        return IdentityNetwork(model)
