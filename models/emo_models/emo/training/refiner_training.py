"""Training of the portrait refiner, on frames as EMO generates them beside the real ones (`refiner_frames`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.autoencoder.small_autoencoder import to_bytes, to_signed
from emo_models.autoencoder.training import part_weights, reconstruction_loss, without_parts
from emo_models.emo.extensions.portrait_refiner import PortraitRefiner
from emo_models.emo.training.config import RefinerTraining
from emo_models.emo.training.refiner_frames import GeneratedFrames
from emo_models.training.clips import chooser, step_generator
from emo_models.training.loop import Report
from emo_models.training.network import train_image_network
from emo_models.training.workers import ALONE, Workers


def train_refiner(
    model: PortraitRefiner,
    config: RefinerTraining,
    generated: list[GeneratedFrames],
    out: Path,
    *,
    report: Report,
    workers: Workers = ALONE,
) -> PortraitRefiner:
    """Trains, or resumes from the latest checkpoint below ``out``; returns the model with averaged weights.

    Of ``workers`` each computes its share of the frames; the model stays on the device it is on.
    """
    device = next(model.parameters()).device

    def loss_of(step: int) -> Tensor:
        batch = refiner_batch(generated, config, step, workers.share(config.batch))
        frames, portraits, truth, weights = (part.to(device) for part in batch)
        return reconstruction_loss(model(frames, portraits), truth, weights, edge_weight=config.edge_weight)

    if workers.first:
        report(f"refiner: loss of generated frames as they are {unrefined_loss(generated, config):.4f}")
    train_image_network(model, loss_of, config, out, name="refiner", report=report, workers=workers)
    return model


def unrefined_loss(generated: list[GeneratedFrames], config: RefinerTraining, *, batches: int = 8) -> float:
    """What the loss would be if the refiner changed nothing, over a few batches."""
    losses = []
    for step in range(batches):
        frames, _, truth, weights = refiner_batch(generated, config, step)
        losses.append(reconstruction_loss(frames, truth, weights, edge_weight=config.edge_weight).item())
    return float(np.mean(losses))


def refiner_batch(
    generated: list[GeneratedFrames], config: RefinerTraining, step: int, rows: Iterable[int] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(frames as generated, portraits, real frames) ``[b, 3, H, W]`` in [-1, 1] and weights ``[b, 1, H, W]`` of a step.

    Of the batch all rows, or the given ones.
    """
    columns: list[list[NDArray[Any]]] = [[], [], [], []]
    choose = chooser([clip.weight for clip in generated])
    for row in range(config.batch) if rows is None else rows:
        rng = step_generator(config.seed, "refiner-batch", step, row)
        clip = generated[choose(rng)]
        index = int(rng.integers(len(clip.frames)))
        untouched = rng.random() < config.untouched
        record, place = clip.record, clip.first + index
        trusted = untouched or clip.shares[index] <= config.trusted
        weights = part_weights(record, place, config.part_weight) if trusted else without_parts(record, place)
        images_of_row = (
            (clip.coded if untouched else clip.frames)[index],
            record.frames[clip.reference],
            record.frames[place],
            weights,
        )
        turn = slice(None, None, -1 if rng.random() < 0.5 else 1)
        for column, value in zip(columns, images_of_row, strict=True):
            column.append(np.ascontiguousarray(value[:, turn]))
    images = [to_signed(torch.from_numpy(np.stack(column))) for column in columns[:3]]
    frames, portraits, truth = (p.contiguous(memory_format=torch.channels_last) for p in images)
    return frames, portraits, truth, torch.from_numpy(np.stack(columns[3]))[:, None]


@torch.no_grad()
def before_and_after(
    model: PortraitRefiner, generated: list[GeneratedFrames], *, clips: int = 6, frames: int = 8
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """For a few clips frames as EMO generated them and the same refined, ``uint8 [t, H, W, 3]`` each."""
    device = next(model.parameters()).device
    found = []
    for index in np.linspace(0, len(generated) - 1, min(clips, len(generated))).astype(int):
        clip = generated[int(index)]
        before = clip.frames[np.linspace(0, len(clip.frames) - 1, frames).astype(int)]
        portrait = np.array(clip.record.frames[clip.reference])[None]
        shown, portraits = (to_signed(torch.from_numpy(p)).to(device) for p in (before, portrait))
        after = to_bytes(model(shown, portraits)).cpu().numpy()
        found.append((before, after))
    return found
