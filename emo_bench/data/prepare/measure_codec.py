"""Size and error of the clip qualities on a real video: ``python -m emo_bench.data.prepare.measure_codec VIDEO``."""

from __future__ import annotations

import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from emo_bench.data.prepare.resize import cut_and_resize
from emo_bench.media.decode import open_video
from emo_bench.media.lossless import LOSSLESS, NEAR_LOSSLESS, ClipQuality, write_clip
from emo_bench.media.types import FrameArray

QUALITIES = (LOSSLESS, ClipQuality(crf=2, preset="veryfast"), NEAR_LOSSLESS, ClipQuality(crf=10, preset="veryfast"))


def measure(frames: FrameArray, quality: ClipQuality) -> dict[str, float]:
    """KiB and milliseconds per frame, PSNR in dB over all values (infinite when exact) and largest error in levels."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        clip = write_clip(Path(folder) / "clip.mkv", [frames], None, fps=Fraction(25), quality=quality)
        spent = time.perf_counter() - started
        back = open_video(clip.path).read_all()
    error = back.astype(np.int64) - frames
    mean = float(np.square(error).mean())
    return {
        "kib": clip.n_bytes / len(frames) / 1024,
        "ms": 1000 * spent / len(frames),
        "psnr": 10 * float(np.log10(255**2 / mean)) if mean else float("inf"),
        "max_error": float(np.abs(error).max()),
    }


def main(video: Path, *, n_frames: int = 50, size: int = 512) -> None:
    """Prints one line per quality for the first frames of a video, centre crop."""
    source = open_video(video)
    frames = np.concatenate([piece for piece, _ in zip(source.open(), range(-(-n_frames // 10)), strict=False)])
    side = min(source.spec.width, source.spec.height)
    window = ((source.spec.width - side) // 2, (source.spec.height - side) // 2, side, side)
    images = cut_and_resize(frames[:n_frames], window, size)
    sys.stdout.write(f"{len(images)} frames of {video.name}, {size} px\n")
    for quality in QUALITIES:
        found = measure(images, quality)
        error = f"{found['psnr']:5.1f} dB  largest error {found['max_error']:3.0f}"
        cost = f"{found['kib']:6.1f} KiB and {found['ms']:5.1f} ms per frame"
        sys.stdout.write(f"crf {quality.crf:>2} {quality.preset:<9}  {error}  {cost}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
