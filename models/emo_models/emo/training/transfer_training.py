"""Training of the portrait refiner, and of the decoder before it, on clips whose true flow is known.

Re-enacted clips know where in its portrait every pixel of a frame comes from (label ``flow``). With it the refiner
learns to move the portrait, not only to repaint it: without, a small one hardly leaves the minimum "copy the portrait".
Latents get noise, since those that a diffusion model leaves are not perfect. The encoder stays as it is, so latents do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder, to_signed
from emo_models.autoencoder.training import part_weights, reconstruction_loss
from emo_models.emo.extensions.portrait_refiner import CELL, PortraitRefiner, warp
from emo_models.emo.training.config import TransferTraining
from emo_models.training.clips import TrainingClip, TrainingClips, chooser, every_clip, step_generator
from emo_models.training.loop import Loop, LoopConfig, Report
from emo_models.training.network import NetworkTrainee, rise_and_fall
from emo_models.training.workers import ALONE, Workers

FLOW = "flow"
"""Label: frame(x) = portrait(x + flow(x)) in pixels, ``[T, g, g, 2]``; first and last rows are the image's borders."""


@dataclass(frozen=True, eq=False)
class TransferBatch:
    """A step's images.

    Attributes:
        frames: ``[b, 3, H, H]`` in [-1, 1].
        portraits: The same shape.
        weights: Of pixels, ``[b, 1, H, H]``.
        flow: In cells, ``[b, 2, H / 4, H / 4]``.
        noise: Standard deviation of the noise on each frame's latents, ``[b, 1, 1, 1]``.
        seed: Of that noise.
    """

    frames: Tensor
    portraits: Tensor
    weights: Tensor
    flow: Tensor
    noise: Tensor
    seed: int


def clips_with_flow(data: TrainingClips) -> list[TrainingClip]:
    """Those clips that know their portrait and where it moves."""
    return [clip for clip in every_clip(data) if clip.portrait is not None and FLOW in clip.labels]


def transfer_batch(
    clips: Sequence[TrainingClip], config: TransferTraining, step: int, rows: Iterable[int] | None = None
) -> TransferBatch:
    """The batch of a step, or the given rows of it; half of the images are mirrored."""
    frames: list[NDArray[Any]] = []
    portraits: list[NDArray[Any]] = []
    weights: list[NDArray[Any]] = []
    flows, noise = [], []
    choose = chooser([clip.weight for clip in clips])
    seed = 0
    for row in range(config.batch) if rows is None else rows:
        rng = step_generator(config.seed, "transfer-batch", step, row)
        clip = clips[choose(rng)]
        place = int(rng.integers(len(clip.frames)))
        still = clip.frames[place] if clip.portrait is None else clip.portrait
        mirrored = rng.random() < 0.5
        turn = slice(None, None, -1 if mirrored else 1)
        flow = np.asarray(clip.labels[FLOW][place], np.float32)[:, turn] * (-1 if mirrored else 1, 1)
        for column, value in (
            (frames, clip.frames[place]),
            (portraits, still),
            (weights, part_weights(clip, place, config.part_weight)),
        ):
            column.append(np.ascontiguousarray(np.asarray(value)[:, turn]))
        flows.append(flow.astype(np.float32))
        noise.append(rng.uniform(0, config.noise))
        seed = seed or int(rng.integers(1, 2**62))
    return TransferBatch(
        frames=_images(frames),
        portraits=_images(portraits),
        weights=torch.from_numpy(np.stack(weights))[:, None],
        flow=flow_of_cells(torch.from_numpy(np.stack(flows)), size=frames[0].shape[0]),
        noise=torch.tensor(noise, dtype=torch.float32)[:, None, None, None],
        seed=seed,
    )


def _images(images: list[NDArray[Any]]) -> Tensor:
    return to_signed(torch.from_numpy(np.stack(images))).contiguous(memory_format=torch.channels_last)


