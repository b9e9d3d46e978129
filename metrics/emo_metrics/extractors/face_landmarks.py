"""The extractor ``face/mediapipe-landmarker@1``: one face per frame with points, blendshapes and head pose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, Need, Piece
from emo_metrics.faces.finder import FACE_FILES, FaceFinder, Finding, make_finder
from emo_metrics.faces.landmark_sets import IRISES, five_points, ibug_68
from emo_metrics.faces.rotation import nearest_rotation, pose_degrees

SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    "box": (4,),
    "points68": (68, 2),
    "irises": (2, 2),
    "five": (5, 2),
    "blendshapes": (52,),
    "rotation": (3, 3),
    "pose_degrees": (3,),
    "translation": (3,),
}
"""The float32 arrays of one frame; NaN where there is no face."""


def describe(finding: Finding) -> dict[str, NDArray[np.generic]]:
    """What is kept of one frame: the arrays of ``SHAPES``, and ``found``, ``n_faces`` and ``found_by`` as scalars."""
    face = finding.face
    row: dict[str, NDArray[np.generic]] = {
        "found": np.array(face is not None),
        "n_faces": np.array(finding.faces_seen, dtype=np.int16),
        "found_by": np.array(int(finding.found_by), dtype=np.int8),
    }
    if face is None:
        return row | {key: np.full(shape, np.nan, dtype=np.float32) for key, shape in SHAPES.items()}
    rotation = nearest_rotation(face.transform[:3, :3])
    values = {
        "box": face.box,
        "points68": ibug_68(face.landmarks),
        "irises": face.landmarks[list(IRISES)],
        "five": five_points(face.landmarks),
        "blendshapes": face.blendshapes,
        "rotation": rotation,
        "pose_degrees": pose_degrees(rotation),
        "translation": face.transform[:3, 3],
    }
    return row | {key: np.asarray(value, dtype=np.float32) for key, value in values.items()}


class FaceAnalysis(Extractor):
    """Face analysis with MediaPipe, frame by frame.

    Arrays with one row a frame: ``found`` bool, ``n_faces`` int16, ``found_by`` int8 (``finder.FoundBy``), ``box``
    float32 [4], ``points68`` [68, 2], ``irises`` [2, 2], ``five`` [5, 2] (pixels, x right, y down), ``blendshapes``
    [52], ``rotation`` [3, 3], ``pose_degrees`` [3] (yaw, pitch, roll), ``translation`` [3] (centimetres). The same
    names with ``reference_`` in front hold the reference image, with one row; ``frame_size`` is int32 [1, 2], height
    and width. Rows without a face are NaN; this extractor never fails a clip, the protocols decide.
    """

    name: ClassVar[str] = "face/mediapipe-landmarker@1"
    weights: ClassVar[tuple[str, ...]] = FACE_FILES
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE_IMAGE})

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._finder = make_finder(weights)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _Analysis(self._finder, clip)


class _Analysis(Accumulator):
    """Keeps only the last known box and how long ago it was seen."""

    def __init__(self, finder: FaceFinder, clip: ClipInputs) -> None:
        self._finder = finder
        self._clip = clip
        self._last_box: NDArray[np.float32] | None = None
        self._frames_since = 0
        self._memory = max(1, round(clip.fps))  # a face that was away for a second may be another one

    def update(self, piece: Piece) -> Arrays:
        rows = [describe(self._next(frame)) for frame in piece.frames]
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]} if rows else {}

    def _next(self, frame: NDArray[np.uint8]) -> Finding:
        known = self._last_box if self._frames_since <= self._memory else None
        finding = self._finder.find(frame, known)
        if finding.face is None:
            self._frames_since += 1
        else:
            self._last_box, self._frames_since = finding.face.box, 1
        return finding

    def finish(self) -> Arrays:
        reference = describe(self._finder.find(self._clip.reference_image))
        arrays: dict[str, NDArray[np.generic]] = {
            f"reference_{key}": np.asarray(value)[np.newaxis] for key, value in reference.items()
        }
        arrays["frame_size"] = np.array([[self._clip.height, self._clip.width]], dtype=np.int32)
        return arrays
