"""Watchable copies: H.264 4:2:0 with AAC in MP4, for reports and for the re-encoded ground truth.

Pixels go to limited-range BT.709 and are tagged so, with the flags of ``pixels``. Odd sizes get one more column or row
that repeats the edge, because 4:2:0 needs even sizes. x264's macroblock tree is off: with it, x264 165 reads memory it
has not written for some sizes (96 x 64), so that the first encode of a process differs from the second.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from emo_bench.media.decode import frames_per_piece
from emo_bench.media.recipe import EncodedFrames
from emo_bench.media.types import Audio, FrameArray, Video, VideoSpec
from emo_core.atomic import atomic_path, owner
from emo_core.errors import GenerationError

_AAC_SAMPLES = 1024
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_GOP_SECONDS = 2
_BT709_PRIMARIES_TRC_MATRIX = 1


def write_preview(
    target: Path,
    video: Video | Iterable[FrameArray],
    audio: Audio | None,
    *,
    crf: int = 18,
    preset: str = "veryfast",
    fps: Fraction | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Writes an MP4 that browsers and phones play; atomically, and the same bytes for the same input.

    Args:
        target: The file, ending in ``.mp4``.
        video: A ``Video``, or pieces ``uint8 RGB [t, H, W, 3]`` in order.
        audio: Its audio (AAC, mono), or None.
        crf: Quality of x264: 0 to 51, lower is better.
        preset: Speed of x264.
        fps: Needed for bare pieces.
        metadata: Written into the file, for example a title that says what the video is.

    Raises:
        GenerationError: no frames, or pieces of changing size.
        OSError: as the file system reports it.
    """
    rate = video.spec.fps if isinstance(video, Video) else fps
    if rate is None:
        raise ValueError("fps is needed for bare pieces")
    pieces = video.open() if isinstance(video, Video) else iter(video)
    with atomic_path(target) as temporary:
        _encode(temporary, pieces, audio, fps=rate, crf=crf, preset=preset, metadata=metadata)
    return target


def encode_roundtrip(video: Video, *, crf: int = 23, preset: str = "medium", folder: Path | None = None) -> Video:
    """The video as it looks after real H.264 4:2:0 compression: encoded now, decoded at each reading.

    The compressed file is temporary and goes away with the last reference to the result.

    Args:
        video: Any video.
        crf: Quality of x264: 0 to 51, lower is better.
        preset: Speed of x264.
        folder: For the temporary file; the system's temporary folder when None.

    Raises:
        ClipError: as reading ``video`` raises.
        OSError: as the file system reports it.
    """
    holder = tempfile.TemporaryDirectory(prefix=f"emo-bench-{owner()}-roundtrip-", dir=folder)
    path = Path(holder.name) / "roundtrip.mp4"
    _encode(path, video.open(), None, fps=video.spec.fps, crf=crf, preset=preset)
    spec = video.spec

    def pieces() -> Iterator[FrameArray]:
        yield from decode_own(path, spec)

    def recipe() -> EncodedFrames:
        return EncodedFrames(
            path=str(path), width=spec.width, height=spec.height, fps=str(spec.fps), n_frames=spec.n_frames
        )

    result = Video(spec, pieces, recipe)
    # The closure does not reference the holder, so tie its lifetime to the function that reads the file.
    weakref.finalize(pieces, holder.cleanup)
    return result


