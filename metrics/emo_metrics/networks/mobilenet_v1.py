"""MobileNet v1 (Howard et al., arXiv 1704.04861) at half width, as 3DDFA_V2's ``mb05_120x120`` has it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

BLOCKS: Final[tuple[tuple[str, int, int], ...]] = (
    ("dw2_1", 64, 1),
    ("dw2_2", 128, 2),
    ("dw3_1", 128, 1),
    ("dw3_2", 256, 2),
    ("dw4_1", 256, 1),
    ("dw4_2", 512, 2),
    *((f"dw5_{index}", 512, 1) for index in range(1, 6)),
    ("dw5_6", 1024, 2),
    ("dw6", 1024, 1),
)
"""Name in the weights file, output channels at full width, stride."""


class DepthwiseSeparable(nn.Module):
    """A 3x3 convolution per channel, then a 1x1 convolution; each with batch norm and ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels_in, channels_in, 3, stride=stride, padding=1, groups=channels_in, bias=False)
        self.bn_dw = nn.BatchNorm2d(channels_in)
        self.conv_sep = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, channels_in, h, w]`` to ``[n, channels_out, h / stride, w / stride]``."""
        x = torch.relu(self.bn_dw(self.conv_dw(x)))
        return torch.relu(self.bn_sep(self.conv_sep(x)))


class MobileNetV1(nn.Module):
    """The regressor of 3DDFA_V2.

    Args:
        width: Multiplier of all channel counts; 0.5 for ``mb05``.
        parameters: How many numbers are regressed.
        landmarks: Size of a second head that the file holds and nothing here uses; 0 leaves it out.
    """

    def __init__(self, *, width: float = 0.5, parameters: int = 62, landmarks: int = 136) -> None:
        super().__init__()
        channels = int(32 * width)
        self.conv1 = nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for name, full, stride in BLOCKS:
            self.add_module(name, DepthwiseSeparable(channels, int(full * width), stride))
            channels = int(full * width)
        self.fc_param = nn.Linear(channels, parameters)
        if landmarks:
            self.fc_lm = nn.Linear(channels, landmarks)

    def forward(self, x: Tensor) -> Tensor:
        """``float [n, 3, 120, 120]`` to ``[n, parameters]``, not yet scaled by the file of means and deviations."""
        x = torch.relu(self.bn1(self.conv1(x)))
        for name, _, _ in BLOCKS:
            x = self.get_submodule(name)(x)
        parameters: Tensor = self.fc_param(x.mean(dim=(2, 3)))
        return parameters
