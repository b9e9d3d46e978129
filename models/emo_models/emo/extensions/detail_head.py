"""Generates what the portrait does not show - the inside of the mouth, closed lids - at the frames' full size.

An extension, after the portrait refiner. Frames larger than the model's own get hair, skin and cloth from the portrait
itself; what moves into view comes from the small frame and is blurred by enlarging it. This network looks at the
enlarged frame beside the moved portrait and adds what is missing. It works at twice the model's size; larger frames get
its result enlarged. A fresh one changes nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emo_models.autoencoder.small_autoencoder import PlainBlock
from emo_models.configured_module import ConfiguredModule, register_to_config

SCALE = 2
"""It works at so many times the model's size."""


class DetailHead(ConfiguredModule):
    """Enlarged frames, the moved portrait and its share to what is to be added.

    Args:
        width: Channels at half of the working size.
        blocks: Residual blocks there.
    """

    @register_to_config
    def __init__(self, width: int = 32, blocks: int = 3) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.PixelUnshuffle(2),  # type: ignore[no-untyped-call, unused-ignore]
            nn.Conv2d(4 * 7, width, 3, padding=1),
            *(PlainBlock(width) for _ in range(blocks)),
            nn.Conv2d(width, 12, 3, padding=1),
            nn.PixelShuffle(2),  # type: ignore[no-untyped-call, unused-ignore]
        )
        last = self.net[-2]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, frames: Tensor, warped: Tensor, share: Tensor) -> Tensor:
        """What is to be added to frames.

        Args:
            frames: ``[b, 3, S, S]`` in about [-1, 1], S even.
            warped: The portrait, moved, the same shape.
            share: How much of each place is the portrait's, ``[b, 1, S, S]``.

        Returns:
            ``[b, 3, S, S]``; small where the portrait shows everything.
        """
        added: Tensor = self.net(torch.cat([frames, warped, share], 1))
        return added

    def applied(self, frames: Tensor, warped: Tensor, share: Tensor, *, small: int) -> Tensor:
        """Frames of any size above ``small`` (the model's own) with what was missing added."""
        size, side = frames.shape[-1], SCALE * small
        if size <= small:
            return frames
        if size == side:
            added: Tensor = self(frames, warped, share)
            return frames + added
        mode = "area" if side < size else "bilinear"
        shown = (F.interpolate(images, (side, side), mode=mode) for images in (frames, warped, share))
        return frames + F.interpolate(self(*shown), (size, size), mode="bicubic", align_corners=False)
