"""Centres and sizes of faces in a small image: a heat map and a box per cell (CenterNet, arXiv 1904.07850)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emo_models.configured_module import ConfiguredModule, register_to_config

STRIDE = 8
"""Pixels a side of the cells of the heat map."""


def _block(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    """Depthwise, then pointwise convolution."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, out, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class FaceDetector(ConfiguredModule):
    """Image to heat map, offsets and sizes.

    Args:
        width: Channels at stride 8; twice as many at stride 16, four times at stride 32.
        side: Side of the square image that it was trained on, in pixels.
    """

    @register_to_config
    def __init__(self, width: int = 48, side: int = 192) -> None:
        super().__init__()
        del side
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), _block(16, 24, 2), _block(24, 24)
        )
        self.eighth = nn.Sequential(_block(24, width, 2), _block(width, width), _block(width, width))
        self.sixteenth = nn.Sequential(_block(width, 2 * width, 2), _block(2 * width, 2 * width))
        self.thirtysecond = nn.Sequential(
            _block(2 * width, 4 * width, 2), _block(4 * width, 4 * width), _block(4 * width, 4 * width)
        )
        self.up_32 = nn.Conv2d(4 * width, 2 * width, 1)
        self.up_16 = nn.Conv2d(2 * width, width, 1)
        self.head = nn.Sequential(_block(width, width), _block(width, width), nn.Conv2d(width, 5, 1))
        last = self.head[-1]
        nn.init.constant_(last.bias[:1], -4.0)  # type: ignore[index]  # faces are rare among cells

    def forward(self, image: Tensor) -> Tensor:
        """Looks for faces.

        Args:
            image: ``[b, 3, H, W]`` in [-1, 1]; H and W multiples of 32.

        Returns:
            ``[b, 5, H / 8, W / 8]``: logit of a face's centre; x and y of the centre from the cell's middle, in cells;
            logarithms of width and height in cells.
        """
        eighth = self.eighth(self.stem(image))
        sixteenth = self.sixteenth(eighth)
        deep = self.up_32(self.thirtysecond(sixteenth))
        middle = sixteenth + F.interpolate(deep, size=sixteenth.shape[2:], mode="nearest")
        fine = eighth + F.interpolate(self.up_16(middle), size=eighth.shape[2:], mode="nearest")
        found: Tensor = self.head(fine)
        return found


def boxes_of(found: Tensor, *, threshold: float) -> list[tuple[Tensor, Tensor]]:
    """Peaks of the heat map as boxes, the surest first.

    Args:
        found: What ``FaceDetector`` returns.
        threshold: Least probability of a face.

    Returns:
        For each image: boxes ``[n, 4]`` (left, top, right, bottom in pixels of the image that was looked at) and
        probabilities ``[n]``.
    """
    results = []
    probability = found[:, :1].sigmoid()
    peaks = (probability == F.max_pool2d(probability, 3, 1, 1)) & (probability >= threshold)
    for index in range(len(found)):
        rows, columns = peaks[index, 0].nonzero(as_tuple=True)
        sure = probability[index, 0, rows, columns]
        order = sure.argsort(descending=True)
        rows, columns, sure = rows[order], columns[order], sure[order]
        dx, dy, log_w, log_h = found[index, 1:, rows, columns]
        x, y = (columns + 0.5 + dx) * STRIDE, (rows + 0.5 + dy) * STRIDE
        w, h = log_w.clamp(max=6).exp() * STRIDE / 2, log_h.clamp(max=6).exp() * STRIDE / 2
        results.append((torch.stack([x - w, y - h, x + w, y + h], 1), sure))
    return results
