"""The project's own clip files: every pixel and every sample exactly as it was, and the same bytes each time.

Matroska with RGB H.264 at quantiser 0 (one thread, preset ``ultrafast``) and 32-bit float PCM; see docs/adr/0003.
Own clips are trusted (the stores check their SHA-256 before use), so they are read in this process, without limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from emo_bench.media.child import shown_name
from emo_bench.media.decode import MediaPair, frames_per_piece
from emo_bench.media.types import Audio, FrameArray, Video, VideoSpec
from emo_core.atomic import atomic_path
from emo_core.errors import DecodeError, GenerationError
from emo_core.hashing import sha256_file

if TYPE_CHECKING:
    from av.container import InputContainer

SUFFIX = ".mkv"
"""Extension of clip files."""

CLIP_FORMAT = "emo-bench-clip-2"
"""Written into every clip as its title; changes whenever the bytes of the same clip would."""

READABLE = (CLIP_FORMAT, "emo-bench-clip-1")
"""Titles that ``open_clip`` accepts; the first format searched less for motion and was 8 % larger."""


@dataclass(frozen=True, kw_only=True)
class ClipQuality:
    """How exactly a clip keeps its pixels.

    Attributes:
        crf: Quantiser of x264; 0 keeps every value, 6 stays within a few levels (docs/datasets/hdtf.md).
        preset: x264's preset, which trades time for size.
    """

    crf: int = 0
    preset: str = "ultrafast"

    @property
    def options(self) -> dict[str, str]:
        """For the encoder; at a quantiser above 0 without x264's macroblock tree, whose bits vary from run to run."""
        more = "subme=2:me=hex" if self.crf == 0 else "mbtree=0"
        return {"crf": str(self.crf), "preset": self.preset, "x264-params": more}

    @property
    def title(self) -> str:
        """What is written into the file: only exact clips carry the name that ``open_clip`` accepts."""
        return CLIP_FORMAT if self.crf == 0 else f"{CLIP_FORMAT}-crf{self.crf}"


LOSSLESS = ClipQuality()
"""Every pixel as it was; what all stores use."""

NEAR_LOSSLESS = ClipQuality(crf=6, preset="veryfast")
"""RGB without chroma subsampling at a small quantiser; for prepared data sets, about a third of the exact size."""

_AUDIO_CHUNK = 4096
_DURATION_ROUNDING = Fraction(2, 1000)
_RATE_ROUNDING = Fraction(1, 100_000)


@dataclass(frozen=True, kw_only=True)
class ClipFile:
    """A finished clip file.

    Attributes:
        path: The file.
        spec: Size, frame rate and number of frames.
        audio_rate: Samples per second; 0 when it is silent.
        n_samples: Audio samples.
        n_bytes: Size of the file.
        sha256: Of its bytes.
    """

    path: Path
    spec: VideoSpec
    audio_rate: int
    n_samples: int
    n_bytes: int
    sha256: str


