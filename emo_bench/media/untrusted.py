"""Decoding of untrusted containers with checks at every step; runs in the child process only.

Imports PyAV only inside functions and nothing else heavy, so that the child starts fast.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, BinaryIO

from emo_bench.media.containers import DEMUXERS

NOTICEABLE_SECONDS = Fraction(3, 2000)
"""Changes of an audio stream's offset below this are rounding (Matroska counts milliseconds)."""

MAX_OFFSETS = 200_000
"""More changes of the offset than this are no clock at all."""


class RefusedError(Exception):
    """The file cannot be decoded."""


class TooMuchError(Exception):
    """A limit is exceeded."""


def open_container(stream: BinaryIO) -> Any:
    """The file behind ``stream`` as a PyAV container, allowed kinds only; names and protocols are ignored."""
    import av

    options = {
        "format_whitelist": ",".join(DEMUXERS),
        "protocol_whitelist": "file",
        "enable_drefs": "0",
        "use_absolute_path": "0",
        "max_streams": "32",
        "err_detect": "crccheck",
    }
    try:
        return av.open(stream, "r", options=options, metadata_errors="replace", buffer_size=1 << 18)
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        # FFmpeg knows the container, and it is not in the list.
        other = f"its container is none of {', '.join(DEMUXERS)}"
        reason = other if isinstance(error, av.error.ArgumentError) else describe(error)
        raise RefusedError(f"not a readable video or audio file ({reason})") from error


