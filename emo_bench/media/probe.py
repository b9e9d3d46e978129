"""What a media file actually contains, measured by decoding it once in the limited child process."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from emo_bench.media.audio_samples import AudioBuilder, SampleFacts
from emo_bench.media.audio_timeline import AudioTimeline, DecodedAudio, audio_timeline
from emo_bench.media.child import DecodeChild, shown_name
from emo_bench.media.ending import DamagedError, check_end
from emo_bench.media.limits import DEFAULT_LIMITS, Limits
from emo_bench.media.notes import Note, distinct
from emo_bench.media.orientation import UPRIGHT, Orientation
from emo_bench.media.timeline import DecodedFrames, Timeline, video_timeline
from emo_bench.media.types import Audio
from emo_bench.media.wire import Kind
from emo_core.errors import DecodeError, LimitError

UNTAGGED = 2
"""FFmpeg's code for a colour property that a stream does not specify."""


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """Facts about a media file; the numbers are measured on decoded frames unless marked "declared".

    Attributes:
        container: FFmpeg's name of the container.
        n_video_streams: Video streams (cover art does not count).
        n_audio_streams: Audio streams.
        video_codec: Name of the decoder, or None without video.
        pixel_format: FFmpeg's name, or None.
        width: After rotation, in pixels; 0 without video.
        height: After rotation, in pixels; 0 without video.
        rotation: Degrees clockwise by which players rotate the stored frames.
        pixel_aspect: Width of a pixel divided by its height.
        nominal_fps: Frame rate as declared, or None.
        average_fps: Frames divided by duration, or None.
        is_vfr: Whether the intervals between frames differ by more than rounding.
        interval_min: Shortest time between frames in seconds.
        interval_max: Longest time between frames in seconds.
        n_frames: Decoded frames.
        video_start: Time of the first frame on the container's timeline, in seconds.
        video_seconds: From the first frame to the end of the last.
        audio_codec: Name of the decoder, or None without audio.
        audio_rate: Samples per second; 0 without audio.
        channels: Audio channels; 0 without audio.
        audio_start: Time of the first sample on the container's timeline, in seconds.
        audio_seconds: From the first sample to the end of the last one, gaps included.
        colour_matrix: FFmpeg's number of the YUV matrix that the stream states; 2 when it states none.
        transfer: FFmpeg's number of the transfer curve; 16 is PQ, 18 HLG.
        is_interlaced: Whether most frames are flagged as interlaced.
        notes: Timing corrections, assumptions, and what was skipped.
    """

    container: str
    n_video_streams: int
    n_audio_streams: int
    video_codec: str | None = None
    pixel_format: str | None = None
    width: int = 0
    height: int = 0
    rotation: int = 0
    pixel_aspect: Fraction = Fraction(1)
    nominal_fps: Fraction | None = None
    average_fps: Fraction | None = None
    is_vfr: bool = False
    interval_min: float = 0.0
    interval_max: float = 0.0
    n_frames: int = 0
    video_start: Fraction = Fraction(0)
    video_seconds: Fraction = Fraction(0)
    audio_codec: str | None = None
    audio_rate: int = 0
    channels: int = 0
    audio_start: Fraction = Fraction(0)
    audio_seconds: Fraction = Fraction(0)
    colour_matrix: int = UNTAGGED
    transfer: int = UNTAGGED
    is_interlaced: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def has_video(self) -> bool:
        """Whether there is a decodable video stream."""
        return self.n_frames > 0

    @property
    def has_audio(self) -> bool:
        """Whether there is an audio stream with at least one decoded sample."""
        return self.audio_seconds > 0

    def as_json(self) -> dict[str, Any]:
        """Plain values; fractions as ``"n/d"``, notes as their sentences."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Everything that one pass over a file yields.

    Attributes:
        info: The facts.
        timeline: When the frames are shown; None without video.
        stored_size: Width and height before rotation.
        orientation: How the stored frames become upright.
        audio: The audio, mono and resampled, if requested and present.
        sample_facts: Properties of its samples, if audio was requested and exists.
        signature: To detect that the file has changed, see ``file_signature``.
    """

    info: MediaInfo
    timeline: Timeline | None
    stored_size: tuple[int, int]
    orientation: Orientation
    audio: Audio | None
    sample_facts: SampleFacts | None
    signature: tuple[int, ...]