class LosslessWriter:
    """Writes a clip piece by piece; a context manager that leaves either the complete file or nothing.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "clip.mkv"
    >>> with LosslessWriter(target, width=16, height=8, fps=Fraction(25), audio=None) as writer:
    ...     writer.add(np.zeros((3, 8, 16, 3), np.uint8))
    >>> writer.result.spec.n_frames
    3

    Args:
        target: The file; its folder is made when it is missing.
        width: In pixels.
        height: In pixels.
        fps: Exact frames per second.
        audio: The audio, or None for a silent clip.
        quality: ``LOSSLESS``, or how much the pixels may lose.
    """

    def __init__(
        self,
        target: Path,
        *,
        width: int,
        height: int,
        fps: Fraction,
        audio: Audio | None,
        quality: ClipQuality = LOSSLESS,
    ) -> None:
        self._target = target
        self._size = (width, height)
        self._fps = fps
        self._audio = audio
        self._quality = quality
        self._n_frames = 0
        self._n_samples = 0
        self._place = atomic_path(target)
        self._container: Any = None
        self._result: ClipFile | None = None

    @property
    def result(self) -> ClipFile:
        """The finished file; only after the ``with`` block."""
        if self._result is None:
            raise RuntimeError("the clip is not finished: leave the with block first")
        return self._result

    def __enter__(self) -> LosslessWriter:
        import av
        from av.codec.context import Flags

        # bitexact keeps random identifiers, dates and library versions out of the file.
        temporary = self._place.__enter__()
        try:
            self._container = av.open(
                str(temporary.absolute()), "w", format="matroska", options={"fflags": "+bitexact"}
            )
            self._container.metadata["title"] = self._quality.title
            self._video = self._container.add_stream("libx264rgb", rate=self._fps, options=self._quality.options)
            self._video.width, self._video.height = self._size
            self._video.pix_fmt = "rgb24"
            self._video.thread_count = 1
            self._video.codec_context.flags |= Flags.bitexact
            self._audio_stream: Any = None
            if self._audio is not None:
                self._audio_stream = self._container.add_stream("pcm_f32le", rate=self._audio.rate, layout="mono")
                self._audio_stream.codec_context.flags |= Flags.bitexact
        except BaseException as error:
            self._place.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def add(self, frames: FrameArray) -> None:
        """Appends ``uint8 RGB [t, H, W, 3]``.

        Raises:
            GenerationError: other size or type than announced.
        """
        import av

        expected = (self._size[1], self._size[0], 3)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != expected:
            raise GenerationError(
                "frames of the wrong shape", expected=f"uint8 (t, {expected})", found=f"{frames.dtype} {frames.shape}"
            )
        for image in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = self._n_frames, 1 / self._fps
            self._container.mux(self._video.encode(frame))
            self._n_frames += 1
            self._write_audio(until=self._n_frames / self._fps)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException as problem:
            self._container.close()
            self._place.__exit__(type(problem), problem, problem.__traceback__)
            raise
        if kind is not None:
            self._container.close()
        self._place.__exit__(kind, error, trace)
        if kind is None:
            self._result = self._describe()

    def _finish(self) -> None:
        if self._n_frames == 0:
            raise GenerationError("a clip without frames cannot be written", expected="at least one frame")
        self._write_audio(until=None)
        self._container.mux(self._video.encode(None))
        if self._audio_stream is not None:
            self._container.mux(self._audio_stream.encode(None))
        self._container.close()

    def _write_audio(self, *, until: Fraction | None) -> None:
        """Muxes the samples up to a time (all with None), so that neither stream waits for the other in memory."""
        import av

        if self._audio is None:
            return
        total = len(self._audio.samples)
        end = total if until is None else min(total, int(until * self._audio.rate))
        while self._n_samples < end and (until is None or end - self._n_samples >= _AUDIO_CHUNK or end == total):
            piece = self._audio.samples[self._n_samples : min(end, self._n_samples + _AUDIO_CHUNK)]
            packed = np.ascontiguousarray(piece, dtype=np.float32)[None]
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout="mono")
            frame.sample_rate = self._audio.rate
            frame.pts, frame.time_base = self._n_samples, Fraction(1, self._audio.rate)
            self._container.mux(self._audio_stream.encode(frame))
            self._n_samples += len(piece)

    def _describe(self) -> ClipFile:
        width, height = self._size
        return ClipFile(
            path=self._target,
            spec=VideoSpec(width=width, height=height, fps=self._fps, n_frames=self._n_frames),
            audio_rate=self._audio.rate if self._audio is not None else 0,
            n_samples=self._n_samples,
            n_bytes=self._target.stat().st_size,
            sha256=sha256_file(self._target),
        )


def write_clip(
    target: Path,
    video: Video | Iterable[FrameArray],
    audio: Audio | None,
    *,
    fps: Fraction | None = None,
    quality: ClipQuality = LOSSLESS,
) -> ClipFile:
    """Writes a clip atomically, losslessly by default; the same input gives the same bytes.

    Memory does not depend on the length of the video.

    Args:
        target: The file, ending in ``.mkv``.
        video: A ``Video``, or pieces ``uint8 RGB [t, H, W, 3]`` in order.
        audio: Its audio, kept bit for bit; None for a silent clip.
        fps: Frame rate; needed for bare pieces, and must equal ``video.spec.fps`` otherwise.
        quality: ``LOSSLESS``, or how much the pixels may lose (``open_clip`` reads exact clips only).

    Raises:
        GenerationError: no frames, or pieces of changing size.
        OSError: as the file system reports it, a full disk for example.
    """
    rate = video.spec.fps if isinstance(video, Video) else fps
    if rate is None or (fps is not None and fps != rate):
        raise ValueError(f"fps must be given and be the video's own: {fps} against {rate}")
    pieces = iter(video.open() if isinstance(video, Video) else video)
    first = next(pieces, None)
    if first is None or first.ndim != 4:
        raise GenerationError("a clip without frames cannot be written", expected="pieces uint8 [t, H, W, 3]")
    size = {"width": first.shape[2], "height": first.shape[1]}
    with LosslessWriter(target, **size, fps=rate, audio=audio, quality=quality) as writer:
        writer.add(first)
        for piece in pieces:
            writer.add(piece)
    return writer.result


