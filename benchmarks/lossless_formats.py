"""Processor time and size of lossless formats on real frames: ``python -m benchmarks.lossless_formats VIDEO``."""

from __future__ import annotations

import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from emo_bench.media.decode import open_video
from emo_bench.media.types import FrameArray

SIDES = (256, 512)
N_FRAMES = 50


def _x264(preset: str, more: str = "") -> tuple[str, str, dict[str, str]]:
    return "libx264rgb", "rgb24", {"crf": "0", "preset": preset} | ({"x264-params": more} if more else {})


FORMATS: dict[str, tuple[str, str, dict[str, str]]] = {
    "x264 ultrafast": _x264("ultrafast"),
    "x264 ultrafast, searching": _x264("ultrafast", "subme=2:me=hex"),
    "x264 superfast, no cabac": _x264("superfast", "cabac=0"),
    "x264 veryfast, no cabac": _x264("veryfast", "cabac=0"),
    "x265 ultrafast": (
        "libx265",
        "gbrp",
        {"preset": "ultrafast", "x265-params": "lossless=1:log-level=none:pools=none"},
    ),
    "ffv1 intra": ("ffv1", "bgr0", {"level": "3", "g": "1", "slices": "4", "slicecrc": "1"}),
}


def write(path: Path, frames: FrameArray, codec: str, pixels: str, options: dict[str, str]) -> None:
    """Encodes all frames with one thread."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.thread_count = pixels, 1
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def read(path: Path) -> FrameArray:
    """Decodes all frames with one thread."""
    with av.open(str(path)) as source:
        source.streams.video[0].thread_count = 1
        return np.stack([np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in source.decode(video=0)])


def main(video: Path) -> None:
    """Prints a line per size and format."""
    for side in SIDES:
        frames = open_video(video, size=(side, side)).read_all()[:N_FRAMES]
        for name, (codec, pixels, options) in FORMATS.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "a.mkv"
                times = [time.process_time()]
                write(path, frames, codec, pixels, options)
                times.append(time.process_time())
                decoded = read(path)
                times.append(time.process_time())
                encode, decode = (1000 * float(span) / len(frames) for span in np.diff(times))
                size, exact = path.stat().st_size / len(frames) / 1024, np.array_equal(decoded, frames)
            line = f"{side} {name}: enc {encode:.1f} ms, dec {decode:.1f} ms, {size:.1f} KiB, exact {exact}"
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
