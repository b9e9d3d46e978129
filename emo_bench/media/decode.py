"""Untrusted videos and audio as typed frames and samples, by stated rules (in full in docs/media.md).

* **Time.** ``t = 0`` is the first video frame on the container's timeline. Output frame ``i`` shows the source frame
  whose presentation time is nearest to ``i / fps``, the earlier one on ties, but none early by more than half an output
  interval; the last frame lasts its own duration. Video that already has the wanted constant rate passes through
  untouched. What the presentation times are is decided in ``timeline``.
* **Audio.** Mean of the channels (the first one where they cancel), soxr at quality HQ, float32. Audio from inside the
  video is put in place by its own start time (silence before, or cut); audio from its own file starts with the first
  frame.
* **Common span.** ``floor((min(video, audio) + 0.5 ms) * fps)`` frames, and exactly as much audio.
* **Pixels.** Display matrix applied, libswscale with pinned flags, matrix and range as tagged (untagged: BT.601 below a
  shorter side of 720, BT.709 from there on; limited range); resizing is swscale's bicubic, which widens its kernel
  when shrinking. Non-square pixels stay as stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from emo_bench.media.audio_file import conversion_notes, load_audio, no_audio, quality_notes, stream_notes
from emo_bench.media.child import DecodeChild, shown_name
from emo_bench.media.colour import colour_notes
from emo_bench.media.limits import DEFAULT_LIMITS, Limits
from emo_bench.media.notes import Note, distinct
from emo_bench.media.orientation import Orientation
from emo_bench.media.probe import MediaInfo, Scan, file_signature, scan
from emo_bench.media.recipe import FileFrames, indices_of, runs_of
from emo_bench.media.timeline import TOLERANCE, Timeline, count_frames, source_indices
from emo_bench.media.types import PIECE_LENGTH, Audio, FrameArray, Video, VideoSpec, samples_for_frames
from emo_bench.media.wire import Kind
from emo_core.errors import DecodeError, TooShortError
from emo_core.hashing import sha256_file

PIECE_BYTES = 64 << 20
"""Chunks of large frames hold fewer of them, so that a chunk stays below this."""

DEFAULT_FPS = Fraction(25)
"""Frame rate of every protocol unless it says otherwise."""

DEFAULT_RATE = 16000
"""Sample rate of every protocol unless it says otherwise."""


SAME_RATE = Fraction(1, 100_000)
"""Rates that differ by less are one: Matroska keeps whole nanoseconds a frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MediaPair:
    """A video and its audio, of the same length.

    Attributes:
        video: The frames.
        audio: The audio, exactly ``samples_for_frames(video.spec.n_frames)`` samples.
        notes: What was done to the material or assumed about it; empty when nothing was.
        video_info: Facts about the video's file; None for the project's own clips.
        audio_info: Facts about the file that the audio came from (the same object when it is inside the video).
    """

    video: Video
    audio: Audio
    notes: tuple[Note, ...] = ()
    video_info: MediaInfo | None = None
    audio_info: MediaInfo | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedVideo:
    """A video alone, with notes and facts about it.

    Attributes:
        video: The frames.
        notes: What was done to the material or assumed about it, its own audio included; empty when nothing was.
        info: Facts about the file.
    """

    video: Video
    notes: tuple[Note, ...]
    info: MediaInfo


def load_video(path: Path, *, fps: Fraction = DEFAULT_FPS, limits: Limits = DEFAULT_LIMITS) -> LoadedVideo:
    """A finished output of a system: as ``open_video``, with the notes that ``load_pair`` would give.

    Its audio is decoded only to find where the frames start relative to it.

    Args:
        path: A regular file; symbolic links are followed, so resolve and check them before.
        fps: Frame rate of the result.
        limits: What each pass may cost.

    Raises:
        DecodeError: not a readable video, damaged, or cut off.
        LimitError: a limit is exceeded.
    """
    found = scan(path, limits=limits)
    timeline = _require_video(path, found)
    n_frames = max(1, count_frames(timeline.seconds, fps=fps))
    video = _video(path, found, fps=fps, n_frames=n_frames, size=None, limits=limits)
    notes = [*_rate_notes(found, fps), *_frame_notes(found, video.spec)]
    offset = found.info.audio_start - found.info.video_start if found.info.has_audio else Fraction(0)
    if abs(offset) > TOLERANCE:
        notes.append(_offset_note(offset, "its own audio", "frames are counted from the first one"))
    return LoadedVideo(video=video, notes=distinct((*notes, *found.info.notes)), info=found.info)


