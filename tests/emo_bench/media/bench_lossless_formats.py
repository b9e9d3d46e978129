"""Speed and size of lossless formats on real frames: ``python bench_lossless_formats.py VIDEO`` (docs/adr/0003)."""

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

FORMATS: dict[str, tuple[str, str, dict[str, str]]] = {
    **{f"x264 {p}": ("libx264rgb", "rgb24", {"crf": "0", "preset": p}) for p in ("ultrafast", "superfast", "medium")},
    "ffv1 intra": ("ffv1", "bgr0", {"level": "3", "g": "1", "slices": "4", "slicecrc": "1"}),
    "ffv1 large context": ("ffv1", "bgr0", {"level": "3", "g": "1", "context": "1", "coder": "1"}),
}


def write(path: Path, frames: FrameArray, codec: str, pixels: str, options: dict[str, str]) -> None:
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.thread_count = pixels, 1
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def read(path: Path, frames: FrameArray) -> bool:
    with av.open(str(path)) as source:
        source.streams.video[0].thread_count = 1
        decoded = source.decode(video=0)
        return all(np.array_equal(f.to_ndarray(format="rgb24"), frames[i]) for i, f in enumerate(decoded))


def main(video: Path) -> None:
    for side in (128, 256, 512):
        frames = open_video(video, size=(side, side)).read_all()[:75]
        for name, (codec, pixels, options) in FORMATS.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "a.mkv"
                start = time.perf_counter()
                write(path, frames, codec, pixels, options)
                middle = time.perf_counter()
                exact = read(path, frames)
                end = time.perf_counter()
                per_frame = [1000 * x / len(frames) for x in (middle - start, end - middle)]
                size = path.stat().st_size / len(frames) / 1024
            line = f"{side} {name}: enc {per_frame[0]:.1f} ms, dec {per_frame[1]:.1f} ms, {size:.1f} KiB, exact {exact}"
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
