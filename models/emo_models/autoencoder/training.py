"""Training of the small autoencoder: L1 and edge L1, heavier on eyes and mouth, with noise on the latents."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emo_models.autoencoder.config import AutoencoderTraining
from emo_models.autoencoder.small_autoencoder import SmallAutoencoder, to_bytes, to_signed
from emo_models.precision import bfloat16_where_fast
from emo_models.training.averaging import Average
from emo_models.training.clips import Chooser, TrainingClip, TrainingClips, chooser, every_clip, step_generator
from emo_models.training.loop import Loop, LoopConfig, Report
from emo_models.training.network import NetworkTrainee, adamw, rise_and_fall
from emo_models.training.workers import ALONE, Workers


def train_autoencoder(
    model: SmallAutoencoder,
    config: AutoencoderTraining,
    clips: TrainingClips,
    out: Path,
    *,
    report: Report,
    workers: Workers = ALONE,
) -> SmallAutoencoder:
    """Trains, or resumes from the latest checkpoint below ``out``; returns the model with averaged weights.

    Of ``workers`` each computes its share of the crops; the model stays on the device it is on.

    Raises:
        ValueError: A clip is smaller than a crop.
    """
    device = next(model.parameters()).device
    _require_room(clips, config.crop)
    choose = chooser([clip.weight for clip in every_clip(clips)])

    def loss_of(step: int) -> Tensor:
        rows = workers.share(config.batch)
        images, weights = (part.to(device) for part in _batch(clips, choose, config, step, rows))
        shape = (config.batch, model.config.latent_channels, config.crop // 8, config.crop // 8)
        noise = _noise(shape, config, step)[list(rows)].to(device)
        with bfloat16_where_fast(device, wanted=config.bf16):
            rebuilt = model(images, noise=noise)[0] if step < config.steps else _decode_noisy(model, images, noise)
        return reconstruction_loss(rebuilt.float(), images, weights, edge_weight=config.edge_weight)

    def before_step(step: int, average: Average | None) -> None:
        if step == config.steps and average is not None:
            # From here on the averaged model is trained: its latents are the ones that everybody uses.
            model.load_state_dict(average.tensors)
        if step >= config.steps:
            _freeze_latents(model)

    nn.Module.to(model, memory_format=torch.channels_last)
    trainee = NetworkTrainee(
        model,
        loss_of,
        adamw(model),
        rate=lambda step: learning_rate(step, config),
        grad_clip=1.0,
        ema=config.ema,
        before_step=before_step,
        workers=workers,
    )
    settings = LoopConfig(
        name="autoencoder",
        steps=config.steps + config.decoder_steps,
        checkpoint_every=config.checkpoint_every,
        also_save=(config.steps,),
    )
    Loop(trainee, settings, out / "checkpoints", report=report, workers=workers).run()
    trainee.finish()
    return model.requires_grad_(True)


def _require_room(clips: TrainingClips, side: int) -> None:
    for clip in every_clip(clips):
        height, width = clip.frames.shape[1:3]
        if min(height, width) < side:
            raise ValueError(
                f"expected frames of at least {side} pixels for crops of the autoencoder, found {width}x{height} in "
                f"clip {clip.id}; lower autoencoder.crop"
            )


def learning_rate(step: int, config: AutoencoderTraining) -> float:
    """Linear rise, then linear fall to zero at the last step; once more for the decoder alone."""
    steps = config.steps
    if step >= steps:
        step, steps = step - steps, config.decoder_steps
    return config.lr * rise_and_fall(step, steps=steps, warmup=config.warmup)


def _freeze_latents(model: SmallAutoencoder) -> None:
    model.eval()
    for part in (model.encoder, model.standardise):
        part.requires_grad_(False)


def _decode_noisy(model: SmallAutoencoder, images: Tensor, noise: Tensor) -> Tensor:
    with torch.no_grad():
        latents = model.encode(images)
    return model.decode(latents + noise)


def _noise(shape: tuple[int, ...], config: AutoencoderTraining, step: int) -> Tensor:
    rng = torch.Generator().manual_seed(int(step_generator(config.seed, "ae-noise", step).integers(2**62)))
    noise = torch.randn(shape, generator=rng)
    if step < config.steps:
        return noise * config.latent_noise
    return noise * torch.rand((shape[0], 1, 1, 1), generator=rng) * config.decoder_noise


def reconstruction_loss(rebuilt: Tensor, images: Tensor, weights: Tensor, *, edge_weight: float) -> Tensor:
    """Weighted L1 of ``[b, 3, h, w]`` in [-1, 1] plus that of neighbour differences; weights ``[b, 1, h, w]``."""
    error = rebuilt - images
    scale = weights / weights.mean()
    loss = (error.abs() * scale).mean()
    for dim in (2, 3):
        difference = error.narrow(dim, 1, error.shape[dim] - 1) - error.narrow(dim, 0, error.shape[dim] - 1)
        loss = loss + edge_weight * (difference.abs() * scale.narrow(dim, 1, scale.shape[dim] - 1)).mean()
    return loss


def region_psnr(model: SmallAutoencoder, clips: TrainingClips, *, frames_per_clip: int = 2) -> dict[str, float]:
    """PSNR in dB over all pixels and within mouth, eye and face boxes, pooled over clips."""
    errors: dict[str, list[float]] = {"all": [], "face": [], "eyes": [], "mouth": []}
    counts: dict[str, list[int]] = {name: [] for name in errors}
    for index in range(len(clips)):
        clip = clips[index]
        chosen = np.linspace(0, len(clip.frames) - 1, frames_per_clip).astype(int)
        frames = torch.from_numpy(np.asarray(clip.frames[chosen]))
        rebuilt = reconstruct(model, frames)
        square = (rebuilt.float() - frames.float()).square().mean(-1).numpy()
        for position, frame in enumerate(chosen):
            boxes = {"face": clip.face_boxes, "eyes": clip.eye_boxes, "mouth": clip.mouth_boxes}
            regions = {name: _inside(square[position], box[frame]) for name, box in boxes.items()}
            for name, values in {"all": square[position], **regions}.items():
                errors[name].append(float(values.sum()))
                counts[name].append(values.size)
    return {n: float(10 * np.log10(255**2 * sum(counts[n]) / max(sum(errors[n]), 1e-9))) for n in errors}


@torch.no_grad()
def reconstruct(model: SmallAutoencoder, frames: Tensor) -> Tensor:
    """``uint8 [t, H, W, 3]`` through the autoencoder; frames come and go on the CPU."""
    device = next(model.parameters()).device
    return to_bytes(model.decode(model.encode(to_signed(frames.to(device))))).cpu()


def write_facts(path: Path, facts: dict[str, object]) -> None:
    """A small JSON file beside the weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def _inside(values: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """What lies in a box: nothing where it lies outside of the image."""
    left, top, right, bottom = (round(float(v)) for v in box)
    return values[max(top, 0) : max(bottom, top + 1, 0), max(left, 0) : max(right, left + 1, 0)]


def _batch(
    clips: TrainingClips, choose: Chooser, config: AutoencoderTraining, step: int, rows: range
) -> tuple[Tensor, Tensor]:
    crops, weights = [], []
    for row in rows:
        rng = step_generator(config.seed, "ae-batch", step, row)
        clip = clips[choose(rng)]
        crop, weight = _crop(clip, config, rng)
        crops.append(crop)
        weights.append(weight)
    images = to_signed(torch.from_numpy(np.stack(crops))).contiguous(memory_format=torch.channels_last)
    return images, torch.from_numpy(np.stack(weights))[:, None]


def _crop(
    clip: TrainingClip, config: AutoencoderTraining, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    frame = int(rng.integers(len(clip.frames)))
    height, width = clip.frames.shape[1:3]
    side = config.crop
    middle = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    if rng.random() < config.face_share:
        box = (clip.mouth_boxes if rng.random() < 0.5 else clip.eye_boxes)[frame]
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2 + rng.uniform(-side / 3, side / 3, 2)
    left = int(np.clip(middle[0] - side / 2, 0, width - side))
    top = int(np.clip(middle[1] - side / 2, 0, height - side))
    weight = part_weights(clip, frame, config.part_weight)
    image = np.array(clip.frames[frame, top : top + side, left : left + side])
    if rng.random() < 0.5:
        image, weight = image[:, ::-1].copy(), weight[:, ::-1]
        left = width - side - left
    return image, np.ascontiguousarray(weight[top : top + side, left : left + side])


def part_weights(clip: TrainingClip, frame: int, extra: float) -> NDArray[np.float32]:
    """1 everywhere and ``extra`` more in the boxes of eyes and mouth, ``float32 [H, W]``."""
    weight = np.ones(clip.frames.shape[1:3], np.float32)
    for box in (clip.eye_boxes[frame], clip.mouth_boxes[frame]):
        _inside(weight, box)[...] += extra
    return weight


def without_parts(clip: TrainingClip, frame: int) -> NDArray[np.float32]:
    """1 everywhere but in the boxes of eyes and mouth, where it is 0, ``float32 [H, W]``."""
    return np.asarray(part_weights(clip, frame, 1.0) == 1, np.float32)
