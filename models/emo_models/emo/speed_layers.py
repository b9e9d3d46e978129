"""Speed layers: head rotation speed as tanh buckets, widened by its neighbours, encoded by an MLP (section 3.2).

The paper gives ``s_i = tanh((w_f - c_i) / r_i * 3)`` for buckets with centre c and radius r and leaves number, centres
and radii open; they are taken from the training labels (`bucket_layout`). Units are degrees per frame, unsigned.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emo_models.emo.architecture import SpeedConfig
from emo_models.emo.attention import sinusoid


class SpeedEncoder(nn.Module):
    """Speeds to features for the cross-attention along time.

    Args:
        config: Bucket centres and radii, width of the features (l).
        window: m, neighbours on each side.
        max_frames: Longest segment.
    """

    centres: Tensor
    radii: Tensor
    positions: Tensor

    def __init__(self, config: SpeedConfig, *, window: int = 2, max_frames: int = 32) -> None:
        super().__init__()
        centres, radii, width = config.centres, config.radii, config.width
        if len(centres) != len(radii) or not len(centres) or min(radii) <= 0:
            raise ValueError(f"expected one positive radius per bucket centre, found {len(centres)} and {list(radii)}")
        self.window = window
        self.register_buffer("centres", torch.tensor(centres, dtype=torch.float32))
        self.register_buffer("radii", torch.tensor(radii, dtype=torch.float32))
        first = nn.Linear((2 * window + 1) * len(centres), width)
        self.mlp = nn.Sequential(first, nn.SiLU(), nn.Linear(width, width))
        # Keys carry the time they belong to, as the queries do.
        self.register_buffer("positions", sinusoid(max_frames, width), persistent=False)

    def buckets(self, speed: Tensor) -> Tensor:
        """``speed [...]`` -> ``[..., d]`` in (-1, 1): a soft thermometer, each entry rises as the speed passes it."""
        return torch.tanh((speed.float()[..., None] - self.centres) / self.radii * 3)

    def forward(self, speed: Tensor) -> Tensor:
        """``speed [b, f + 2m]``, with m neighbours on each side, -> features ``[b, f, width]``."""
        windows = self.buckets(speed).unfold(1, 2 * self.window + 1, 1)
        dtype = next(self.mlp.parameters()).dtype
        features: Tensor = self.mlp(windows.transpose(2, 3).flatten(2).to(dtype))
        return features + self.positions[: features.shape[1]].to(features.dtype)


def bucket_layout(labels: NDArray[np.floating], *, buckets: int = 9) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Centres at the 10th to 90th percentile of training labels, radii equal to the local spacing.

    Args:
        labels: Head speeds of training frames, degrees per frame.
        buckets: d.

    Returns:
        Centres and radii.

    >>> centres, radii = bucket_layout(np.linspace(0.0, 2.0, 201), buckets=3)
    >>> [round(c, 2) for c in centres], [round(r, 2) for r in radii]
    ([0.2, 1.0, 1.8], [0.8, 0.8, 0.8])
    """
    if labels.size < buckets:
        raise ValueError(f"expected at least {buckets} speed labels, found {labels.size}")
    centres = np.percentile(labels, np.linspace(10, 90, buckets))
    spread = max(float(centres[-1] - centres[0]), 1e-3)
    # Equal labels would give equal centres; keep them apart so that every bucket can be told from the next.
    for index in range(1, buckets):
        centres[index] = max(centres[index], centres[index - 1] + 0.02 * spread)
    radii = np.gradient(centres)
    return tuple(float(c) for c in centres), tuple(float(r) for r in radii)