def probe(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> MediaInfo:
    """Measures a video or audio file in the limited child process.

    Args:
        path: A regular file; symbolic links are followed, so resolve and check them before.
        limits: What it may cost.

    Raises:
        DecodeError: not a readable media file, damaged, or cut off.
        LimitError: a limit is exceeded.
    """
    return scan(path, limits=limits).info


def scan(
    path: Path, *, video: bool = True, audio: bool = True, rate: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Scan:
    """One decoding pass over a file.

    Args:
        path: A regular file.
        video: Whether to decode frames.
        audio: Whether to decode audio.
        rate: Also return the audio, at this many samples per second.
        limits: What it may cost.

    Raises:
        DecodeError: not a readable media file, damaged, or cut off.
        LimitError: a limit is exceeded.
    """
    request = {"what": "scan", "video": video, "audio": audio, "send_audio": rate is not None}
    builder = AudioBuilder(rate=rate, limits=limits, name=shown_name(path)) if rate is not None else None
    declared: dict[str, Any] = {}
    signature = file_signature(path)
    with DecodeChild(path, request, limits=limits) as child:
        while True:
            kind, length = child.next_header()
            if kind is Kind.INFO:
                declared = child.read_json(length)
            elif kind is Kind.AUDIO and builder is not None:
                builder.add_message(child, length)
            elif kind is Kind.DONE:
                facts = {**declared, **child.read_json(length)}
                return _assemble(facts, builder, path=path, signature=signature, limits=limits)
            else:
                raise DecodeError(f"decoding {shown_name(path)} failed: unexpected message {kind!r}")


def file_signature(path: Path) -> tuple[int, ...]:
    """Size, modification time and inode of a file; differs when it was rewritten.

    Raises:
        DecodeError: the file is not there.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise DecodeError(f"{shown_name(path)} cannot be opened: {getattr(error, 'strerror', error)}") from error
    return (status.st_size, status.st_mtime_ns, status.st_ino)


def _assemble(
    facts: dict[str, Any], builder: AudioBuilder | None, *, path: Path, signature: tuple[int, ...], limits: Limits
) -> Scan:
    try:
        timeline, video_notes = _video_timeline(facts, limits) if facts["stamps"] else (None, ())
        audio_timing, audio_notes = _audio_timeline(facts, limits) if facts["audio_samples"] else (None, ())
        ending = check_end(facts, timeline, audio_timing)
    except DamagedError as error:
        raise DecodeError(f"{shown_name(path)}: {error}", fix="check that the file plays to its end") from None
    except LimitError as error:
        raise LimitError(f"{shown_name(path)}: {error.message}", expected=error.expected, found=error.found) from None
    tolerated = [Note(code, text) for code, text in facts["tolerated"]]
    known = {key: facts[key] for key in ("container", "n_video_streams", "n_audio_streams")}
    orientation, size = UPRIGHT, (0, 0)
    if timeline is not None:
        orientation = Orientation.from_matrix(facts["matrix"])
        size = (int(facts["size"][0]), int(facts["size"][1]))
        known |= _video_facts(facts, timeline, orientation, size)
    if audio_timing is not None:
        known |= {
            "audio_codec": facts["audio_codec"],
            "audio_rate": audio_timing.rate,
            "channels": int(facts["channels"]),
            "audio_start": audio_timing.start,
            "audio_seconds": audio_timing.seconds,
        }
    audio, samples = builder.finish(audio_timing) if builder is not None and audio_timing is not None else (None, None)
    return Scan(
        info=MediaInfo(**known, notes=distinct((*tolerated, *video_notes, *audio_notes, *ending))),
        timeline=timeline,
        stored_size=size,
        orientation=orientation,
        audio=audio,
        sample_facts=samples,
        signature=signature,
    )


def _video_timeline(facts: dict[str, Any], limits: Limits) -> tuple[Timeline, tuple[Note, ...]]:
    unit = Fraction(*facts["time_base"])
    rate, end = facts["nominal_fps"], facts["video_end"]
    frames = DecodedFrames(
        stamps=facts["stamps"],
        durations=facts["durations"],
        unit=unit,
        nominal_fps=Fraction(*rate) if rate and rate[0] else None,
        counts_chunks=facts["counts_chunks"],
        # The end that a cut AVI declares is where its frames would have ended.
        declared_end=int(Fraction(*end) / unit) if end and not facts["end"]["missing"] else None,
    )
    timeline, notes = video_timeline(frames)
    if timeline.seconds > limits.max_seconds:
        raise LimitError(f"the video is longer than {limits.max_seconds:g} s", found=f"{float(timeline.seconds):g} s")
    longest = timeline.intervals()[1]
    if longest > limits.max_gap_seconds:
        expected = f"at most {limits.max_gap_seconds:g} s"
        raise LimitError("a frame is held for too long", expected=expected, found=f"{float(longest):.1f} s")
    return timeline, notes


def _audio_timeline(facts: dict[str, Any], limits: Limits) -> tuple[AudioTimeline, tuple[Note, ...]]:
    audio = DecodedAudio(
        start=Fraction(*facts["audio_start"]),
        rate=int(facts["audio_rate"]),
        n_samples=int(facts["audio_samples"]),
        offsets=[(at, Fraction(number, divisor)) for at, number, divisor in facts["audio_offsets"]],
    )
    timeline, notes = audio_timeline(audio, max_gap=limits.max_gap_seconds)
    if timeline.seconds > limits.max_seconds:
        raise LimitError(f"the audio is longer than {limits.max_seconds:g} s", found=f"{float(timeline.seconds):g} s")
    return timeline, notes


def _video_facts(
    facts: dict[str, Any], timeline: Timeline, orientation: Orientation, size: tuple[int, int]
) -> dict[str, Any]:
    width, height = orientation.upright_size(size)
    shortest, longest = timeline.intervals()
    rate = facts["nominal_fps"]
    return {
        "video_codec": facts["video_codec"],
        "pixel_format": facts["pixel_format"],
        "width": width,
        "height": height,
        "rotation": orientation.degrees,
        "pixel_aspect": Fraction(*facts["pixel_aspect"]),
        "nominal_fps": Fraction(*rate) if rate and rate[0] else None,
        "average_fps": timeline.average_fps,
        "is_vfr": timeline.is_variable,
        "interval_min": float(shortest),
        "interval_max": float(longest),
        "n_frames": len(timeline),
        "video_start": timeline.start,
        "video_seconds": timeline.seconds,
        "colour_matrix": facts["colour"]["matrix"],
        "transfer": facts["colour"]["transfer"],
        "is_interlaced": 2 * facts["interlaced"] > len(timeline),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return [str(item) for item in value] if isinstance(value, tuple) else value
