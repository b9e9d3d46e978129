"""Decoding of untrusted containers with checks at every step; runs in the child process only.

Imports PyAV only inside functions and nothing else of weight, so that the child starts fast.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

DEMUXERS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,wav,flac,mp3,ogg,aac,ivf,h264,hevc,obu,aiff,w64,caf"
"""Containers that are read; playlists, scripts, image sequences and devices are not among them."""

DECLARES_DURATION = ("mov", "matroska", "avi", "wav", "flac")
"""Containers whose header states the duration, so that a file that was cut off can be told."""

MISSING_SECONDS = Fraction(1, 4)
"""A file may end this much before what its header says (a lost last packet, rounding); more is a truncated file."""


class RefusedError(Exception):
    """The file cannot be decoded."""


class TooMuchError(Exception):
    """A limit is exceeded."""


def open_container(stream: BinaryIO) -> Any:
    """The file behind ``stream`` as a PyAV container, allowed kinds only; names and protocols play no part."""
    import av

    options = {
        "format_whitelist": DEMUXERS,
        "protocol_whitelist": "file",
        "enable_drefs": "0",
        "use_absolute_path": "0",
        "max_streams": "32",
    }
    try:
        return av.open(stream, "r", options=options, metadata_errors="replace", buffer_size=1 << 18)
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise RefusedError(f"not a readable video or audio file ({describe(error)})") from error


def describe(error: BaseException) -> str:
    """The plain words of an FFmpeg error."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words).strip().lower()


