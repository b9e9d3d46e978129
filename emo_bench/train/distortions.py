"""Known damage to frames and videos: what the extractors learn to see, and what checks of a metric apply.

Every function takes and returns ``float32 [t, 3, H, W]`` in [0, 1]; strength 0 changes nothing.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F

FRAME_KINDS: Final = ("blur", "noise", "blocks", "washed", "small")
TIME_KINDS: Final = ("frozen", "shuffled", "jitter", "slow", "reversed", "lagging", "shaking")


def blurred(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur; ``sigma`` in pixels."""
    if sigma <= 0:
        return x
    radius = max(1, int(3 * sigma + 0.5))
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float32) / sigma) ** 2)
    weights = weights / weights.sum()
    padded = F.pad(x, (radius, radius, radius, radius), mode="replicate")
    across = F.conv2d(padded.flatten(0, 1)[:, None], weights[None, None, None])
    return F.conv2d(across, weights[None, None, :, None]).view_as(x)


def noisy(x: torch.Tensor, sigma: float, generator: torch.Generator) -> torch.Tensor:
    """Gaussian noise of each frame and pixel; ``sigma`` relative to the full range."""
    return (x + sigma * torch.randn(x.shape, generator=generator)).clamp(0, 1)


def blocky(x: torch.Tensor, strength: float) -> torch.Tensor:
    """Blocks of 8 x 8 lose their fine cosine coefficients, coarsely as JPEG does; strength from 0 to 1."""
    if strength <= 0:
        return x
    t, c, height, width = x.shape
    h, w = height // 8 * 8, width // 8 * 8
    blocks = x[..., :h, :w].reshape(t, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
    basis = _cosines()
    coefficients = basis @ blocks @ basis.T
    order = torch.arange(8, dtype=torch.float32)
    step = strength * (0.04 + 0.05 * (order[:, None] + order[None, :]))
    kept = torch.round(coefficients / step) * step
    restored = (basis.T @ kept @ basis).permute(0, 1, 2, 4, 3, 5).reshape(t, c, h, w)
    result = x.clone()
    result[..., :h, :w] = restored
    return result.clamp(0, 1)


def _cosines() -> torch.Tensor:
    """Orthonormal DCT-II of length 8, ``[8, 8]``."""
    k, n = torch.arange(8, dtype=torch.float32)[:, None], torch.arange(8, dtype=torch.float32)[None, :]
    matrix = torch.cos(torch.pi * (2 * n + 1) * k / 16) * 0.5
    matrix[0] = matrix[0] / 2**0.5
    return matrix


def washed(x: torch.Tensor, strength: float) -> torch.Tensor:
    """Contrast and colour shrink towards grey; strength from 0 to 1."""
    grey = x.mean(dim=1, keepdim=True)
    return (1 - strength) * x + strength * (0.5 * grey + 0.25)


def small(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Made smaller by ``factor`` (at least 1) and enlarged again."""
    if factor <= 1:
        return x
    side = (max(8, round(x.shape[2] / factor)), max(8, round(x.shape[3] / factor)))
    low = F.interpolate(x, size=side, mode="bilinear", align_corners=False, antialias=True)
    return F.interpolate(low, size=tuple(x.shape[2:]), mode="bilinear", align_corners=False)


def damaged_frames(x: torch.Tensor, kind: str, strength: float, generator: torch.Generator) -> torch.Tensor:
    """One of ``FRAME_KINDS`` with a strength in [0, 1]."""
    if kind == "blur":
        return blurred(x, 3.0 * strength)
    if kind == "noise":
        return noisy(x, 0.2 * strength, generator)
    if kind == "blocks":
        return blocky(x, 3.0 * strength)
    if kind == "washed":
        return washed(x, 0.7 * strength)
    if kind == "small":
        return small(x, 1.0 + 4.0 * strength)
    raise ValueError(f"unknown damage {kind!r}; expected one of {FRAME_KINDS}")


def damaged_time(x: torch.Tensor, kind: str, strength: float, generator: torch.Generator) -> torch.Tensor:
    """One of ``TIME_KINDS`` with a strength in [0, 1]; the number of frames stays."""
    count = len(x)
    index = torch.arange(count)
    if kind == "frozen":
        start = int(torch.randint(0, count, (1,), generator=generator))
        return x[torch.full((count,), start)] if strength > 0 else x
    if kind == "shuffled":
        if strength <= 0:
            return x
        keys = index + torch.rand(count, generator=generator) * (2 + 14 * strength)
        return x[torch.argsort(keys)]
    if kind == "jitter":
        steps = torch.randint(-3, 4, (count,), generator=generator)
        moved = torch.rand(count, generator=generator) < strength
        return x[(index + steps * moved).clamp(0, count - 1)]
    if kind == "slow":
        return x[(index / (1 + 2 * strength)).long()]
    if kind == "reversed":
        return x.flip(0) if strength > 0 else x
    if kind == "lagging":
        mixed = x.clone()
        for t in range(1, count):
            mixed[t] = (1 - 0.8 * strength) * x[t] + 0.8 * strength * mixed[t - 1]
        return mixed
    if kind == "shaking":
        shifts = torch.randint(-4, 5, (count, 2), generator=generator)
        scale = strength * x.shape[2] / 64
        frames = [
            torch.roll(f, (round(float(s[0]) * scale), round(float(s[1]) * scale)), (1, 2))
            for f, s in zip(x, shifts, strict=True)
        ]
        return torch.stack(frames)
    raise ValueError(f"unknown damage {kind!r}; expected one of {TIME_KINDS}")
