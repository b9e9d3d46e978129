"""Faces followed over time and cut out as SyncNet's pipeline does, in one pass and with bounded memory.

The pipeline of joonson/syncnet_python first detects, then tracks, then reads all frames again to cut them. Here a
frame is kept only until its place in every track is settled: a box is smoothed over six frames on either side and a
face may be missed for 25 frames, so at most 32 frames are held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray

CROP_SIDE: Final = 224
SMOOTHING: Final = 13
LONGEST_MISS: Final = 25
_REACH: Final = SMOOTHING // 2
_MIN_OVERLAP: Final = 0.5
_MARGIN: Final = 0.4
_GREY: Final = 110

Box = NDArray[np.float64]
"""Left, top, right, bottom in pixels, ``float64 [4]``."""
CropSink = Callable[[FrameArray], None]
"""Receives the crops of one track one after another, ``uint8 RGB [224, 224, 3]``."""


def overlap(a: Box, b: Box) -> float:
    """Intersection over union.

    >>> overlap(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2]))
    0.3333333333333333
    """
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return float(shared / union) if union > 0 else 0.0


@dataclass
class Track:
    """One face over consecutive frames.

    Attributes:
        start: Index of its first frame.
        sink: Where its crops go.
        detections: How many frames had a detection; the others are interpolated.
        boxes: A box for every frame from ``start`` to the last detection.
        cropped: How many frames have been handed to the sink.
    """

    start: int
    sink: CropSink
    detections: int = 0
    boxes: list[Box] = field(default_factory=list)
    cropped: int = 0

    @property
    def last(self) -> int:
        """Index of the frame of the last detection."""
        return self.start + len(self.boxes) - 1

    def extend(self, frame: int, box: Box) -> None:
        """Adds a detection and fills the frames since the last one by straight lines."""
        if self.boxes:
            before, gap = self.boxes[-1], frame - self.last
            self.boxes += [before + (box - before) * (step / gap) for step in range(1, gap)]
        self.boxes.append(box)
        self.detections += 1

    def mean_side(self) -> float:
        """The larger of mean width and mean height in pixels."""
        boxes = np.array(self.boxes)
        return float(max((boxes[:, 2] - boxes[:, 0]).mean(), (boxes[:, 3] - boxes[:, 1]).mean()))

    def smoothed(self, place: int) -> tuple[float, float, float]:
        """Half side and centre (x, y) at one place: medians over 13 frames, with zeros beyond the ends of the track."""
        window = np.zeros((SMOOTHING, 3))
        for slot in range(SMOOTHING):
            other = place - _REACH + slot
            if 0 <= other < len(self.boxes):
                x0, y0, x1, y1 = self.boxes[other]
                window[slot] = (max(y1 - y0, x1 - x0) / 2, (x0 + x1) / 2, (y0 + y1) / 2)
        half, x, y = np.median(window, axis=0)
        return float(half), float(x), float(y)


def cut_face(frame: FrameArray, half: float, x: float, y: float) -> FrameArray:
    """The face of SyncNet's framing: from ``half`` above the centre to 1.8 ``half`` below, 1.4 ``half`` to either side.

    Args:
        frame: ``uint8 RGB [H, W, 3]``; what lies outside is grey 110.
        half: Half side of the box in pixels.
        x: Centre in pixels.
        y: Centre in pixels.

    Returns:
        ``uint8 RGB [224, 224, 3]``, bilinear without antialiasing.
    """
    import cv2

    # Whole pixels are taken in the padded frame, where all coordinates are positive and truncation rounds down.
    pad = int(half * (1 + 2 * _MARGIN))
    top, bottom = int(y + pad - half) - pad, int(y + pad + half * (1 + 2 * _MARGIN)) - pad
    left, right = int(x + pad - half * (1 + _MARGIN)) - pad, int(x + pad + half * (1 + _MARGIN)) - pad
    bottom, right = max(bottom, top + 1), max(right, left + 1)
    height, width = frame.shape[:2]
    part = np.full((bottom - top, right - left, 3), _GREY, dtype=np.uint8)
    y0, y1, x0, x1 = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    if y1 > y0 and x1 > x0:
        part[y0 - top : y1 - top, x0 - left : x1 - left] = frame[y0:y1, x0:x1]
    return np.asarray(cv2.resize(part, (CROP_SIDE, CROP_SIDE)), dtype=np.uint8)


class FaceTracker:
    """Follows every face through a clip and hands out its crops.

    A face continues a track when its overlap with the track's last box is above one half and the track was seen within
    the last 25 frames; older tracks choose first. Faces that continue nothing begin a new track.

    Args:
        new_sink: Called once for every new track.
        best_face_only: Look only at the best face that is left in a frame, as MoChaBench's tracker does.
    """

    def __init__(self, new_sink: Callable[[], CropSink], *, best_face_only: bool = False) -> None:
        self._new_sink = new_sink
        self._best_face_only = best_face_only
        self._frames: dict[int, FrameArray] = {}
        self._open: list[Track] = []
        self.tracks: list[Track] = []

    def update(self, index: int, frame: FrameArray, boxes: NDArray[np.float64]) -> None:
        """Takes the next frame.

        Args:
            index: Of the frame; one more than the last time.
            frame: ``uint8 RGB [H, W, 3]``.
            boxes: ``float64 [faces, >= 4]``, best first.
        """
        self._frames[index] = frame.copy()
        faces = [np.asarray(row[:4], dtype=np.float64) for row in boxes]
        for track in self._open:
            self._continue(track, index, faces)
        for face in faces:
            track = Track(start=index, sink=self._new_sink())
            track.extend(index, face)
            self._open.append(track)
            self.tracks.append(track)
        self._advance(index)

    def finish(self) -> list[Track]:
        """All tracks in the order in which they began; their crops have all been handed out."""
        for track in self._open:
            self._crop(track, len(track.boxes))
        self._open = []
        self._frames = {}
        return self.tracks

    def _continue(self, track: Track, index: int, faces: list[Box]) -> None:
        candidates = faces[:1] if self._best_face_only else list(faces)
        for place, face in enumerate(candidates):
            if overlap(face, track.boxes[-1]) > _MIN_OVERLAP:
                track.extend(index, faces.pop(place))
                return

    def _advance(self, index: int) -> None:
        still_open = []
        for track in self._open:
            if index - track.last >= LONGEST_MISS:
                self._crop(track, len(track.boxes))
            else:
                self._crop(track, len(track.boxes) - _REACH)
                still_open.append(track)
        self._open = still_open
        needed = min((track.start + track.cropped for track in self._open), default=index + 1)
        for old in [kept for kept in self._frames if kept < needed]:
            del self._frames[old]

    def _crop(self, track: Track, end: int) -> None:
        while track.cropped < end:
            half, x, y = track.smoothed(track.cropped)
            track.sink(cut_face(self._frames[track.start + track.cropped], half, x, y))
            track.cropped += 1
