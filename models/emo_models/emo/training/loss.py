"""The loss: squared error per sample, heavier on mouth and eyes, weighted by min-SNR before anything is averaged."""

from __future__ import annotations

import torch
from torch import Tensor


def denoising_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    mouth: Tensor,
    eyes: Tensor,
    mouth_weight: float,
    eye_weight: float,
    snr_weight: Tensor | None,
) -> Tensor:
    """Mean over samples of ``w_snr * (mean + mouth_weight * mean over mouth + eye_weight * mean over eyes)``.

    Args:
        prediction: ``[b, f, c, h, w]``.
        target: The same shape.
        mouth: Share of each cell inside the mouth box, ``[b, f, h, w]``.
        eyes: The same for the eyes.
        mouth_weight: 0.2 to 0.5 helps lip sync (Diffused Heads).
        eye_weight: Keeps eyes from going blank.
        snr_weight: Per sample, ``[b]`` or ``[b, f]``; ``None`` is 1.

    Returns:
        A scalar, float32.
    """
    error = (prediction.float() - target.float()).square().mean(2)
    per_frame = error.mean((2, 3))
    for region, weight in ((mouth, mouth_weight), (eyes, eye_weight)):
        if weight:
            per_frame = per_frame + weight * region_mean(error, region)
    if snr_weight is not None:
        weights = snr_weight if snr_weight.dim() == 2 else snr_weight[:, None]
        per_frame = per_frame * weights
    return per_frame.mean()


def region_mean(error: Tensor, region: Tensor) -> Tensor:
    """Mean of ``error [b, f, h, w]`` over a soft region, ``[b, f]``; 0 where the region is empty."""
    return (error * region).sum((2, 3)) / region.sum((2, 3)).clamp_min(1e-6)


def draw_timesteps(
    shape: tuple[int, ...], *, kind: str, train_steps: int, mean: float, std: float, generator: torch.Generator
) -> Tensor:
    """Training times, ``int64`` in [0, train_steps): uniform, or concentrated in the middle (logit-normal)."""
    if kind == "uniform":
        return torch.randint(0, train_steps, shape, generator=generator)
    share = torch.sigmoid(torch.randn(shape, generator=generator) * std + mean)
    return (share * train_steps).long().clamp_max(train_steps - 1)
