"""The talking clips whose motion and audio portraits get: from a manifest, or from a table with ready face points."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.manifest import read_manifest, video_of
from emo_bench.data.naming import clip_id
from emo_bench.data.reenacted.faces import FaceReader, Tracks, held
from emo_bench.data.reenacted.motion import DriverMotion, driver_motion
from emo_bench.data.reenacted.tables import path_below, table_rows
from emo_bench.media.types import FrameArray
from emo_core.errors import ClipError, DataError, NoFaceError
from emo_core.hashing import sha256_file

FPS = Fraction(25)
RATE = 16000
LEAST_FACES = 0.95
"""Share of a driver's frames that must show a face."""
_LATE_PICTURES = re.compile(r"pictures lag the sound by (\d+) frames?")


@dataclass(frozen=True, kw_only=True)
class DriverClip:
    """One talking clip.

    Attributes:
        id: Its name.
        video: Its video.
        audio: The audio beside it, if it is not inside.
        tracks: Ready face points (``landmarks [T, 478, 3]`` over the side of the square image, ``valid [T]``).
        person: Who speaks.
        licence: As the source says.
        late: Frames by which the images come after their audio, as the source says; the audio is delayed by them.
        split: Of the manifest; empty for clips of a table.
    """

    id: str
    video: Path
    audio: Path | None
    tracks: Path | None
    person: str
    licence: str
    late: int = 0
    split: str = ""

    def digest(self) -> str:
        """SHA-256 of the video."""
        return sha256_file(self.video)


@dataclass(frozen=True, eq=False)
class Driver:
    """A clip ready to drive portraits.

    Attributes:
        clip: The clip.
        frames: ``uint8 RGB [T, h, w, 3]`` at 25 frames a second.
        samples: ``float32``, 16 kHz, as long as the frames.
        tracks: Face points in pixels.
        motion: Pose and expression told apart.
    """

    clip: DriverClip
    frames: FrameArray
    samples: NDArray[np.float32]
    tracks: Tracks
    motion: DriverMotion


def read_drivers(motion: Path) -> tuple[DriverClip, ...]:
    """The clips of a manifest (``.jsonl``) or of a table.

    A table is a ``.csv`` with the columns ``file``, ``audio`` (below the table's folder) and, if it has them,
    ``tracks``, ``speaker``, ``licence``, ``note``.

    Raises:
        DataError: when there is no such file, it lists nothing, a path leaves its folder, or two clips have one id.
    """
    if motion.suffix.lower() != ".csv":
        manifest = read_manifest(motion)
        clips = tuple(
            DriverClip(
                id=entry.id,
                video=manifest.path(video_of(entry)),
                audio=manifest.path(entry.audio) if entry.audio else None,
                tracks=None,
                person=entry.identity,
                licence=str(entry.meta.get("licence", "")),
                late=-int(entry.meta.get("audio_offset_frames", 0)),
                split=entry.split,
            )
            for entry in manifest.entries
        )
    else:
        clips = tuple(_row_clips(motion))
        files: dict[str, Path] = {}
        for clip in clips:
            if clip.id in files:
                found = f"{files[clip.id]}, {clip.video}"
                raise DataError(f"two talking clips have the id {clip.id!r}", expected="one", found=found)
            files[clip.id] = clip.video
    if not clips:
        raise DataError(f"{motion} lists no talking clips", expected="at least one")
    return clips


def _row_clips(table: Path) -> list[DriverClip]:
    clips = []
    for row in table_rows(table, of="a manifest (.jsonl) or a table of clips (.csv)"):
        late = _LATE_PICTURES.search(row.get("note") or "")
        clips.append(
            DriverClip(
                id=clip_id(Path(row["file"])),
                video=path_below(table, row["file"]),
                audio=path_below(table, row["audio"]) if row.get("audio") else None,
                tracks=path_below(table, row["tracks"]) if row.get("tracks") else None,
                person=row.get("speaker") or Path(row["file"]).stem,
                licence=row.get("licence") or "",
                late=int(late.group(1)) if late else 0,
            )
        )
    return clips


@dataclass(frozen=True, eq=False)
class TrackedClip:
    """A decoded talking clip with its face points.

    Attributes:
        clip: The clip.
        frames: ``uint8 RGB [T, h, w, 3]`` at 25 frames a second.
        samples: ``float32``, 16 kHz, as long as the frames.
        tracks: Face points in pixels.
    """

    clip: DriverClip
    frames: FrameArray
    samples: NDArray[np.float32]
    tracks: Tracks


def open_tracked(clip: DriverClip, faces: Callable[[], FaceReader]) -> TrackedClip:
    """Decodes a clip and finds (or reads) its face points.

    Args:
        clip: The clip.
        faces: Gives the face reader; asked only when there are no ready points.

    Raises:
        DecodeError: when it cannot be decoded.
        NoFaceError: when too few of its frames show a face.
    """
    from emo_bench.media.decode import load_pair

    pair = load_pair(clip.video, clip.audio, fps=FPS, rate=RATE)
    frames = pair.video.read_all()
    own_rate = pair.video_info is not None and pair.video_info.average_fps == FPS
    tracks = _ready_tracks(clip.tracks, frames) if clip.tracks is not None and own_rate else None
    if tracks is None:
        tracks = faces().tracks(frames, digest=clip.digest())
    if tracks.share < LEAST_FACES:
        raise NoFaceError(
            f"driver {clip.id} shows no face on many frames", expected=f"{LEAST_FACES:.0%}", found=f"{tracks.share:.0%}"
        )
    delay = clip.late * int(RATE / FPS)
    samples = np.roll(pair.audio.samples, delay).astype(np.float32, copy=False)
    if delay > 0:
        samples[:delay] = 0
    elif delay < 0:
        samples[delay:] = 0
    return TrackedClip(clip, frames, samples, tracks)


def open_driver(clip: DriverClip, faces: FaceReader) -> Driver:
    """Opens a clip and tells its head pose from its expression.

    Raises:
        DecodeError: when it cannot be decoded.
        NoFaceError: when too few of its frames show a face.
    """
    found = open_tracked(clip, lambda: faces)
    motion = driver_motion(found.tracks.points, found.tracks.valid)
    return Driver(clip, found.frames, found.samples, found.tracks, motion)


def _ready_tracks(path: Path, frames: FrameArray) -> Tracks | None:
    """Ready points in pixels; None when they do not go with the frames."""
    n, height, width = frames.shape[:3]
    try:
        with np.load(path, allow_pickle=False) as stored:
            points = np.asarray(stored["landmarks"], np.float64)
            valid = np.asarray(stored["valid"], bool)
    except (OSError, ValueError, KeyError) as error:
        raise ClipError(f"the face points {path.name} cannot be read", found=str(error)) from None
    if points.shape[1:] != (478, 3) or not n <= len(points) <= n + 1 or height != width:
        return None
    points, valid = points[:n] * width, valid[:n]
    turn, seen = np.tile(np.eye(3), (n, 1, 1)), valid.astype(np.int64)
    return Tracks(held(points, valid), valid, turn, np.zeros((n, 3)), seen)
