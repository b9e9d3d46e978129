"""How much of a blink `emo-synth` still sees under noise: a short test for whoever wants it to blink more.

Windows of one clip's length around a real blink of validation clips are covered with noise and drawn anew from there.
A network that knew all about blinks would bring nearly all of them back far up the schedule (SNR 0.1 at a share of
0.8, and a blink changes several cells in several frames); one that has learnt little leaves the eyes half open.

    python benchmarks/emo_blinks.py --clips 8
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from emo_synth import eye_closure, portrait_of, row, spread
from numpy.typing import NDArray
from torch import Tensor

from emo_bench.data.extractor_training_data import TrainingClip, load_slice
from emo_bench.generate.emo import EMBEDDED, weights_folder
from emo_metrics.synth.face import FaceNetworks
from emo_models.autoencoder.small_autoencoder import to_bytes, to_signed
from emo_models.emo.codec import decode_latents, encode_images
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.schedulers import NoiseSchedule, schedule_of
from emo_models.emo.training.own_motion import redraw

SHARES = (0.02, 0.3, 0.5, 0.7, 0.85)
"""Of the noise schedule; the first is hardly more than the autoencoder."""
STEPS = 5


def blink_at(clip: TrainingClip) -> int:
    """The frame in which the eyes are closed most."""
    return int(clip.truth["blink"].mean(1).argmax())


def redrawn(pipeline: EMOPipeline, clip: TrainingClip, share: float, *, seed: int) -> tuple[Tensor, int]:
    """Frames around the blink drawn anew from a share of the noise, ``[f, 3, H, W]``, and the first one's index."""
    config = pipeline.model.config
    f, n, window = config.frames, config.motion_frames, config.window
    first = int(np.clip(blink_at(clip) - f // 2, n, len(clip.frames) - f))
    frames = torch.from_numpy(np.array(clip.frames[first - n : first + f]))
    latents = encode_images(pipeline.vae, to_signed(frames))[None]
    reference = encode_images(pipeline.vae, _signed_portrait(clip))
    heard = pipeline.audio_encoder.window(clip.audio, first - window, first + f + window)
    conditions = pipeline.model.prepare(reference=reference, motion=latents[:, :n], audio=heard[None])
    drawn = redraw(
        pipeline.model,
        latents[:, n:],
        conditions,
        NoiseSchedule(schedule_of(pipeline.scheduler)),
        reference=reference,
        share=torch.tensor([share]),
        generator=torch.Generator().manual_seed(seed),
        steps=STEPS,
    )
    return decode_latents(pipeline.vae, drawn[0]), first


def _signed_portrait(clip: TrainingClip) -> Tensor:
    return to_signed(torch.from_numpy(np.array(portrait_of(clip)))[None])


def closures(
    pipeline: EMOPipeline, clip: TrainingClip, reader: FaceNetworks, share: float, *, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Per frame how far the eyes are closed: as drawn, after the refiner, and in truth."""
    pictures, first = redrawn(pipeline, clip, share, seed=seed)
    refined = pictures
    if pipeline.refiner is not None:
        refined = pipeline.refiner(pictures.clamp(-1, 1), _signed_portrait(clip))
    drawn, after = (eye_closure(reader.read(to_bytes(p).numpy())) for p in (pictures, refined))
    truth = clip.truth["blink"].mean(1).astype(np.float64)[first : first + len(drawn)]
    return drawn, after, truth


@torch.no_grad()
def table(pipeline: EMOPipeline, clips: Sequence[TrainingClip], reader: FaceNetworks) -> str:
    """One row a share: closure at the blink as drawn and refined, and correlation of the refined one with the truth."""
    text = "| share of the noise | closure at the blink: as drawn, refined | correlation |\n| --- | --- | --- |\n"
    for share in SHARES:
        found = [closures(pipeline, clip, reader, share, seed=i) for i, clip in enumerate(clips)]
        peaks = [(drawn[truth.argmax()], after[truth.argmax()]) for drawn, after, truth in found]
        together = np.mean([np.corrcoef(after, truth)[0, 1] for _, after, truth in found])
        drawn, after = np.mean(peaks, axis=0)
        text += row(f"{share:g}", f"{drawn:.2f}, {after:.2f} | {together:.2f}")
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
