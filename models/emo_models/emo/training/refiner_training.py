"""Training of the portrait refiner, on frames as EMO draws them beside the real ones.

EMO draws real clips anew from half-way noise (`redraw`), each clip going on from its own last frames, so pose and mouth
stay where they were and everything else fades as it does in use. The refiner learns the way back, given the portrait.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.autoencoder.small_autoencoder import to_bytes, to_signed
from emo_models.autoencoder.training import part_weights, reconstruction_loss, without_parts
from emo_models.averaged_training import AveragedTraining, Report, rise_and_fall, train_averaged
from emo_models.emo.codec import decode_latents, encode_images
from emo_models.emo.guidance import Guidance
from emo_models.emo.model import EMOModel
from emo_models.emo.portrait_refiner import PortraitRefiner
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training.clips import ClipRecord, step_generator
from emo_models.emo.training.own_motion import redraw

if TYPE_CHECKING:
    # That module needs the settings below.
    from emo_models.emo.training.batches import LatentClips


@dataclass(frozen=True, kw_only=True)
class RefinerTraining:
    """Settings.

    Attributes:
        steps: Optimizer steps; 0 trains none, and the pipeline does without.
        batch: Frames per step.
        lr: Highest learning rate; rises over ``warmup`` steps, then falls linearly to zero.
        warmup: Steps.
        clips: Clips that EMO draws anew, spread evenly over the data.
        rounds: Clips of f frames drawn one after the other.
        least: Smallest share of the noise schedule they are drawn from.
        most: Largest share; the more noise, the more EMO has changed.
        trusted: Share up to which eyes and mouth are still the real ones. Drawings from more noise blink and speak when
            they like, so their eyes and mouths are left out of the loss: held to the truth, they would teach the
            refiner to open closed eyes.
        sampling_steps: Denoising steps of each drawing.
        audio_guidance: Scale in half of the clips, as in use; none in the others.
        untouched: Share of frames that only went through the autoencoder.
        edge_weight: Weight of the L1 of differences between neighbours.
        part_weight: Extra weight of pixels in eye and mouth boxes.
        ema: Decay of the averaged weights.
        seed: Decides everything random.
        checkpoint_every: Steps.
    """

    steps: int = 0
    batch: int = 12
    lr: float = 2e-3
    warmup: int = 50
    clips: int = 80
    rounds: int = 3
    least: float = 0.35
    most: float = 0.95
    trusted: float = 0.75
    sampling_steps: int = 3
    audio_guidance: float = 2.0
    untouched: float = 0.15
    edge_weight: float = 1.0
    part_weight: float = 3.0
    ema: float = 0.995
    seed: int = 0
    checkpoint_every: int = 100


@dataclass(frozen=True, eq=False, kw_only=True)
class DrawnClip:
    """A clip as EMO draws it.

    Attributes:
        record: The real one.
        first: Index of the first frame drawn.
        frames: ``uint8 [t, H, W, 3]``.
        coded: The real frames through the autoencoder alone, the same shape.
        reference: Index of the portrait.
        shares: From which share of the noise schedule each frame was drawn, ``float64 [t]``.
    """

    record: ClipRecord
    first: int
    frames: NDArray[np.uint8]
    coded: NDArray[np.uint8]
    reference: int
    shares: NDArray[np.float64]


@torch.no_grad()
def draw_clips(
    model: EMOModel,
    vae: Any,
    clips: LatentClips,
    schedule: NoiseSchedule,
    config: RefinerTraining,
    *,
    report: Report,
    together: int = 4,
) -> list[DrawnClip]:
    """EMO's own drawings of clips spread evenly over ``clips``; ``model`` in eval mode."""
    chosen = np.linspace(0, len(clips.clips) - 1, min(config.clips, len(clips.clips))).astype(int)
    drawn: list[DrawnClip] = []
    began = time.monotonic()
    for start in range(0, len(chosen), together):
        rng = step_generator(config.seed, "refiner-draw", start)
        guided = Guidance(audio=config.audio_guidance if start // together % 2 else 1.0)
        group = [clips.clips[int(i)] for i in chosen[start : start + together]]
        drawn += _draw_group(model, vae, group, schedule, config, rng=rng, guidance=guided, window=clips.window)
        report(f"refiner: {len(drawn)} of {len(chosen)} clips drawn ({time.monotonic() - began:.0f} s)")
    return drawn


def _draw_group(
    model: EMOModel,
    vae: Any,
    group: list[Any],
    schedule: NoiseSchedule,
    config: RefinerTraining,
    *,
    rng: np.random.Generator,
    guidance: Guidance,
    window: int,
) -> list[DrawnClip]:
    f, n = model.config.frames, model.config.motion_frames
    length = min(len(clip.latents) for clip in group)
    rounds = min(config.rounds, (length - n) // f)
    if rounds < 1:
        raise ValueError(f"expected clips of at least {f + n} frames, found one of {length}")
    first = int(rng.integers(n, length - rounds * f + 1))
    references = [int(rng.integers(len(clip.latents))) for clip in group]
    reference = torch.stack([clip.latents[i].float() for clip, i in zip(group, references, strict=True)])
    motion = torch.stack([clip.latents[first - n : first].float() for clip in group])
    voices = [int(rng.integers(len(clip.audio))) for clip in group]
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    pieces: list[Tensor] = []
    shares = rng.uniform(config.least, config.most, (len(group), rounds))
    for index, place in enumerate(range(first, first + rounds * f, f)):
        # Features are kept with `window` frames before the first.
        heard = [clip.audio[v][place : place + f + 2 * window] for clip, v in zip(group, voices, strict=True)]
        conditions = model.prepare(reference=reference, motion=motion if n else None, audio=torch.stack(heard))
        latents = redraw(
            model,
            torch.stack([clip.latents[place : place + f].float() for clip in group]),
            conditions,
            schedule,
            reference=reference,
            share=torch.from_numpy(shares[:, index]),
            generator=generator,
            steps=config.sampling_steps,
            guidance=guidance,
        )
        images = to_bytes(decode_latents(vae, latents.flatten(0, 1)))
        pieces.append(torch.unflatten(images, 0, (len(group), f)))
        if n:
            again = encode_images(vae, to_signed(pieces[-1][:, -n:]).flatten(0, 1))
            motion = torch.unflatten(again, 0, (len(group), n))
    frames = torch.cat(pieces, 1).numpy()
    found = []
    for i, clip in enumerate(group):
        real = clip.latents[first : first + frames.shape[1]].float()
        coded = to_bytes(decode_latents(vae, real)).numpy()
        found.append(
            DrawnClip(
                record=clip.record,
                first=first,
                frames=frames[i],
                coded=coded,
                reference=references[i],
                shares=np.repeat(shares[i], f),
            )
        )
    return found


def train_refiner(
    model: PortraitRefiner, config: RefinerTraining, drawn: list[DrawnClip], out: Path, *, report: Report
) -> PortraitRefiner:
    """Trains, or goes on from the latest checkpoint below ``out``; returns the model with averaged weights."""

    def loss_of(step: int) -> Tensor:
        frames, portraits, truth, weights = refiner_batch(drawn, config, step)
        return reconstruction_loss(model(frames, portraits), truth, weights, edge_weight=config.edge_weight)

    settings = AveragedTraining(
        name="refiner",
        steps=config.steps,
        rate=lambda step: config.lr * rise_and_fall(step, steps=config.steps, warmup=config.warmup),
        ema=config.ema,
        checkpoint_every=config.checkpoint_every,
    )
    report(f"refiner: loss of frames as they are drawn {unrefined_loss(drawn, config):.4f}")
    train_averaged(model, loss_of, settings, out, report=report)
    return model.eval()


def unrefined_loss(drawn: list[DrawnClip], config: RefinerTraining, *, batches: int = 8) -> float:
    """What the loss would be if the refiner changed nothing, over a few batches."""
    losses = []
    for step in range(batches):
        frames, _, truth, weights = refiner_batch(drawn, config, step)
        losses.append(reconstruction_loss(frames, truth, weights, edge_weight=config.edge_weight).item())
    return float(np.mean(losses))


def refiner_batch(drawn: list[DrawnClip], config: RefinerTraining, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(frames as drawn, portraits, real frames) ``[b, 3, H, W]`` in [-1, 1] and weights ``[b, 1, H, W]`` of a step."""
    rng = step_generator(config.seed, "refiner-batch", step)
    columns: list[list[NDArray[Any]]] = [[], [], [], []]
    for _ in range(config.batch):
        clip = drawn[int(rng.integers(len(drawn)))]
        index = int(rng.integers(len(clip.frames)))
        untouched = rng.random() < config.untouched
        record, place = clip.record, clip.first + index
        trusted = untouched or clip.shares[index] <= config.trusted
        weights = part_weights(record, place, config.part_weight) if trusted else without_parts(record, place)
        row = (
            (clip.coded if untouched else clip.frames)[index],
            record.frames[clip.reference],
            record.frames[place],
            weights,
        )
        turn = slice(None, None, -1 if rng.random() < 0.5 else 1)
        for column, value in zip(columns, row, strict=True):
            column.append(np.ascontiguousarray(value[:, turn]))
    pictures = [to_signed(torch.from_numpy(np.stack(column))) for column in columns[:3]]
    frames, portraits, truth = (p.contiguous(memory_format=torch.channels_last) for p in pictures)
    return frames, portraits, truth, torch.from_numpy(np.stack(columns[3]))[:, None]


@torch.no_grad()
def before_and_after(
    model: PortraitRefiner, drawn: list[DrawnClip], *, clips: int = 6, frames: int = 8
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """For a few clips frames as EMO drew them and the same refined, ``uint8 [t, H, W, 3]`` each."""
    found = []
    for index in np.linspace(0, len(drawn) - 1, min(clips, len(drawn))).astype(int):
        clip = drawn[int(index)]
        before = clip.frames[np.linspace(0, len(clip.frames) - 1, frames).astype(int)]
        portrait = torch.from_numpy(np.array(clip.record.frames[clip.reference]))
        after = to_bytes(model(to_signed(torch.from_numpy(before)), to_signed(portrait[None]))).numpy()
        found.append((before, after))
    return found
