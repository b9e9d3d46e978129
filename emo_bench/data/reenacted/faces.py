"""Face points of stills and of drivers' frames, by the landmarker and finder of the open metrics; kept on disk."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo_bench.extract.weights import WeightsFinder
from emo_bench.media.types import FrameArray

if TYPE_CHECKING:
    from emo_metrics.faces.finder import FaceFinder


@dataclass(frozen=True, eq=False)
class Tracks:
    """Face points of a sequence of frames.

    Attributes:
        points: ``float64 [T, 478, 3]`` pixels; rows without a face repeat the nearest row with one.
        valid: ``bool [T]``, whether a face was found.
        rotation: ``float64 [T, 3, 3]`` of the head; MediaPipe's axes (x right, y up, z towards the camera).
        translation: ``float64 [T, 3]`` centimetres.
        faces_seen: ``int64 [T]``.
    """

    points: NDArray[np.float64]
    valid: NDArray[np.bool_]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    faces_seen: NDArray[np.int64]

    @property
    def share(self) -> float:
        """Share of the frames with a face."""
        return float(self.valid.mean()) if len(self.valid) else 0.0


class FaceReader:
    """Finds faces frame by frame, unsmoothed.

    Args:
        weights: Has the files of the face analysis.
        folder: Where found points are kept, by digest of their file; nothing is kept when absent.

    Raises:
        WeightsError: when a file is missing.
    """

    def __init__(self, weights: WeightsFinder, folder: Path | None = None) -> None:
        from emo_metrics.faces.finder import FACE_FILES

        self._paths = {name: weights.require(name) for name in FACE_FILES}
        self._folder = folder
        self._finder: FaceFinder | None = None

    def tracks(self, frames: FrameArray, *, digest: str = "") -> Tracks:
        """Face points of ``uint8 RGB [T, H, W, 3]``; taken from the folder when the digest is known there."""
        kept = self._folder / f"{digest}.npz" if self._folder is not None and digest else None
        known = None if kept is None else _read(kept)
        # The same video has fewer frames beside shorter audio.
        if known is not None and len(known.valid) == len(frames):
            return known
        made = self._look(frames)
        if kept is not None:
            _write(kept, made)
        return made

    def _look(self, frames: FrameArray) -> Tracks:
        from emo_metrics.faces.finder import make_finder
        from emo_metrics.faces.rotation import nearest_rotation

        if self._finder is None:
            self._finder = make_finder(self._paths)
        n = len(frames)
        points, transform = np.zeros((n, 478, 3)), np.tile(np.eye(4), (n, 1, 1))
        valid, seen = np.zeros(n, bool), np.zeros(n, np.int64)
        last = None
        for row, frame in enumerate(frames):
            found = self._finder.find(np.ascontiguousarray(frame), last)
            seen[row] = found.faces_seen
            if found.face is None or found.face.depth is None:
                continue
            last = found.face.box
            valid[row] = True
            points[row] = np.concatenate([found.face.landmarks, found.face.depth[:, None]], 1)
            transform[row] = found.face.transform
        return Tracks(held(points, valid), valid, nearest_rotation(transform[:, :3, :3]), transform[:, :3, 3], seen)


def held(points: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rows without a face repeat the nearest row with one; all zeros when there is none."""
    known = np.flatnonzero(valid)
    if len(known) == 0:
        return points
    nearest = known[np.abs(np.arange(len(points))[:, None] - known[None]).argmin(1)]
    return np.asarray(points[nearest], np.float64)


def _read(path: Path) -> Tracks | None:
    """What was kept; None when nothing was, or the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as found:
            return Tracks(**{name: found[name] for name in Tracks.__dataclass_fields__})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, tracks: Tracks) -> None:
    import io

    from emo_core.atomic import write_bytes

    buffer = io.BytesIO()
    np.savez(buffer, **{name: getattr(tracks, name) for name in Tracks.__dataclass_fields__})
    write_bytes(path, buffer.getvalue(), durable=False)
