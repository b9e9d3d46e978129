"""Blocks and the one resize rule that the small networks share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from emo_metrics.contract import FrameArray


def conv(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch norm, ReLU; 'same' padding."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def over_time(inputs: int, *, widths: Sequence[int], outputs: int) -> nn.Sequential:
    """Convolutions over time without padding, so that each layer of width 5 takes two frames off both ends.

    Args:
        inputs: Channels in.
        widths: Channels of each layer.
        outputs: Channels out.
    """
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv1d(inputs, width, 5, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Conv1d(inputs, outputs, 1))


def to_square(frames: FrameArray, side: int, device: str = "cpu") -> torch.Tensor:
    """Frames at the size of a network: squashed to a square by torch's antialiased bilinear filter, in [0, 1].

    Frames that have the size already pass through untouched.

    Args:
        frames: ``uint8 RGB [n, H, W, 3]``.
        side: Of the square.
        device: Where the result lives.

    Returns:
        ``float32 [n, 3, side, side]``.

    Raises:
        TypeError: for anything but uint8 RGB frames; ranges are never guessed.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise TypeError(f"expected uint8 frames [n, H, W, 3], found {frames.dtype} {frames.shape}")
    x = torch.from_numpy(np.ascontiguousarray(frames)).to(device).permute(0, 3, 1, 2).float() / 255.0
    return smaller(x, side)


def smaller(x: torch.Tensor, side: int) -> torch.Tensor:
    """``[n, 3, H, W]`` to ``[n, 3, side, side]`` by the antialiased bilinear filter."""
    if tuple(x.shape[2:]) == (side, side):
        return x
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