def flow_of_cells(flow: Tensor, *, size: int) -> Tensor:
    """The flow at the middle of each cell, in cells.

    Args:
        flow: ``[b, g, g, 2]`` pixels, on a grid from border to border.
        size: Side of the images.

    >>> flow_of_cells(torch.full((1, 5, 5, 2), 8.0), size=16)[0, :, 0, 0].tolist()
    [2.0, 2.0]
    """
    middles = CELL * torch.arange(size // CELL, dtype=torch.float32) + (CELL - 1) / 2
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    places = torch.stack([x, y], -1)[None] / (size - 1) * 2 - 1
    return F.grid_sample(flow.movedim(-1, 1), places.expand(len(flow), -1, -1, -1), align_corners=True) / CELL


def transfer_loss(
    refiner: PortraitRefiner, vae: SmallAutoencoder, batch: TransferBatch, config: TransferTraining
) -> Tensor:
    """Errors of refined and decoded frames with their edges, of the portrait as it was moved, and of both flows."""
    with torch.no_grad():
        latents = vae.encode(batch.frames)
        normal = torch.randn(latents.shape, generator=torch.Generator().manual_seed(batch.seed))
        latents = latents + batch.noise * normal.to(latents)
    decoded = vae.decode(latents)
    moved = refiner.transfer(decoded.clamp(-1, 1), batch.portraits)  # as in use
    warped = warp(batch.portraits, F.interpolate(moved.flow, scale_factor=CELL, mode="bilinear"))

    def weighted(images: Tensor) -> Tensor:
        return reconstruction_loss(images, batch.frames, batch.weights, edge_weight=config.edge_weight)

    return (
        weighted(moved.refined)
        + config.decoded_weight * weighted(decoded)
        + config.warped_weight * (warped - batch.frames).abs().mean()
        + config.flow_weight * (moved.flow - batch.flow).abs().mean()
        + config.matched_weight * (moved.matched - batch.flow).abs().mean()
    )


def train_transfer(
    refiner: PortraitRefiner,
    vae: SmallAutoencoder,
    config: TransferTraining,
    data: TrainingClips,
    out: Path,
    *,
    report: Report,
    workers: Workers = ALONE,
) -> None:
    """Trains both in place, or resumes from the latest checkpoint below ``out``; leaves averaged weights.

    Raises:
        ValueError: No clip knows its flow.
    """
    clips = clips_with_flow(data)
    if not clips:
        raise ValueError("expected re-enacted clips, which know their flow, for 'transfer'; found none in the data")
    device = next(refiner.parameters()).device
    vae.requires_grad_(False)
    vae.decoder.requires_grad_(config.decoder_lr > 0)
    together = nn.ModuleDict({"refiner": refiner, "decoder": vae.decoder})
    optimizer = torch.optim.AdamW(
        [
            {"params": list(refiner.parameters()), "lr": config.lr},
            {"params": list(vae.decoder.parameters()), "lr": config.decoder_lr},
        ],
        weight_decay=1e-3,
    )

    def loss_of(step: int) -> Tensor:
        batch = transfer_batch(clips, config, step, workers.share(config.batch))
        parts = {name: value.to(device) for name, value in vars(batch).items() if isinstance(value, Tensor)}
        return transfer_loss(refiner, vae, TransferBatch(**parts, seed=batch.seed), config)

    trainee = NetworkTrainee(
        together,
        loss_of,
        optimizer,
        schedule=torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rise_and_fall(step, steps=config.steps, warmup=config.warmup, final=0.03)
        ),
        grad_clip=1.0,
        ema=config.ema,
        workers=workers,
    )
    settings = LoopConfig(name="transfer", steps=config.steps, checkpoint_every=config.checkpoint_every)
    Loop(trainee, settings, out / "checkpoints", report=report, workers=workers).run()
    trainee.finish()
    vae.requires_grad_(False)
