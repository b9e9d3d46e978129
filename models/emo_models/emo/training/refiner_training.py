"""Training of the portrait refiner, on frames as EMO draws them beside the real ones (`refiner_drawing`)."""

from __future__ import annotations

from collections.abc import Iterable
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
from emo_models.emo.extensions.portrait_refiner import PortraitRefiner
from emo_models.emo.training.clips import step_generator
from emo_models.workers import ALONE, Workers

if TYPE_CHECKING:
    # That module needs the settings below.
    from emo_models.emo.training.refiner_drawing import DrawnClip


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


def train_refiner(
    model: PortraitRefiner,
    config: RefinerTraining,
    drawn: list[DrawnClip],
    out: Path,
    *,
    report: Report,
    workers: Workers = ALONE,
) -> PortraitRefiner:
    """Trains, or goes on from the latest checkpoint below ``out``; returns the model with averaged weights.

    Of ``workers`` each computes its share of the frames; the model stays on the device it is on.
    """
    device = next(model.parameters()).device

    def loss_of(step: int) -> Tensor:
        batch = refiner_batch(drawn, config, step, workers.share(config.batch))
        frames, portraits, truth, weights = (part.to(device) for part in batch)
        return reconstruction_loss(model(frames, portraits), truth, weights, edge_weight=config.edge_weight)

    settings = AveragedTraining(
        name="refiner",
        steps=config.steps,
        rate=lambda step: config.lr * rise_and_fall(step, steps=config.steps, warmup=config.warmup),
        ema=config.ema,
        checkpoint_every=config.checkpoint_every,
    )
    if workers.first:
        report(f"refiner: loss of frames as they are drawn {unrefined_loss(drawn, config):.4f}")
    train_averaged(model, loss_of, settings, out, report=report, workers=workers)
    return model.eval()


def unrefined_loss(drawn: list[DrawnClip], config: RefinerTraining, *, batches: int = 8) -> float:
    """What the loss would be if the refiner changed nothing, over a few batches."""
    losses = []
    for step in range(batches):
        frames, _, truth, weights = refiner_batch(drawn, config, step)
        losses.append(reconstruction_loss(frames, truth, weights, edge_weight=config.edge_weight).item())
    return float(np.mean(losses))


def refiner_batch(
    drawn: list[DrawnClip], config: RefinerTraining, step: int, rows: Iterable[int] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(frames as drawn, portraits, real frames) ``[b, 3, H, W]`` in [-1, 1] and weights ``[b, 1, H, W]`` of a step.

    Of the batch all rows, or the given ones.
    """
    columns: list[list[NDArray[Any]]] = [[], [], [], []]
    for row in range(config.batch) if rows is None else rows:
        rng = step_generator(config.seed, "refiner-batch", step, row)
        clip = drawn[int(rng.integers(len(drawn)))]
        index = int(rng.integers(len(clip.frames)))
        untouched = rng.random() < config.untouched
        record, place = clip.record, clip.first + index
        trusted = untouched or clip.shares[index] <= config.trusted
        weights = part_weights(record, place, config.part_weight) if trusted else without_parts(record, place)
        pictures_of_row = (
            (clip.coded if untouched else clip.frames)[index],
            record.frames[clip.reference],
            record.frames[place],
            weights,
        )
        turn = slice(None, None, -1 if rng.random() < 0.5 else 1)
        for column, value in zip(columns, pictures_of_row, strict=True):
            column.append(np.ascontiguousarray(value[:, turn]))
    pictures = [to_signed(torch.from_numpy(np.stack(column))) for column in columns[:3]]
    frames, portraits, truth = (p.contiguous(memory_format=torch.channels_last) for p in pictures)
    return frames, portraits, truth, torch.from_numpy(np.stack(columns[3]))[:, None]


@torch.no_grad()
def before_and_after(
    model: PortraitRefiner, drawn: list[DrawnClip], *, clips: int = 6, frames: int = 8
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """For a few clips frames as EMO drew them and the same refined, ``uint8 [t, H, W, 3]`` each."""
    device = next(model.parameters()).device
    found = []
    for index in np.linspace(0, len(drawn) - 1, min(clips, len(drawn))).astype(int):
        clip = drawn[int(index)]
        before = clip.frames[np.linspace(0, len(clip.frames) - 1, frames).astype(int)]
        portrait = np.array(clip.record.frames[clip.reference])[None]
        shown, portraits = (to_signed(torch.from_numpy(p)).to(device) for p in (before, portrait))
        after = to_bytes(model(shown, portraits)).cpu().numpy()
        found.append((before, after))
    return found
