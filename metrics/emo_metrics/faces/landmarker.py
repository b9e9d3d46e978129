"""MediaPipe's face landmarker on single frames: points in pixels, blendshapes and head pose of every face."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray
from emo_metrics.faces.quiet import routine_notes_dropped

MOST_FACES = 4
"""More faces than these in one frame are not told apart."""


@dataclass(frozen=True)
class Face:
    """One face in one frame.

    Attributes:
        landmarks: ``float32 [478, 2]``, pixels, x to the right and y down.
        blendshapes: ``float32 [52]`` in [0, 1], in the order of ``landmark_sets.BLENDSHAPE_NAMES``.
        transform: ``float64 [4, 4]``, canonical face (centimetres) to camera; x right, y up, z towards the camera.
        depth: ``float32 [478]``, in the unit of the landmarks, smaller is nearer; None where it is not known.
    """

    landmarks: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    transform: NDArray[np.float64]
    depth: NDArray[np.float32] | None = None

    @property
    def box(self) -> NDArray[np.float32]:
        """Bounds of the landmarks as ``float32 [4]``: left, top, right, bottom in pixels; may leave the frame."""
        return np.concatenate([self.landmarks.min(axis=0), self.landmarks.max(axis=0)])

    def moved(self, x: float, y: float) -> Face:
        """The face in a frame of which this one's was the part that begins at (x, y)."""
        return Face(self.landmarks + np.array([x, y], dtype=np.float32), self.blendshapes, self.transform, self.depth)


def _close(network: Any) -> None:
    """Closes a network, also while Python shuts down, where the package's own clean-up prints a traceback."""
    try:
        network.close()
    except RuntimeError:
        network._handle = None  # its threads are gone already, and the process takes the memory with it


class Landmarker:
    """The landmarker in image mode: each frame is looked at by itself.

    Video mode would follow a face from frame to frame and smooth it; then a row would depend on the frames before it,
    and quick mouth movements would be damped (docs/protocols/face-mediapipe-landmarker.md has the measurement).

    Args:
        model: Path of ``face_landmarker_v2_with_blendshapes.task``.
    """

    def __init__(self, model: Path) -> None:
        with routine_notes_dropped():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            self._image: Any = mediapipe.Image
            self._format: Any = mediapipe.ImageFormat.SRGB
            # the file goes in as bytes: a path with characters outside of ASCII is not opened on every platform
            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_buffer=model.read_bytes()),
                running_mode=vision.RunningMode.IMAGE,
                num_faces=MOST_FACES,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
            self._network: Any = vision.FaceLandmarker.create_from_options(options)
            weakref.finalize(self, _close, self._network)
            self.detect(np.zeros((64, 64, 3), dtype=np.uint8))  # the threads' first notes come with the first frame

    def detect(self, frame: FrameArray) -> list[Face]:
        """All faces in a frame ``uint8 RGB [H, W, 3]``, in the network's order; an empty list when there is none."""
        height, width = frame.shape[:2]
        image = self._image(image_format=self._format, data=np.ascontiguousarray(frame))
        result = self._network.detect(image)
        faces = []
        rows = zip(result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True)
        for points, shapes, matrix in rows:
            xy = np.array([(point.x * width, point.y * height) for point in points], dtype=np.float32)
            scores = np.array([shape.score for shape in shapes], dtype=np.float32)
            depth = np.array([point.z * width for point in points], dtype=np.float32)
            faces.append(Face(xy, scores, np.array(matrix, dtype=np.float64), depth))
        return faces
