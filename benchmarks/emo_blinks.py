"""How much of a blink `emo-synth` still sees under noise: a short test for whoever wants it to blink more.

Windows of one segment's length around a real blink of validation clips are covered with noise and generated again
from there. A network that knew all about blinks would bring nearly all of them back far up the schedule (SNR 0.1 at
a share of 0.8, and a blink changes several cells in several frames); one that has learnt little leaves the eyes half
open.

    python benchmarks/emo_blinks.py --clips 8
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from emo_synth import eye_closure, portrait_of, row, spread
from numpy.typing import NDArray
from torch import Tensor

from emo_bench.systems.emo import EMBEDDED, weights_folder
from emo_bench.train.training_clips import load_slice
from emo_metrics.synth.face import FaceNetworks
from emo_models.autoencoder.small_autoencoder import to_bytes, to_signed
from emo_models.emo.codec import decode_latents, encode_images
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.schedulers import NoiseSchedule, schedule_of
from emo_models.emo.training.self_forcing import regenerate
from emo_models.training.clips import TrainingClip

SHARES = (0.02, 0.3, 0.5, 0.7, 0.85)
"""Of the noise schedule; the first is hardly more than the autoencoder."""
STEPS = 5


@dataclass(frozen=True, eq=False, kw_only=True)
class BlinkWindow:
    """A blink and what the network is told about it; f frames, n motion frames, m neighbours.

    Attributes:
        latents: ``[1, f, c, h, w]``.
        motion: ``[1, n, c, h, w]``.
        portrait: ``[1, 3, H, W]`` in [-1, 1].
        audio: ``[1, f + 2m, layers, width]``.
        truth: Per frame how far the eyes are closed.
    """

    latents: Tensor
    motion: Tensor
    portrait: Tensor
    audio: Tensor
    truth: NDArray[np.float64]


def blink_window(pipeline: EMOPipeline, clip: TrainingClip) -> BlinkWindow:
    """The window of one clip's length with the frame in its middle in which the eyes are closed most."""
    segment = pipeline.model.architecture.segment
    f, n, window = segment.frames, segment.motion_frames, segment.window
    closure = clip.labels["blink"].mean(1).astype(np.float64)
    first = int(np.clip(closure.argmax() - f // 2, n, len(clip.frames) - f))
    latents = encode_images(pipeline.vae, to_signed(torch.from_numpy(np.array(clip.frames[first - n : first + f]))))
    return BlinkWindow(
        latents=latents[None, n:],
        motion=latents[None, :n],
        portrait=to_signed(torch.from_numpy(np.array(portrait_of(clip)))[None]),
        audio=pipeline.audio_encoder.window(clip.audio, first - window, first + f + window)[None],
        truth=closure[first : first + f],
    )


def regenerated(pipeline: EMOPipeline, window: BlinkWindow, *, seed: int) -> list[Tensor]:
    """The frames generated again from each of `SHARES` of the noise, ``[f, 3, H, W]``."""
    reference = encode_images(pipeline.vae, window.portrait)
    conditions = pipeline.model.prepare(reference=reference, motion=window.motion, audio=window.audio)
    schedule = NoiseSchedule(schedule_of(pipeline.scheduler))
    pictures = []
    for share in SHARES:
        latents = regenerate(
            pipeline.model,
            window.latents,
            conditions,
            schedule,
            reference=reference,
            share=torch.tensor([share]),
            generator=torch.Generator().manual_seed(seed),
            steps=STEPS,
        )
        pictures.append(decode_latents(pipeline.vae, latents[0]).clamp(-1, 1))
    return pictures


@dataclass(frozen=True, kw_only=True)
class Closure:
    """Eyes at the blink, as generated and as refined, and the correlation of the refined ones with the labels."""

    generated: float
    refined: float
    correlation: float


def closures(pipeline: EMOPipeline, clip: TrainingClip, reader: FaceNetworks, *, seed: int) -> list[Closure]:
    """What comes back of a clip's blink from each of `SHARES`."""
    window = blink_window(pipeline, clip)
    blink = window.truth.argmax()
    found = []
    for pictures in regenerated(pipeline, window, seed=seed):
        refined = pictures if pipeline.refiner is None else pipeline.refiner(pictures, window.portrait)
        before, after = (eye_closure(reader.read(to_bytes(part).numpy())) for part in (pictures, refined))
        together = float(np.corrcoef(after, window.truth)[0, 1])
        found.append(Closure(generated=float(before[blink]), refined=float(after[blink]), correlation=together))
    return found


@torch.no_grad()
def table(pipeline: EMOPipeline, clips: Sequence[TrainingClip], reader: FaceNetworks) -> str:
    """One row a share, the mean over clips."""
    text = "| share of the noise | closure at the blink: as generated, refined | correlation |\n| --- | --- | --- |\n"
    of_clips = [closures(pipeline, clip, reader, seed=i) for i, clip in enumerate(clips)]
    for share, found in zip(SHARES, zip(*of_clips, strict=True), strict=True):
        generated, refined, together = np.mean([(one.generated, one.refined, one.correlation) for one in found], axis=0)
        text += row(f"{share:g}", f"{generated:.2f}, {refined:.2f} | {together:.2f}")
    return text


def main() -> None:
    """Measures and prints; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default=EMBEDDED)
    parser.add_argument("--data", type=Path, default=Path("data/hdtf-synth"))
    parser.add_argument("--cache", type=Path, default=Path("runs/.train/extractors/clips"))
    parser.add_argument("--clips", type=int, default=8)
    arguments = parser.parse_args()
    pipeline = EMOPipeline.from_pretrained(weights_folder(arguments.pipeline, Path()))
    clips = spread(load_slice(arguments.data, "validation", cache=arguments.cache), arguments.clips)
    print(table(pipeline, clips, FaceNetworks()))


if __name__ == "__main__":
    main()