def _encode(
    path: Path,
    pieces: Iterator[FrameArray],
    audio: Audio | None,
    *,
    fps: Fraction,
    crf: int,
    preset: str,
    metadata: Mapping[str, str] | None = None,
) -> None:
    import av
    from av.codec.context import Flags

    first = next(pieces, None)
    if first is None:
        raise GenerationError("a video without frames cannot be encoded", expected="at least one frame")
    height, width = first.shape[1:3]
    # Front-loading the index lets players start before the file is complete.
    with av.open(
        str(path.absolute()), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}
    ) as container:
        container.metadata.update(metadata or {})
        options = {"crf": str(crf), "preset": preset, "mbtree": "0"}
        stream: Any = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        context = stream.codec_context
        context.gop_size = max(1, round(_GOP_SECONDS * fps))
        context.flags |= Flags.bitexact
        context.colorspace = context.color_primaries = context.color_trc = _BT709_PRIMARIES_TRC_MATRIX
        context.color_range = 1
        audio_track = AudioTrack(container, audio) if audio is not None and len(audio.samples) else None
        count = 0
        for piece in _chain(first, pieces):
            if piece.shape[1:3] != (height, width):
                raise GenerationError("the frame size changes", expected=f"{width}x{height}", found=f"{piece.shape}")
            for frame in _frames(piece, start=count, fps=fps):
                container.mux(stream.encode(frame))
            count += len(piece)
            if audio_track is not None:
                audio_track.write(until=count / fps)
        container.mux(stream.encode(None))
        if audio_track is not None:
            audio_track.write(until=None)


def _chain(first: FrameArray, rest: Iterator[FrameArray]) -> Iterator[FrameArray]:
    yield first
    yield from rest


def _frames(piece: FrameArray, *, start: int, fps: Fraction) -> Iterator[Any]:
    """The frames of a piece as tagged, limited-range BT.709 4:2:0 frames of even size."""
    import av
    from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

    from emo_bench.media.pixels import FLAGS

    reformatter = VideoReformatter()
    bottom, right = piece.shape[1] % 2, piece.shape[2] % 2
    even = np.pad(piece, ((0, 0), (0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else piece
    for row, pixels in enumerate(even):
        frame = reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            src_color_range=ColorRange.JPEG,
            interpolation=FLAGS,
            threads=1,
        )
        frame.pts, frame.time_base = start + row, 1 / fps
        yield frame


class AudioTrack:
    """The AAC track of an MP4, written up to the time that the frames have reached.

    Args:
        container: Open for writing.
        audio: The audio; brought to 48 kHz when AAC does not know its rate.
    """

    def __init__(self, container: Any, audio: Audio) -> None:
        from av.codec.context import Flags

        if audio.rate not in _AAC_RATES:
            import soxr

            audio = Audio(soxr.resample(audio.samples, audio.rate, 48000, quality="HQ"), 48000)
        self._container = container
        self._audio = audio
        self._stream = container.add_stream("aac", rate=audio.rate, layout="mono", bit_rate=96_000)
        self._stream.codec_context.flags |= Flags.bitexact
        self._done = 0

    def write(self, *, until: Fraction | None) -> None:
        """Encodes whole AAC frames up to a time in seconds; everything, and the end mark, with None."""
        import av

        samples, rate = self._audio.samples, self._audio.rate
        end = len(samples) if until is None else min(len(samples), int(until * rate))
        while self._done < end and (until is None or self._done + _AAC_SAMPLES <= end):
            piece = samples[self._done : self._done + _AAC_SAMPLES]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece, np.float32)[None], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, self._done, Fraction(1, rate)
            self._container.mux(self._stream.encode(frame))
            self._done += len(piece)
        if until is None:
            self._container.mux(self._stream.encode(None))


def decode_own(path: Path, spec: VideoSpec) -> Iterator[FrameArray]:
    """Frames of a file that ``_encode`` wrote, without the padding; in this process, since the file is our own."""
    import av

    from emo_bench.media.pixels import RgbConverter

    converter = RgbConverter()
    length = frames_per_piece(spec.width, spec.height)
    with av.open(str(path.absolute())) as container:
        container.streams.video[0].thread_count = 1
        batch: list[FrameArray] = []
        for frame in container.decode(video=0):
            pixels = np.asarray(converter.convert(frame).to_ndarray(), np.uint8)
            batch.append(pixels[: spec.height, : spec.width])
            if len(batch) == length:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)
