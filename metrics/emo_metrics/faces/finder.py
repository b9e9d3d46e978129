"""Finds the one face that a clip is about, also when it is small, and says how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray
from emo_metrics.faces.landmarker import Face, Landmarker
from emo_metrics.faces.quiet import routine_notes_dropped

LANDMARKER_FILE: Final = "face_landmarker_v2_with_blendshapes.task"
DETECTOR_FILE: Final = "face_detection_yunet_2026may.onnx"
FACE_FILES: Final = (LANDMARKER_FILE, DETECTOR_FILE)
CROP_PER_BOX: Final = 2.5
"""Side of the square that is looked at again, as a multiple of the longer side of the expected face."""
DETECTOR_SIDE: Final = 640
"""Frames are shrunk to this longer side for the second detector."""
DETECTOR_CONFIDENCE: Final = 0.6
SAME_FACE_IOU: Final = 0.3


class FoundBy(IntEnum):
    """How the face of a frame was found."""

    NOTHING = 0
    WHOLE_FRAME = 1
    CROP_AT_LAST_BOX = 2
    CROP_AT_DETECTION = 3


@dataclass(frozen=True)
class Finding:
    """What was seen in one frame.

    Attributes:
        face: The face of the clip, or None.
        faces_seen: How many faces the landmarker reported where it found one; 0 when there was none.
        found_by: Which of the tries succeeded.
    """

    face: Face | None
    faces_seen: int
    found_by: FoundBy


NOT_FOUND: Final = Finding(None, 0, FoundBy.NOTHING)


def overlap(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Intersection over union of two boxes (left, top, right, bottom).

    >>> overlap(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2]))
    0.3333333333333333
    """
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    common = float(np.prod(np.clip(high - low, 0.0, None), dtype=np.float64))
    areas = sum(float(np.prod(box[2:] - box[:2], dtype=np.float64)) for box in (first, second))
    return common / (areas - common) if areas > common else 0.0


def choose(faces: list[Face], last_box: NDArray[np.floating] | None) -> Face | None:
    """The face that continues ``last_box`` (largest overlap of at least 0.3), else the one with the largest box."""
    if not faces:
        return None
    if last_box is not None:
        best = max(faces, key=lambda face: overlap(face.box, last_box))
        if overlap(best.box, last_box) >= SAME_FACE_IOU:
            return best
    return max(faces, key=lambda face: float(np.prod(face.box[2:] - face.box[:2])))


def square_around(box: NDArray[np.floating], height: int, width: int) -> tuple[int, int, int, int]:
    """The part of a frame to look at again: a square of 2.5 times the box's longer side, cut at the frame's edges.

    Returns:
        Left, top, right, bottom in whole pixels; empty (right <= left) when the box lies outside of the frame.
    """
    centre = (np.asarray(box[:2], dtype=np.float64) + box[2:]) / 2
    half = CROP_PER_BOX / 2 * float(np.max(box[2:] - box[:2]))
    left, top = (int(v) for v in np.floor(np.clip(centre - half, 0, [width, height])))
    right, bottom = (int(v) for v in np.ceil(np.clip(centre + half, 0, [width, height])))
    return left, top, right, bottom


class FaceFinder:
    """The landmarker on the whole frame and, where that sees nothing, on a crop of it.

    The order of the tries: the whole frame; a crop around the last box that is known (when the caller gives one); a
    crop around the largest face that YuNet sees.

    Args:
        landmarker: Path of ``face_landmarker_v2_with_blendshapes.task``.
        detector: Path of ``face_detection_yunet_2026may.onnx``.
    """

    def __init__(self, *, landmarker: Path, detector: Path) -> None:
        self._landmarker = Landmarker(landmarker)
        self._detector_path = detector
        self._detector: Any = None

    def find(self, frame: FrameArray, last_box: NDArray[np.floating] | None = None) -> Finding:
        """Looks for the face of the clip in one frame.

        Args:
            frame: ``uint8 RGB [H, W, 3]``.
            last_box: Where the face was shortly before (left, top, right, bottom in pixels), or None.
        """
        faces = self._landmarker.detect(frame)
        if faces:
            return Finding(choose(faces, last_box), len(faces), FoundBy.WHOLE_FRAME)
        if last_box is not None:
            finding = self._in_crop(frame, last_box, last_box, FoundBy.CROP_AT_LAST_BOX)
            if finding.face is not None:
                return finding
        detected = self._largest_detection(frame)
        if detected is None:
            return NOT_FOUND
        return self._in_crop(frame, detected, last_box, FoundBy.CROP_AT_DETECTION)

    def _in_crop(
        self, frame: FrameArray, box: NDArray[np.floating], last_box: NDArray[np.floating] | None, found_by: FoundBy
    ) -> Finding:
        left, top, right, bottom = square_around(box, *frame.shape[:2])
        if right - left < 8 or bottom - top < 8:
            return NOT_FOUND
        crop = np.ascontiguousarray(frame[top:bottom, left:right])
        faces = [face.moved(left, top) for face in self._landmarker.detect(crop)]
        return Finding(choose(faces, last_box), len(faces), found_by) if faces else NOT_FOUND

    def _largest_detection(self, frame: FrameArray) -> NDArray[np.float32] | None:
        import cv2

        height, width = frame.shape[:2]
        scale = min(1.0, DETECTOR_SIDE / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if self._detector is None:
            with routine_notes_dropped():
                self._detector = cv2.FaceDetectorYN.create(str(self._detector_path), "", size, DETECTOR_CONFIDENCE)
        self._detector.setInputSize(size)
        bgr = np.ascontiguousarray(frame[..., ::-1])
        small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else bgr
        _, rows = self._detector.detect(small)
        if rows is None or len(rows) == 0:
            return None
        x, y, w, h = max(rows, key=lambda row: float(row[2] * row[3]))[:4]
        return np.array([x, y, x + w, y + h], dtype=np.float32) / np.float32(scale)


def make_finder(weights: Mapping[str, Path]) -> FaceFinder:
    """The face finder from the verified paths that an extractor received."""
    return FaceFinder(landmarker=weights[LANDMARKER_FILE], detector=weights[DETECTOR_FILE])