class Decoder:
    """Decodes the chosen streams of one container and checks limits on the way.

    Args:
        container: From ``open_container``.
        limits: ``Limits.as_json()``.
        with_video: Whether pictures are wanted.
        with_audio: Whether sound is wanted.
    """

    def __init__(self, container: Any, limits: dict[str, Any], *, with_video: bool, with_audio: bool) -> None:
        self.container = container
        self.limits = limits
        # A picture attached to a song is not a video.
        videos = [s for s in container.streams.video if not (s.disposition & s.disposition.__class__.attached_pic)]
        self.n_video, self.n_audio = len(videos), len(container.streams.audio)
        self.video: Any = videos[0] if videos and with_video else None
        self.audio: Any = container.streams.audio[0] if self.n_audio and with_audio else None
        self.stamps: list[int] = []
        self.last_duration = 0
        self.size: tuple[int, int] | None = None
        self.matrix: list[int] | None = None
        self.audio_start: Fraction | None = None
        self.audio_end = Fraction(0)
        self.audio_samples = 0
        self.audio_rate = 0
        self.tolerated: list[str] = []
        self._broken: dict[str, str] = {}
        for stream in (self.video, self.audio):
            if stream is not None:
                stream.thread_count = 1
        if self.video is not None:
            self.video.codec_context.options = {"max_pixels": str(int(limits["max_pixels"]))}
        self._check_declared()

    def describe(self) -> dict[str, Any]:
        """What the container says about itself, as plain values."""
        info: dict[str, Any] = {
            "container": self.container.format.name,
            "n_video_streams": self.n_video,
            "n_audio_streams": self.n_audio,
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
            }
        if self.audio is not None:
            context = self.audio.codec_context
            info |= {"audio_codec": context.name, "audio_rate": context.rate, "channels": context.channels}
        return info

    def run(self) -> Iterator[Any]:
        """Yields every decoded frame in the order of the file.

        Raises:
            RefusedError: the data are damaged or the file was cut off.
            TooMuchError: a limit is exceeded.
        """
        import av

        streams = [stream for stream in (self.video, self.audio) if stream is not None]
        packets = self.container.demux(*streams)
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
        self._check_end()

    def _decode(self, packet: Any) -> Iterator[Any]:
        import av

        kind = packet.stream.type
        if kind in self._broken and packet.size:
            raise RefusedError(f"{self._where()} the {kind} data are damaged ({self._broken[kind]})")
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError) as error:
            if _is_memory(error):
                raise MemoryError from error
            self._note_broken(kind, describe(error))
            return
        for frame in frames:
            if kind == "video":
                self._take_picture(frame)
            else:
                self._take_sound(frame)
            yield frame

    def _note_broken(self, kind: str, reason: str) -> None:
        started = self.stamps if kind == "video" else self.audio_samples
        if not started:
            # A recording cut in the middle of a stream begins with packets that refer to what came before.
            text = f"unreadable {kind} data before the first decodable frame were skipped"
            if text not in self.tolerated:
                self.tolerated.append(text)
        else:
            # Only the last packet of a stream may be damaged: the next one raises.
            self._broken.setdefault(kind, reason)

    def _take_picture(self, frame: Any) -> None:
        size = (frame.width, frame.height)
        if self.size is None:
            self.size = size
            self.matrix = _display_matrix(frame)
        if size[0] * size[1] > self.limits["max_pixels"]:
            raise TooMuchError(f"a frame has {size[0]} x {size[1]} pixels, more than {self.limits['max_pixels']}")
        if size != self.size:
            raise RefusedError(f"{self._where()} the picture size changes from {_by(self.size)} to {_by(size)}")
        if len(self.stamps) >= self.limits["max_frames"]:
            raise TooMuchError(f"the video has more than {self.limits['max_frames']} frames")
        unit = frame.time_base or self.video.time_base
        step = frame.duration or self._usual_step(unit)
        stamp = frame.pts
        if self.stamps and (stamp is None or stamp <= self.stamps[-1]):
            stamp = self.stamps[-1] + max(1, self.last_duration)
        self.stamps.append(stamp or 0)
        self.last_duration = max(1, step)
        if (self.stamps[-1] - self.stamps[0]) * unit > self.limits["max_seconds"]:
            raise TooMuchError(f"the video is longer than {self.limits['max_seconds']} s")

    def _usual_step(self, unit: Fraction) -> int:
        if len(self.stamps) > 1:
            return self.stamps[-1] - self.stamps[-2]
        rate = self.video.guessed_rate or self.video.average_rate or Fraction(25)
        return max(1, round(1 / (rate * unit)))

    def _take_sound(self, frame: Any) -> None:
        if self.audio_start is None:
            self.audio_rate = frame.sample_rate
            self.audio_start = (frame.pts or 0) * frame.time_base if frame.pts is not None else Fraction(0)
            self.audio_end = self.audio_start
        if frame.sample_rate != self.audio_rate:
            raise RefusedError(f"the sample rate changes from {self.audio_rate} to {frame.sample_rate} Hz")
        if frame.pts is not None:
            self.audio_end = frame.pts * frame.time_base
        self.audio_end += Fraction(frame.samples, self.audio_rate)
        self.audio_samples += frame.samples
        if self.audio_samples > self.limits["max_seconds"] * self.audio_rate:
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
            self.tolerated.append(f"the last packet of {kind} is damaged and was left out ({reason})")
        if self.video is not None and not self.stamps:
            promised = f"; the header promises {self.video.frames}" if self.video.frames else ""
            raise RefusedError(f"after 0 frames the video ends or cannot be decoded{promised}")
        name = self.container.format.name.split(",")[0]
        if name not in DECLARES_DURATION:
            return
        if name == "avi" and self.video is not None:
            # The demuxer adapts the duration of a cut AVI to its size, but not the number of frames.
            lost = self.video.frames - len(self.stamps)
            if lost > MISSING_SECONDS * (self.video.average_rate or 25):
                raise RefusedError(f"{self._where()} the video ends, but the header promises {self.video.frames}")
        for kind, stream, decoded in self._ends():
            if stream.duration is None or stream.time_base is None:
                continue
            promised = (stream.duration + (stream.start_time or 0)) * stream.time_base
            if promised - decoded > MISSING_SECONDS:
                raise RefusedError(
                    f"{self._where()} the {kind} ends at {float(decoded):.2f} s, but the header promises "
                    f"{float(promised):.2f} s: the file was cut off"
                )
        self._check_container_end()

    def _check_container_end(self) -> None:
        # Matroska states one duration for all streams; it is comparable only when all of them were decoded.
        every = self.n_audio + self.n_video == len(self._ends())
        if self.container.format.name != "matroska,webm" or not self.container.duration or not every:
            return
        promised = Fraction(self.container.duration, 1_000_000)
        decoded = max((end for _, _, end in self._ends()), default=promised)
        if promised - decoded > MISSING_SECONDS:
            raise RefusedError(
                f"{self._where()} the data end at {float(decoded):.2f} s, but the header promises "
                f"{float(promised):.2f} s: the file was cut off"
            )

    def _ends(self) -> list[tuple[str, Any, Fraction]]:
        ends: list[tuple[str, Any, Fraction]] = []
        if self.video is not None:
            ends.append(("video", self.video, (self.stamps[-1] + self.last_duration) * self.video.time_base))
        if self.audio is not None:
            ends.append(("audio", self.audio, self.audio_end))
        return ends

    def _where(self) -> str:
        return f"after {len(self.stamps)} frames" if self.video is not None else f"after {float(self.audio_end):.2f} s"

    def outcome(self) -> dict[str, Any]:
        """What was decoded, as plain values; call it after ``run``."""
        return {
            "stamps": self.stamps,
            "last_duration": self.last_duration,
            "size": self.size,
            "matrix": self.matrix,
            "audio_start": _pair(self.audio_start),
            "audio_samples": self.audio_samples,
            "audio_rate": self.audio_rate,
            "tolerated": self.tolerated,
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
