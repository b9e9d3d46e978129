"""Gives generated frames the detail of their portrait: match, warp the portrait by the flow found, blend.

An extension; the paper's autoencoder is large enough to need no such help. A small one and a small Backbone lose fine
lines and colours, a little with every segment, because each segment continues from the frames of the one before; what
is lost is still in the portrait. The refiner changes frames after the decoder and before they become motion frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emo_models.autoencoder.small_autoencoder import PlainBlock
from emo_models.configured_module import ConfiguredModule, register_to_config
from emo_models.emo.attention import attend
from emo_models.emo.extensions.distance_bias import DistanceBias

CELL = 4
"""Pixels a side of the cells between which frame and portrait are matched."""


@dataclass(frozen=True, eq=False)
class Enlarged:
    """Frames at a portrait's own size.

    Attributes:
        frames: ``[b, 3, S, S]``, not clamped.
        warped: The portrait, moved, ``[b, 3, S, S]``.
        share: How much of a place is the portrait's, ``[b, 1, S, S]``, about 0 to 1.
    """

    frames: Tensor
    warped: Tensor
    share: Tensor


@dataclass(frozen=True, eq=False)
class Transfer:
    """How frames are made from their portrait; computed at the frames' size, applied at that of any portrait.

    Attributes:
        flow: Where each cell comes from, ``[b, 2, H / 4, H / 4]`` (x, y), in cells.
        change: What is added, ``[b, 3, H, H]``: the inside of the mouth, closed lids, what a turn uncovers.
        share: How much of a place is the portrait's, ``[b, 1, H, H]``, about 0 to 1.
        refined: The frames with the portrait's detail at their own size, ``[b, 3, H, H]``, not clamped.
        matched: The flow that matching alone finds, before it is settled.
    """

    flow: Tensor
    change: Tensor
    share: Tensor
    refined: Tensor
    matched: Tensor

    def applied(self, frames: Tensor, portrait: Tensor) -> Tensor:
        """Frames with the detail of a portrait of another size, at that size.

        Args:
            frames: ``[b, 3, H, H]`` in about [-1, 1].
            portrait: ``[b | 1, 3, S, S]``.

        Returns:
            ``[b, 3, S, S]``, not clamped.
        """
        return self.parts(frames, portrait).frames

    def parts(self, frames: Tensor, portrait: Tensor) -> Enlarged:
        """What ``applied`` gives, with the parts it is made of; the same arguments."""
        size, small = portrait.shape[-1], frames.shape[-1]
        frames, change, share = (_resized(part, size) for part in (frames, self.change, self.share))
        flow = _resized(self.flow, size) * (size / small)
        warped = warp(portrait.expand(len(frames), -1, -1, -1), flow, mode="bicubic")
        return Enlarged(frames=frames + share * (warped - frames) + change, warped=warped, share=share)


class PortraitRefiner(ConfiguredModule):
    """Frames and their portrait to frames with the portrait's detail; a fresh one changes nothing.

    Args:
        width: Channels at a quarter of the size, where places are matched.
        match_width: Channels of queries and keys.
        blocks: Residual blocks at a quarter of the size, for frame and portrait each.
        fine_width: Channels at half the size, where images are blended.
        fine_blocks: Residual blocks there.
    """

    @register_to_config
    def __init__(
        self, width: int = 48, match_width: int = 32, blocks: int = 2, fine_width: int = 32, fine_blocks: int = 3
    ) -> None:
        super().__init__()
        pixels = 3 * CELL**2
        self.look = nn.Sequential(
            nn.PixelUnshuffle(CELL),  # type: ignore[no-untyped-call, unused-ignore]
            nn.Conv2d(pixels, width, 3, padding=1),
            *(PlainBlock(width) for _ in range(blocks)),
        )
        self.to_q = nn.Conv2d(width, match_width, 1)
        self.to_k = nn.Conv2d(width, match_width, 1)
        self.to_v = nn.Conv2d(width, match_width, 1)
        self.distance = DistanceBias(1)
        # Starts with a reach of about two cells, the usual way of a head.
        nn.init.constant_(self.distance.log_slope, -2.0)
        joined = width + match_width + 2
        self.settle = nn.Sequential(nn.Conv2d(joined, width, 3, padding=1), PlainBlock(width))
        self.to_shift = nn.Conv2d(width, 2, 3, padding=1)
        self.to_fine = nn.Conv2d(width, fine_width * 4, 1)
        self.blend = nn.Sequential(
            nn.Conv2d(24 + fine_width, fine_width, 3, padding=1),
            *(PlainBlock(fine_width) for _ in range(fine_blocks)),
            nn.Conv2d(fine_width, 16, 3, padding=1),
            nn.PixelShuffle(2),  # type: ignore[no-untyped-call, unused-ignore]
        )
        last = self.blend[-2]
        for layer in (self.to_shift, last):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, frames: Tensor, portrait: Tensor) -> Tensor:
        """Refines frames.

        Args:
            frames: ``[b, 3, H, H]`` in about [-1, 1]; H a multiple of 4.
            portrait: The same size, ``[b, 3, H, H]`` or ``[1, 3, H, H]`` for all of them.

        Returns:
            ``[b, 3, H, H]``, not clamped.
        """
        return self.transfer(frames, portrait).refined

    def transfer(self, frames: Tensor, portrait: Tensor) -> Transfer:
        """What moves where, and what the portrait cannot show; arguments as those of ``forward``."""
        seen, known = self.look(frames), self.look(portrait)
        matched, found = self._match(seen, known)
        shape = self.settle(torch.cat([seen, found, matched], 1))
        flow = matched + self.to_shift(shape)
        warped = warp(portrait.expand_as(frames), F.interpolate(flow, scale_factor=CELL, mode="bilinear"))
        halves = [F.pixel_unshuffle(image, 2) for image in (frames, warped)]
        mixed = self.blend(torch.cat([*halves, F.pixel_shuffle(self.to_fine(shape), 2)], 1))
        # No sigmoid around the share: it is zero at the start, and only so is a fresh refiner the identity.
        change, share = mixed[:, :3], mixed[:, 3:]
        refined = frames + share * (warped - frames) + change
        return Transfer(flow=flow, change=change, share=share, refined=refined, matched=matched)

    def _match(self, seen: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Where in the portrait each cell comes from, ``[b, 2, h, w]`` (x, y) in cells, and the features there."""
        b, _, h, w = seen.shape
        places = cells(h, w).to(seen)

        def tokens(x: Tensor) -> Tensor:
            return x.flatten(2).transpose(1, 2)[:, None].expand(b, -1, -1, -1)

        query, key = tokens(self.to_q(seen)), tokens(self.to_k(known))
        value = tokens(torch.cat([self.to_v(known), places.expand(len(known), -1, -1, -1)], 1))
        near = self.distance(h * w)
        attended = attend(query, key, value, near)[:, 0].transpose(1, 2).reshape(b, -1, h, w)
        # Near an edge there is more to see on one side than on the other; what comes of that alone is no movement.
        still = (near.query @ near.key[0, 0].T).softmax(-1) @ places[0].flatten(1).T
        return attended[:, -2:] - still.T.reshape(2, h, w), attended[:, :-2]


def cells(height: int, width: int) -> Tensor:
    """The place of each cell, (x, y), ``float32 [1, 2, height, width]``."""
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    return torch.stack([x, y])[None]


def _resized(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bicubic", align_corners=False)


def warp(images: Tensor, flow: Tensor, *, mode: str = "bilinear") -> Tensor:
    """``images [b, c, h, w]`` read at each place plus ``flow [b, 2, h, w]`` (x, y in cells of `CELL` pixels)."""
    height, width = images.shape[2:]
    size = torch.tensor([width, height], device=flow.device, dtype=flow.dtype)
    place = (cells(height, width).to(flow) + flow * CELL).movedim(1, -1)
    return F.grid_sample(images, (2 * place + 1) / size - 1, mode=mode, padding_mode="border", align_corners=False)