def open_video(
    path: Path,
    *,
    fps: Fraction | None = DEFAULT_FPS,
    size: tuple[int, int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Video:
    """A video file as frames at a constant rate.

    The file is decoded once here, to know its exact timeline, and once more at each reading, always in the limited
    child process. Closing (or dropping) the iterator ends that process.

    Args:
        path: A regular file; symbolic links are followed, so resolve and check them before.
        fps: Frame rate of the result; None keeps the source's own (its average for a variable rate).
        size: Width and height of the result (after rotation; the frame is stretched to it); None keeps the source's.
        limits: What each pass may cost.

    Raises:
        DecodeError: not a readable video, damaged, or cut off (says after which frame).
        LimitError: a limit is exceeded.
    """
    found = scan(path, audio=False, limits=limits)
    timeline = _require_video(path, found)
    rate = fps if fps is not None else own_rate(found)
    n_frames = max(1, count_frames(timeline.seconds, fps=rate))
    return _video(path, found, fps=rate, n_frames=n_frames, size=size, limits=limits)


def read_audio(path: Path, *, rate: int = DEFAULT_RATE, limits: Limits = DEFAULT_LIMITS) -> Audio:
    """The audio of ``audio_file.load_audio``, whose arguments and errors it has, without the notes."""
    return load_audio(path, rate=rate, limits=limits).audio


def load_pair(
    video_path: Path,
    audio_path: Path | None = None,
    *,
    fps: Fraction = DEFAULT_FPS,
    rate: int = DEFAULT_RATE,
    size: tuple[int, int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> MediaPair:
    """A video with its audio on one timeline, by the rules at the top of this module.

    Args:
        video_path: The video; a regular file.
        audio_path: The audio, unless it is taken from inside the video.
        fps: Frames per second of the result.
        rate: Samples per second of the result.
        size: Width and height of the result; None keeps the video's.
        limits: What each decoding pass may cost.

    Raises:
        NoAudioError: there is no audio.
        TooShortError: the common span is shorter than one frame.
        DecodeError: a file is not readable, damaged, or cut off.
        LimitError: a limit is exceeded.
    """
    inside = audio_path is None
    found = scan(video_path, audio=inside, rate=rate if inside else None, limits=limits)
    timeline = _require_video(video_path, found)
    audio_scan = found if audio_path is None else scan(audio_path, video=False, rate=rate, limits=limits)
    if audio_scan.audio is None:
        raise no_audio(audio_path or video_path)
    offset = audio_scan.info.audio_start - found.info.video_start if inside else Fraction(0)
    audio_end = offset + audio_scan.info.audio_seconds
    n_frames = count_frames(min(timeline.seconds, audio_end), fps=fps)
    if n_frames < 1:
        span = f"{float(offset):.3f} s to {float(audio_end):.3f} s"
        raise TooShortError(
            f"{shown_name(video_path)}: video and audio have no whole frame in common",
            found=f"{float(timeline.seconds):.3f} s of video; audio from {span}",
        )
    video = _video(video_path, found, fps=fps, n_frames=n_frames, size=size, limits=limits)
    audio = place_audio(audio_scan.audio, offset=offset, n_samples=samples_for_frames(n_frames, rate=rate, fps=fps))
    notes = _notes(found, audio_scan, offset=offset, audio_end=audio_end, video=video, rate=rate)
    return MediaPair(video=video, audio=audio, notes=notes, video_info=found.info, audio_info=audio_scan.info)


def place_audio(audio: Audio, *, offset: Fraction, n_samples: int) -> Audio:
    """Audio that starts ``offset`` seconds after t = 0, cut or padded with silence to exactly ``n_samples`` from t = 0.

    >>> place_audio(Audio(np.ones(4, np.float32), 2), offset=Fraction(1), n_samples=5).samples
    array([0., 0., 1., 1., 1.], dtype=float32)
    """
    shift = round(offset * audio.rate)
    result = np.zeros(n_samples, np.float32)
    source = audio.samples[max(0, -shift) :]
    start = max(0, shift)
    length = max(0, min(len(source), n_samples - start))
    result[start : start + length] = source[:length]
    return Audio(result, audio.rate)


def frames_per_piece(width: int, height: int) -> int:
    """How many frames travel together: ``PIECE_LENGTH``, or fewer when they are large.

    >>> frames_per_piece(512, 512), frames_per_piece(1920, 1080)
    (32, 10)
    """
    return max(1, min(PIECE_LENGTH, PIECE_BYTES // (width * height * 3)))


def own_rate(found: Scan) -> Fraction:
    """The source's own frame rate: as declared when the frames keep to it, else the measured average."""
    assert found.timeline is not None  # noqa: S101 - callers checked that there is a video
    average, nominal = found.timeline.average_fps, found.info.nominal_fps
    if not found.timeline.is_variable and nominal is not None and abs(average / nominal - 1) < Fraction(1, 100):
        return nominal
    return average.limit_denominator(1001)


def _require_video(path: Path, found: Scan) -> Timeline:
    if found.timeline is None:
        raise DecodeError(f"{shown_name(path)} has no video stream", expected="a video", found=found.info.container)
    return found.timeline


def _video(
    path: Path, found: Scan, *, fps: Fraction, n_frames: int, size: tuple[int, int] | None, limits: Limits
) -> Video:
    assert found.timeline is not None  # noqa: S101 - callers checked that there is a video
    indices = source_indices(found.timeline, fps=fps, n_frames=n_frames)
    stored = found.orientation.upright_size(size) if size is not None else found.stored_size
    width, height = found.orientation.upright_size(stored)
    spec = VideoSpec(width=width, height=height, fps=fps, n_frames=n_frames)

    def unchanged() -> None:
        if file_signature(path) != found.signature:
            raise DecodeError(f"{shown_name(path)} changed since it was examined", fix="leave files alone during a run")

    def pieces() -> Iterator[FrameArray]:
        unchanged()
        for piece in _read_pieces(path, indices, stored, limits):
            yield found.orientation.apply(piece)

    def recipe() -> FileFrames:
        digest = sha256_file(path)
        unchanged()
        return FileFrames(
            path=str(path.absolute()),
            sha256=digest,
            runs=runs_of(indices),
            width=stored[0],
            height=stored[1],
            turns=found.orientation.turns,
            mirror=found.orientation.mirror,
            fps=str(fps),
            source_pixels=found.stored_size[0] * found.stored_size[1],
        )

    return Video(spec, pieces, recipe)


def open_file_frames(frames: FileFrames, path: Path, *, limits: Limits = DEFAULT_LIMITS) -> Video:
    """The frames that a recipe chose from a file, without probing the file again: check its SHA-256 first.

    Args:
        frames: The recipe.
        path: The file's current path.
        limits: What each reading may cost.
    """
    indices = list(indices_of(frames.runs))
    orientation = Orientation(turns=frames.turns, mirror=frames.mirror)
    width, height = orientation.upright_size((frames.width, frames.height))

    def pieces() -> Iterator[FrameArray]:
        for piece in _read_pieces(path, indices, (frames.width, frames.height), limits):
            yield orientation.apply(piece)

    spec = VideoSpec(width=width, height=height, fps=Fraction(frames.fps), n_frames=len(indices))
    return Video(spec, pieces, lambda: frames)


def _read_pieces(path: Path, indices: list[int], size: tuple[int, int], limits: Limits) -> Iterator[FrameArray]:
    """Stored (not yet upright) frames with the given source indices, repeated where an index is repeated."""
    width, height = size
    length = frames_per_piece(width, height)
    request = {"what": "frames", "indices": sorted(set(indices)), "size": size}
    with DecodeChild(path, request, limits=limits) as child:
        last: FrameArray | None = None
        for start in range(0, len(indices), length):
            wanted = indices[start : start + length]
            piece = np.empty((len(wanted), height, width, 3), np.uint8)
            for row, index in enumerate(wanted):
                if last is not None and index == (indices[start + row - 1]):
                    piece[row] = last
                else:
                    _read_frame(child, piece[row], path)
                last = piece[row]
            last = piece[-1].copy()
            yield piece


def _read_frame(child: DecodeChild, target: FrameArray, path: Path) -> None:
    kind, length = child.next_header()
    if kind is not Kind.FRAME or length != target.nbytes:
        raise DecodeError(f"decoding {shown_name(path)} failed: expected a frame of {target.nbytes} bytes")
    child.read_into(target.reshape(-1).data)


def _notes(
    found: Scan, audio_scan: Scan, *, offset: Fraction, audio_end: Fraction, video: Video, rate: int
) -> tuple[Note, ...]:
    """What differs from 25 fps, upright, mono at the right rate, and equally long; in the order of the work."""
    info, audio = found.info, audio_scan.info
    fps = video.spec.fps
    span = Fraction(video.spec.n_frames) / fps
    conversion = conversion_notes(audio_scan, rate=rate)
    notes = [*_rate_notes(found, fps), *_frame_notes(found, video.spec), *conversion]
    if abs(offset) > TOLERANCE:
        notes.append(_offset_note(offset, "the video", "padded with silence" if offset > 0 else "cut"))
    for what, left in (("audio", audio_end - span), ("video", info.video_seconds - span)):
        if left >= 1 / fps and (what == "video" or left > 1 / fps):
            text = f"{what} ends {float(left):.3f} s after the last frame used: cut"
            notes.append(Note(f"{what}_longer", text, {"seconds": round(float(left), 6)}))
    notes += stream_notes(audio_scan)
    return distinct((*notes, *info.notes, *audio.notes, *quality_notes(audio_scan)))


def _rate_notes(found: Scan, fps: Fraction) -> list[Note]:
    own = own_rate(found)
    # Frames that an AVI leaves out are repeats: its rate is constant, and a separate note reports them.
    repeats = any(note.code == "repeated_frames" for note in found.info.notes)
    if found.info.is_vfr and not repeats:
        text = f"variable frame rate ({float(own):.3f} fps on average) resampled to {float(fps):g} fps"
        return [Note("variable_rate", text, {"average": round(float(own), 6), "fps": float(fps)})]
    if found.timeline is not None and repeats:
        own = 1 / (found.timeline.usual_step * found.timeline.unit)
    if abs(own / fps - 1) < SAME_RATE:
        return []
    text = f"frame rate converted from {float(own):.3f} to {float(fps):g} fps"
    return [Note("frame_rate", text, {"source": round(float(own), 6), "fps": float(fps)})]


def _frame_notes(found: Scan, spec: VideoSpec) -> list[Note]:
    info = found.info
    notes = []
    if found.orientation.degrees:
        text = f"rotated by {found.orientation.degrees} degrees as the file asks"
        notes.append(Note("rotated", text, {"degrees": found.orientation.degrees}))
    if found.orientation.mirror:
        notes.append(Note("mirrored", "mirrored as the file asks"))
    if info.pixel_aspect != 1:
        notes.append(Note("pixel_aspect", f"pixels are not square ({info.pixel_aspect}); left as stored"))
    if (spec.width, spec.height) != (info.width, info.height):
        notes.append(Note("resized", f"resized from {info.width}x{info.height} to {spec.width}x{spec.height}"))
    if info.is_interlaced:
        notes.append(Note("interlaced", "interlaced frames, not deinterlaced"))
    size = (info.width, info.height)
    notes += colour_notes(pixel_format=info.pixel_format, matrix=info.colour_matrix, transfer=info.transfer, size=size)
    if info.n_video_streams > 1:
        notes.append(Note("several_video_streams", f"first of {info.n_video_streams} video streams used"))
    return notes


def _offset_note(offset: Fraction, other: str, consequence: str) -> Note:
    """Of audio that starts ``offset`` seconds after the video, or of a video that starts after its own audio."""
    seconds = abs(float(offset))
    if other == "the video":
        what, side = "audio", "after" if offset > 0 else "before"
    else:
        what, side = "the video", "before" if offset > 0 else "after"
    return Note("audio_offset", f"{what} starts {seconds:.3f} s {side} {other}: {consequence}", {"seconds": seconds})
