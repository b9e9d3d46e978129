"""Training of the detail head, on re-enacted clips of twice the model's size as the refiner gives them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder, to_signed
from emo_models.autoencoder.training import part_weights, reconstruction_loss
from emo_models.emo.extensions.detail_head import SCALE, DetailHead
from emo_models.emo.extensions.portrait_refiner import PortraitRefiner
from emo_models.emo.training.config import DetailTraining
from emo_models.training.clips import TrainingClip, TrainingClips, chooser, every_clip, step_generator
from emo_models.training.loop import Report
from emo_models.training.network import train_image_network
from emo_models.training.workers import ALONE, Workers


def detail_batch(
    clips: Sequence[TrainingClip], config: DetailTraining, step: int, rows: Iterable[int] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Frames, portraits ``[b, 3, S, S]``, weights ``[b, 1, S, S]``, noise ``[b, 1, 1, 1]`` and its seed."""
    frames, portraits, weights, noise = [], [], [], []
    choose = chooser([clip.weight for clip in clips])
    seed = 0
    for row in range(config.batch) if rows is None else rows:
        rng = step_generator(config.seed, "detail-batch", step, row)
        clip = clips[choose(rng)]
        place = int(rng.integers(len(clip.frames)))
        turn = slice(None, None, -1 if rng.random() < 0.5 else 1)
        still = clip.frames[place] if clip.portrait is None else clip.portrait
        frames.append(np.ascontiguousarray(np.asarray(clip.frames[place])[:, turn]))
        portraits.append(np.ascontiguousarray(np.asarray(still)[:, turn]))
        weights.append(np.ascontiguousarray(part_weights(clip, place, config.part_weight)[:, turn]))
        noise.append(rng.uniform(0, config.noise))
        seed = seed or int(rng.integers(1, 2**62))
    first, second = (to_signed(torch.from_numpy(np.stack(column))) for column in (frames, portraits))
    levels = torch.tensor(noise, dtype=torch.float32)[:, None, None, None]
    return first, second, torch.from_numpy(np.stack(weights))[:, None], levels, seed


@torch.no_grad()
def as_given(
    refiner: PortraitRefiner, vae: SmallAutoencoder, frames: Tensor, portraits: Tensor, noise: Tensor, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What the head sees of full-size frames: as the small pipeline gives them, the moved portrait, its share."""
    small_frames, small_portraits = (_reduced(images) for images in (frames, portraits))
    latents = vae.encode(small_frames)
    normal = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
    decoded = vae.decode(latents + noise * normal.to(latents)).clamp(-1, 1)
    parts = refiner.transfer(decoded, small_portraits).parts(decoded, portraits)
    return parts.frames, parts.warped, parts.share


def _reduced(images: Tensor) -> Tensor:
    return F.interpolate(images, scale_factor=1 / SCALE, mode="area")


def train_detail(
    head: DetailHead,
    refiner: PortraitRefiner,
    vae: SmallAutoencoder,
    config: DetailTraining,
    data: TrainingClips,
    out: Path,
    *,
    report: Report,
    workers: Workers = ALONE,
) -> None:
    """Trains the head in place, or resumes from the latest checkpoint below ``out``; leaves averaged weights.

    Raises:
        ValueError: No clip knows its portrait.
    """
    clips = [clip for clip in every_clip(data) if clip.portrait is not None]
    if not clips:
        raise ValueError("expected re-enacted clips, which know their portrait, for 'detail'; found none")
    device = next(head.parameters()).device

    def loss_of(step: int) -> Tensor:
        frames, portraits, weights, noise, seed = detail_batch(clips, config, step, workers.share(config.batch))
        frames, portraits, weights, noise = (x.to(device) for x in (frames, portraits, weights, noise))
        given, warped, share = as_given(refiner, vae, frames, portraits, noise, seed)
        return reconstruction_loss(given + head(given, warped, share), frames, weights, edge_weight=config.edge_weight)

    train_image_network(head, loss_of, config, out, name="detail", report=report, workers=workers)