def open_clip(path: Path, *, fps: Fraction | None = None) -> MediaPair:
    """A clip written by ``write_clip``, read in this process: check its SHA-256 before when it could be damaged.

    The audio of a silent clip has no samples.

    Args:
        path: The file.
        fps: The exact rate that it was written with. Matroska keeps whole nanoseconds a frame, from which FFmpeg
            guesses a fraction: 19001/317 for 60000/1001.

    Raises:
        DecodeError: not a clip of this format, damaged, or of another rate.
    """
    with _open_container(path) as container:
        if container.metadata.get("title") not in READABLE:
            raise _not_a_clip(path, f"title {container.metadata.get('title')!r}")
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
        if rate is None:
            raise _not_a_clip(path, "no frame rate")
        if fps is not None:
            if abs(rate / fps - 1) > _RATE_ROUNDING:
                raise _not_a_clip(path, f"{rate} frames per second instead of {fps}")
            rate = fps
        width, height = stream.codec_context.width, stream.codec_context.height
        n_frames, audio = _index(container)
        # The header states the duration of the longer stream; a file that was cut falls short of it.
        promised = Fraction(container.duration or 0, 1_000_000)
        present = max(n_frames / Fraction(rate), Fraction(len(audio.samples), audio.rate))
        if n_frames == 0 or abs(promised - present) > _DURATION_ROUNDING:
            raise DecodeError(
                f"{shown_name(path)} is damaged", expected=f"{float(promised):.3f} s", found=f"{float(present):.3f} s"
            )
    spec = VideoSpec(width=width, height=height, fps=Fraction(rate), n_frames=n_frames)
    return MediaPair(video=Video(spec, lambda: _pieces(path, spec)), audio=audio)


def _index(container: InputContainer) -> tuple[int, Audio]:
    """Number of frames and the complete audio, without decoding frames."""
    n_frames = 0
    parts: list[FrameArray] = []
    rate = container.streams.audio[0].rate if container.streams.audio else 16000
    for packet in container.demux():
        if packet.stream.type == "video":
            n_frames += packet.size > 0
        else:
            parts.extend(frame.to_ndarray().reshape(-1) for frame in packet.decode())  # type: ignore[union-attr, misc]
    samples = np.concatenate(parts) if parts else np.zeros(0)
    return n_frames, Audio(samples.astype(np.float32, copy=False), rate)


def _pieces(path: Path, spec: VideoSpec) -> Iterator[FrameArray]:
    done = 0
    length = frames_per_piece(spec.width, spec.height)
    with _open_container(path) as container:
        container.streams.video[0].thread_count = 1
        frames = container.decode(video=0)
        while done < spec.n_frames:
            piece = np.empty((min(length, spec.n_frames - done), spec.height, spec.width, 3), np.uint8)
            for row in range(len(piece)):
                frame = next(frames, None)
                if frame is None:
                    raise DecodeError(f"{shown_name(path)} is damaged", expected=f"{spec.n_frames} frames")
                piece[row] = frame.to_ndarray(format="rgb24")
            done += len(piece)
            yield piece


def _open_container(path: Path) -> InputContainer:
    import av

    try:
        return av.open(str(path.absolute()), "r", format="matroska")
    except av.error.FFmpegError as error:
        raise _not_a_clip(path, str(error.strerror)) from error


def _not_a_clip(path: Path, found: str) -> DecodeError:
    return DecodeError(f"{shown_name(path)} is not a clip of this suite", expected=CLIP_FORMAT, found=found)
