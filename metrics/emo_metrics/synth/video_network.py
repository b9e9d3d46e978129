"""The network behind FVD of the synth family: windows of 16 small frames, convolved in space, then in time."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

SIDE: Final = 64
WINDOW: Final = 16
FEATURES: Final = 64


class _SpaceTime(nn.Module):
    """3 x 3 in space, then 3 in time."""

    def __init__(self, inputs: int, outputs: int, *, space: int, time: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(inputs, outputs, (1, 3, 3), (1, space, space), (0, 1, 1), bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(),
            nn.Conv3d(outputs, outputs, (3, 1, 1), (time, 1, 1), (1, 0, 0), bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.block(x)
        return result


class VideoNetwork(nn.Module):
    """Windows to 64 features; the heads that taught them are not shipped."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _SpaceTime(6, 24, space=2, time=1),
            _SpaceTime(24, 32, space=2, time=1),
            _SpaceTime(32, 64, space=2, time=2),
            _SpaceTime(64, 96, space=2, time=2),
            nn.AdaptiveAvgPool3d((2, 2, 2)),
            nn.Flatten(),
            nn.Linear(96 * 8, FEATURES),
            nn.BatchNorm1d(FEATURES, affine=False),
        )

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Features ``[n, 64]`` of windows ``float32 [n, 16, 3, 64, 64]`` in [0, 1].

        Each frame stands beside its difference to the one before (zero for the first), times 4.
        """
        x = windows.transpose(1, 2)
        change = torch.zeros_like(x)
        change[:, :, 1:] = 4.0 * (x[:, :, 1:] - x[:, :, :-1])
        features: torch.Tensor = self.trunk(torch.cat([x * 2 - 1, change], dim=1)).float()
        return features
