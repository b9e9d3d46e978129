"""Face Locator: a few convolutions that turn the face region into a map added to the noisy input.

The region is one mask for all frames of a segment: the union of the faces' boxes (section 3.2). White everywhere means
no guidance.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FaceLocator(nn.Module):
    """Mask to latent map; zero at the start.

    Args:
        out_channels: Channels of the latents (the paper's place) or of the first feature map.
        channels: Widths of the convolutions.
        downsample: Pixels per latent pixel; a power of two.
    """

    def __init__(self, out_channels: int, *, channels: tuple[int, ...] = (16, 32, 64), downsample: int = 8) -> None:
        super().__init__()
        halvings = downsample.bit_length() - 1
        if 2**halvings != downsample or halvings > len(channels):
            raise ValueError(
                f"expected a downsampling by a power of two with at most {len(channels)} halvings, found {downsample}"
            )
        layers: list[nn.Module] = []
        width = 1
        for index, channel in enumerate(channels):
            layers += [nn.Conv2d(width, channel, 3, padding=1, stride=2 if index < halvings else 1), nn.SiLU()]
            width = channel
        self.convs = nn.Sequential(*layers)
        self.conv_out = nn.Conv2d(width, out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        if self.conv_out.bias is not None:
            nn.init.zeros_(self.conv_out.bias)

    def forward(self, mask: Tensor) -> Tensor:
        """``mask float [b, 1, H, W]`` in [0, 1] -> ``[b, out_channels, H/downsample, W/downsample]``."""
        out: Tensor = self.conv_out(self.convs(mask))
        return out


def union_mask(boxes: Tensor, *, height: int, width: int) -> Tensor:
    """Union of boxes as one mask per segment.

    Args:
        boxes: ``[b, t, 4]`` as (left, top, right, bottom) in pixels, right and bottom exclusive.
        height: Of the mask.
        width: Of the mask.

    Returns:
        ``float32 [b, 1, height, width]`` of zeros and ones.

    >>> union_mask(torch.tensor([[[0, 0, 1, 1], [1, 1, 2, 2]]]), height=2, width=3)[0, 0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    y = torch.arange(height, device=boxes.device)[None, None, :, None] + 0.5
    x = torch.arange(width, device=boxes.device)[None, None, None, :] + 0.5
    left, top, right, bottom = (edge[..., None, None] for edge in boxes.unbind(-1))
    inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    return inside.any(1, keepdim=True).float()
