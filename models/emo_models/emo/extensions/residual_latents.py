"""Diffusion of the residual against the portrait instead of the latents themselves. An extension.

What does not move then costs nothing to learn. The residual is in units of its standard deviation per channel, measured
on the training clips, so that noise schedules fit.
"""

from __future__ import annotations

import torch
from torch import Tensor


def to_residual(latents: Tensor, reference: Tensor, std: tuple[float, ...]) -> Tensor:
    """``latents [b, f, c, h, w]`` minus ``reference [b, c, h, w]``, divided by ``std`` per channel."""
    return (latents - reference[:, None]) / _per_channel(std, latents)


def from_residual(residual: Tensor, reference: Tensor, std: tuple[float, ...]) -> Tensor:
    """The latents again; the inverse of `to_residual`."""
    return residual * _per_channel(std, residual) + reference[:, None]


def _per_channel(std: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(std, dtype=like.dtype, device=like.device)[:, None, None]
