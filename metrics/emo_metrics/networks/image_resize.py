"""The three resizes to 299 x 299 under which FID is published; they differ, so each is part of a protocol's name.

Frames enter as ``uint8 [n, H, W, 3]`` and leave as ``float32 [n, 3, 299, 299]`` ready for the network.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from emo_metrics.contract import FrameArray
from emo_metrics.networks.inception_fid import SIDE


def prepare_pytorch_fid(frames: FrameArray) -> torch.Tensor:
    """pytorch-fid: to [0, 1], bilinear without antialiasing, then 2 x − 1."""
    x = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float().div(255.0)
    return 2.0 * F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False) - 1.0


def prepare_torch_fidelity(frames: FrameArray) -> torch.Tensor:
    """torch-fidelity and the TensorFlow original: TF 1 bilinear in 0..255, then (x − 128) / 128."""
    x = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    return (tf1_bilinear(x, SIDE, SIDE) - 128.0) / 128.0


def prepare_clean(frames: FrameArray) -> torch.Tensor:
    """clean-fid: PIL bicubic with antialiasing for each channel in float32, clipped to 0..255, then (x − 128) / 128."""
    from PIL import Image

    resized = np.empty((len(frames), 3, SIDE, SIDE), dtype=np.float32)
    for i, frame in enumerate(frames):
        for channel in range(3):
            plane = Image.fromarray(frame[:, :, channel].astype(np.float32))
            scaled = plane.resize((SIDE, SIDE), resample=Image.Resampling.BICUBIC)
            resized[i, channel] = np.asarray(scaled).clip(0, 255)
    return (torch.from_numpy(resized) - 128.0) / 128.0


def tf1_bilinear(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """TensorFlow 1's ``resize_bilinear`` with ``align_corners=False``: pixel i samples i · in / out, no half pixels.

    Args:
        x: ``float32 [n, c, h, w]``.
        height: Of the output.
        width: Of the output.
    """
    top, bottom, down = _sources(x.shape[2], height)
    left, right, across = _sources(x.shape[3], width)
    upper, lower = x[:, :, top], x[:, :, bottom]
    first = upper[..., left] + (upper[..., right] - upper[..., left]) * across
    second = lower[..., left] + (lower[..., right] - lower[..., left]) * across
    return first + (second - first) * down[:, None]


def _sources(inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For every output pixel the two input pixels and the share of the second, in float32 as TensorFlow does."""
    position = torch.arange(outputs, dtype=torch.float32) * torch.tensor(inputs / outputs, dtype=torch.float32)
    low = position.long()
    return low, (low + 1).clamp_max(inputs - 1), position - low.float()
