"""How much a frozen face seems to move after H.264, and how much real faces do: the evidence for the floors of motion.

    python benchmarks/motion_floors.py CLIPS_FOLDER WEIGHTS_FOLDER [--seconds 4] [--crf 18 23 35]

For every clip the first frame is held still, goes through x264 at each CRF, and is measured as real motion is: the
amplitudes of ``emo_metrics.signals.motion_floors``, in their units. One line a clip, then the largest amplitude of any
still face and the smallest of any real one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from emo_bench.media.preview import encode_roundtrip
from emo_bench.media.types import FrameArray, Video, VideoSpec
from emo_metrics.contract import ClipFeatures, ClipInputs, Piece
from emo_metrics.extractors.face_landmarks import FACE_FILES, FaceAnalysis
from emo_metrics.faces.gaps import FACE
from emo_metrics.metrics.expressiveness import motion_signals
from emo_metrics.metrics.head_motion import head_turn
from emo_metrics.metrics.mouth_audio import mouth_opening
from emo_metrics.signals.motion_floors import amplitude

FPS = Fraction(25)


def read(path: Path, seconds: float) -> FrameArray:
    """The first frames of a clip, ``uint8 RGB [t, H, W, 3]``."""
    with av.open(str(path)) as container:
        frames = []
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == round(seconds * float(FPS)):
                break
    return np.stack(frames)


def frozen(image: FrameArray, count: int, crf: int) -> FrameArray:
    """One image held still, after x264."""
    height, width = (side - side % 2 for side in image.shape[:2])
    still = np.repeat(image[None, :height, :width], count, axis=0)

    def pieces() -> Iterator[FrameArray]:
        yield from (still[start : start + 32] for start in range(0, count, 32))

    spec = VideoSpec(width=width, height=height, fps=FPS, n_frames=count)
    return encode_roundtrip(Video(spec, pieces), crf=crf).read_all()


def measure(extractor: FaceAnalysis, frames: FrameArray) -> dict[str, float]:
    """The amplitudes of one clip."""
    count, height, width = frames.shape[:3]
    clip = ClipInputs(clip_id="", fps=FPS, n_frames=count, height=height, width=width, reference_image=frames[0])
    work = extractor.begin(clip)
    arrays = {**work.update(Piece(frames=frames, start=0)), **work.finish()}
    features = ClipFeatures(clip_id="", identity="", fps=FPS, n_frames=count, arrays={FACE: arrays})
    signals = motion_signals(features)
    values = {"mouth": mouth_opening(features), "brows": signals["brows"], "eyes": signals["eyes"]}
    values |= {"nod": signals["head"], "head": head_turn(features)}
    return {name: amplitude(signal, fps=float(FPS)) for name, signal in values.items()}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clips", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--crf", type=int, nargs="+", default=[18, 23, 35])
    given = parser.parse_args()
    extractor = FaceAnalysis({name: given.weights / name for name in FACE_FILES})
    rows: dict[str, list[dict[str, float]]] = {"real": [], "still": []}
    for path in sorted(path for path in given.clips.iterdir() if path.suffix in {".mp4", ".mpg", ".avi", ".mkv"}):
        frames = read(path, given.seconds)
        tries = [("real", "real", frames)]
        tries += [("still", f"crf {crf}", frozen(frames[0], len(frames), crf)) for crf in given.crf]
        for kind, name, shown in tries:
            try:
                row = measure(extractor, shown)
            except Exception as error:  # a clip without a face is no evidence
                print(f"{path.stem[:28]:28s} {name:7s} {error}", flush=True)
                continue
            rows[kind].append(row)
            print(f"{path.stem[:28]:28s} {name:7s} " + "  ".join(f"{k} {v:.4f}" for k, v in row.items()), flush=True)
    for name in rows["real"][0]:
        still, real = max(row[name] for row in rows["still"]), min(row[name] for row in rows["real"])
        print(f"{name}: largest of {len(rows['still'])} still {still:.4f}", end=", ")
        print(f"smallest of {len(rows['real'])} real {real:.4f}")


if __name__ == "__main__":
    main()
