"""The network behind FID of the synth family: processes whole frames, and was trained to recognise damage."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from emo_metrics.synth.layers import conv

SIDE: Final = 128
FEATURES: Final = 64


class AppearanceNetwork(nn.Module):
    """Frames to 64 features; the heads that taught them are not shipped."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            conv(3, 24, stride=2, kernel=5),
            conv(24, 32, stride=2),
            conv(32, 64, stride=2),
            conv(64, 96, stride=2),
            conv(96, 128),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(512, FEATURES),
            nn.BatchNorm1d(FEATURES, affine=False),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Features ``[n, 64]`` of frames ``float32 [n, 3, 128, 128]`` in [0, 1]."""
        features: torch.Tensor = self.trunk(frames * 2 - 1).float()
        return features
