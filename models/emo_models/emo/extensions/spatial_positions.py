"""Fixed positions added to the first map. An extension, for networks that start without a prior."""

from __future__ import annotations

import torch
from torch import Tensor

from emo_models.emo.attention import sinusoid


def image_positions(channels: int, height: int, width: int) -> Tensor:
    """Fixed positions ``[channels, height, width]``: half of the channels for rows, half for columns."""
    half = channels // 2
    # The grid is scaled to a common length so that another size means the same places in the image.
    rows = sinusoid(1024, half)[torch.linspace(0, 255, height).long()]
    columns = sinusoid(1024, channels - half)[torch.linspace(0, 255, width).long()]
    return torch.cat([rows.T[:, :, None].expand(-1, height, width), columns.T[:, None, :].expand(-1, height, width)])