def describe(error: BaseException) -> str:
    """The plain words of an FFmpeg error."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words).strip().lower()


@dataclass
class VideoFacts:
    """Of the decoded frames: time stamps and durations in the stream's units, and the first frame's properties."""

    stamps: list[int | None] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    size: tuple[int, int] | None = None
    matrix: list[int] | None = None
    colour: dict[str, int] = field(default_factory=dict)
    interlaced: int = 0


@dataclass
class AudioFacts:
    """Of the decoded audio: see ``timeline.DecodedAudio``."""

    start: Fraction | None = None
    rate: int = 0
    channels: int = 0
    n_samples: int = 0
    offset: Fraction = Fraction(0)
    offsets: list[list[int]] = field(default_factory=list)


class Decoder:
    """Decodes the chosen streams of one container, checks limits on the way and collects raw facts about time.

    Args:
        container: From ``open_container``.
        limits: ``Limits.as_json()``.
        with_video: Whether to decode frames.
        with_audio: Whether to decode audio.
    """

    def __init__(self, container: Any, limits: dict[str, Any], *, with_video: bool, with_audio: bool) -> None:
        self.container = container
        self.limits = limits
        # Cover art attached to a song is not a video.
        videos = [s for s in container.streams.video if not (s.disposition & s.disposition.__class__.attached_pic)]
        self.n_video, self.n_audio = len(videos), len(container.streams.audio)
        self.video: Any = videos[0] if videos and with_video else None
        self.audio: Any = container.streams.audio[0] if self.n_audio and with_audio else None
        self.video_facts = VideoFacts()
        self.audio_facts = AudioFacts()
        self.tolerated: list[tuple[str, str]] = []
        self._counts_chunks = container.format.name == "avi"
        self._broken: dict[str, str] = {}
        for stream in (self.video, self.audio):
            if stream is not None:
                stream.thread_count = 1
                # Damaged data must be an error, not a concealed frame; checksums are verified.
                stream.codec_context.options = {"err_detect": "crccheck+explode"}
        if self.video is not None:
            self.video.codec_context.options |= {"max_pixels": str(int(limits["max_pixels"]))}
        self._check_declared()

    def describe(self) -> dict[str, Any]:
        """What the container says about itself, as plain values."""
        info: dict[str, Any] = {
            "container": self.container.format.name,
            "n_video_streams": self.n_video,
            "n_audio_streams": self.n_audio,
            "duration": _pair(Fraction(self.container.duration, 1_000_000)) if self.container.duration else None,
        }
        if self.video is not None:
            context = self.video.codec_context
            rate = self.video.guessed_rate or self.video.average_rate or self.video.base_rate
            aspect = self.video.sample_aspect_ratio
            info |= {
                "video_codec": context.name,
                "pixel_format": context.pix_fmt,
                "width": context.width,
                "height": context.height,
                "nominal_fps": _pair(rate),
                "pixel_aspect": _pair(aspect) if aspect else [1, 1],
                "time_base": _pair(self.video.time_base),
                "counts_chunks": self._counts_chunks,
                "video_end": _declared_end(self.video),
                "video_frames": self.video.frames,
            }
        if self.audio is not None:
            context = self.audio.codec_context
            info |= {"audio_codec": context.name, "audio_rate": context.rate, "channels": context.channels}
            info["audio_end"] = _declared_end(self.audio)
        return info

    def run(self) -> Iterator[Any]:
        """Yields every decoded frame in the order in which it is shown.

        Raises:
            RefusedError: the data are damaged.
            TooMuchError: a limit is exceeded.
        """
        import av
        import av.logging

        streams = [stream for stream in (self.video, self.audio) if stream is not None]
        packets = self.container.demux(*streams)
        with av.logging.Capture(local=False) as messages:
            while True:
                try:
                    packet = next(packets, None)
                except (av.error.FFmpegError, ValueError) as error:
                    if _is_memory(error):
                        raise MemoryError from error
                    raise RefusedError(f"{self._where()} the file cannot be read on ({describe(error)})") from error
                if packet is None:
                    break
                yield from self._decode(packet)
                self._check_messages(messages)
        self._check_end()

    def _check_messages(self, messages: list[tuple[int, str, str]]) -> None:
        # FFV1's decoder finds every flipped bit by its checksums, but only logs it.
        for _, source, text in messages:
            if source == "ffv1" and "CRC" in text:
                raise RefusedError(f"{self._where()} the video data are damaged (a checksum is wrong)")
        messages.clear()

    def _decode(self, packet: Any) -> Iterator[Any]:
        import av

        kind = packet.stream.type
        if kind in self._broken and packet.size:
            raise RefusedError(f"{self._where()} the {kind} data are damaged ({self._broken[kind]})")
        if kind == "video" and packet.dts is not None and (self._counts_chunks or packet.pts is None):
            # An AVI knows positions of chunks only; what demuxers call presentation times there is guessed.
            packet.pts = packet.dts
        # A demuxer also marks the last samples of a WAV of unstated size; ``ending`` judges those by the size.
        if packet.is_corrupt and packet.size and (kind == "video" or self.container.format.name == "mpegts"):
            self._note_broken(kind, "so marked by the container", whole=False)
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError) as error:
            if _is_memory(error):
                raise MemoryError from error
            self._note_broken(kind, describe(error), whole=packet.is_keyframe)
            return
        for frame in frames:
            if kind == "video":
                if not self._take_frame(frame):
                    continue
            else:
                self._take_audio(frame)
            yield frame

    def _note_broken(self, kind: str, reason: str, *, whole: bool) -> None:
        started = self.video_facts.stamps if kind == "video" else self.audio_facts.n_samples
        if not started and kind == "video" and whole:
            raise RefusedError(f"{self._where()} the video data are damaged ({reason})")
        if not started:
            # A recording cut in the middle of a stream begins with packets that refer to what came before.
            note = ("skipped_start", f"unreadable {kind} data before the first decodable frame were skipped")
            if note not in self.tolerated:
                self.tolerated.append(note)
        else:
            # Only the last packet of a stream may be damaged: the next one raises.
            self._broken.setdefault(kind, reason)

    def _take_frame(self, frame: Any) -> bool:
        facts = self.video_facts
        if frame.is_corrupt:
            self._note_broken("video", "the decoder marks a frame as damaged", whole=bool(frame.key_frame))
            if not facts.stamps:
                return False
        size = (frame.width, frame.height)
        if facts.size is None:
            facts.size = size
            facts.matrix = _display_matrix(frame)
            facts.colour = _colour(frame)
            # VP8 and VP9 keep it in a second stream of pictures that FFmpeg's own decoders do not read.
            if self.video.metadata.get("alpha_mode") == "1" or any(part.is_alpha for part in frame.format.components):
                text = "the video has an alpha channel, which is ignored: transparent parts show their stored colours"
                self.tolerated.append(("transparency", text))
        if size[0] * size[1] > self.limits["max_pixels"]:
            raise TooMuchError(f"a frame has {size[0]} x {size[1]} pixels, more than {self.limits['max_pixels']}")
        if size != facts.size:
            raise RefusedError(f"{self._where()} the frame size changes from {_by(facts.size)} to {_by(size)}")
        if len(facts.stamps) >= self.limits["max_frames"]:
            raise TooMuchError(f"the video has more than {self.limits['max_frames']} frames")
        facts.stamps.append(frame.pts)
        facts.durations.append(frame.duration or 0)
        facts.interlaced += bool(frame.interlaced_frame)
        return True

    def _take_audio(self, frame: Any) -> None:
        facts = self.audio_facts
        if facts.start is None:
            facts.rate, facts.channels = frame.sample_rate, frame.layout.nb_channels
            facts.start = frame.pts * frame.time_base if frame.pts is not None else Fraction(0)
        if frame.sample_rate != facts.rate:
            raise RefusedError(f"the sample rate changes from {facts.rate} to {frame.sample_rate} Hz")
        if frame.layout.nb_channels != facts.channels:
            found = f"{facts.channels} to {frame.layout.nb_channels}"
            raise RefusedError(
                f"after {facts.n_samples / facts.rate:.2f} s the number of audio channels changes from {found}"
            )
        if frame.pts is not None:
            offset = frame.pts * frame.time_base - facts.start - Fraction(facts.n_samples, facts.rate)
            if abs(offset - facts.offset) > NOTICEABLE_SECONDS:
                if len(facts.offsets) >= MAX_OFFSETS:
                    raise RefusedError("the time stamps of the audio keep changing")
                facts.offsets.append([facts.n_samples, offset.numerator, offset.denominator])
                facts.offset = offset
        facts.n_samples += frame.samples
        if facts.n_samples > self.limits["max_seconds"] * facts.rate:
            raise TooMuchError(f"the audio is longer than {self.limits['max_seconds']} s")

    def _check_declared(self) -> None:
        duration = self.container.duration
        if duration and duration / 1_000_000 > self.limits["max_seconds"]:
            raise TooMuchError(f"the header promises {duration / 1e6:.0f} s, more than {self.limits['max_seconds']} s")
        if self.video is None:
            return
        if self.video.frames > self.limits["max_frames"]:
            raise TooMuchError(f"the header promises {self.video.frames} frames, more than {self.limits['max_frames']}")
        context = self.video.codec_context
        if context.width * context.height > self.limits["max_pixels"]:
            size = _by((context.width, context.height))
            raise TooMuchError(f"the header promises {size} pixels a frame, more than {self.limits['max_pixels']}")

    def _check_end(self) -> None:
        for kind, reason in self._broken.items():
            self.tolerated.append(("damaged_end", f"the last packet of {kind} is damaged ({reason})"))
        if self.video is not None and not self.video_facts.stamps:
            promised = f"; the header promises {self.video.frames}" if self.video.frames else ""
            raise RefusedError(f"after 0 frames the video ends or cannot be decoded{promised}")

    def _where(self) -> str:
        if self.video is not None:
            return f"after {len(self.video_facts.stamps)} frames"
        return f"after {self.audio_facts.n_samples / max(1, self.audio_facts.rate):.2f} s"

    def outcome(self) -> dict[str, Any]:
        """What was decoded, as plain values; call it after ``run``."""
        return {
            "stamps": self.video_facts.stamps,
            "durations": self.video_facts.durations,
            "size": self.video_facts.size,
            "matrix": self.video_facts.matrix,
            "colour": self.video_facts.colour,
            "interlaced": self.video_facts.interlaced,
            "audio_start": _pair(self.audio_facts.start),
            "audio_samples": self.audio_facts.n_samples,
            "audio_rate": self.audio_facts.rate,
            "audio_offsets": self.audio_facts.offsets,
            "tolerated": self.tolerated,
        }


def _declared_end(stream: Any) -> list[int] | None:
    if stream.duration is None or stream.time_base is None:
        return None
    return _pair((stream.duration + (stream.start_time or 0)) * stream.time_base)


def _colour(frame: Any) -> dict[str, int]:
    """A frame's colour properties, as FFmpeg's codes."""
    return {
        "matrix": int(frame.colorspace),
        "range": int(frame.color_range),
        "transfer": int(frame.color_trc),
        "primaries": int(frame.color_primaries),
    }


def _display_matrix(frame: Any) -> list[int] | None:
    """The first four numbers (a, b, c, d) of the display matrix as signs, or None."""
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return None
    numbers = memoryview(bytes(data)).cast("i")
    return [numbers[0], numbers[1], numbers[3], numbers[4]]


def _pair(value: Fraction | None) -> list[int] | None:
    return [value.numerator, value.denominator] if value is not None else None


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
