"""Images to latents an eighth of the size and back, in about a million parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emo_models.configured_module import ConfiguredModule, register_to_config


class PlainBlock(nn.Module):
    """Residual block without normalisation: cheap on a CPU, and brightness passes through untouched."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, c, h, w]`` -> the same shape."""
        out: Tensor = x + self.conv2(F.silu(self.conv1(F.silu(x))))
        return out


class SmallAutoencoder(ConfiguredModule):
    """Deterministic convolutional autoencoder with latents of zero mean and unit variance.

    Args:
        latent_channels: Channels of the latents.
        widths: Channels at 1/2, 1/4 and 1/8 of the size.
        encoder_blocks: Residual blocks per size on the way down.
        decoder_blocks: Residual blocks per size on the way up.
        thumbnail: The first three channels are the image itself at an eighth of its size. What is learned packs
            all channels evenly, so that nothing in them is decided before anything else; a thumbnail is smooth, so a
            diffusion model settles colours and places first and detail after.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 8,
        widths: tuple[int, int, int] = (32, 64, 128),
        encoder_blocks: tuple[int, int, int] = (1, 1, 2),
        decoder_blocks: tuple[int, int, int] = (2, 2, 3),
        thumbnail: bool = False,
    ) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),  # type: ignore[no-untyped-call, unused-ignore]
            nn.Conv2d(12, half, 3, padding=1),
            *(PlainBlock(half) for _ in range(encoder_blocks[0])),
            nn.Conv2d(half, quarter, 4, stride=2, padding=1),
            *(PlainBlock(quarter) for _ in range(encoder_blocks[1])),
            nn.Conv2d(quarter, eighth, 4, stride=2, padding=1),
            *(PlainBlock(eighth) for _ in range(encoder_blocks[2])),
            nn.Conv2d(eighth, latent_channels - 3 * thumbnail, 3, padding=1),
        )
        # Running statistics make the latents standard, so that noise schedules fit without a scaling factor.
        self.standardise = nn.BatchNorm2d(latent_channels, affine=False, momentum=0.02)
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, eighth, 3, padding=1),
            *(PlainBlock(eighth) for _ in range(decoder_blocks[2])),
            nn.Conv2d(eighth, quarter * 4, 3, padding=1),
            nn.PixelShuffle(2),  # type: ignore[no-untyped-call, unused-ignore]
            *(PlainBlock(quarter) for _ in range(decoder_blocks[1])),
            nn.Conv2d(quarter, half * 4, 3, padding=1),
            nn.PixelShuffle(2),  # type: ignore[no-untyped-call, unused-ignore]
            *(PlainBlock(half) for _ in range(decoder_blocks[0])),
            nn.Conv2d(half, 12, 3, padding=1),
            nn.PixelShuffle(2),  # type: ignore[no-untyped-call, unused-ignore]
        )

    def encode(self, images: Tensor) -> Tensor:
        """``images float [b, 3, H, W]`` in [-1, 1], H and W multiples of 8 -> latents ``[b, c, H/8, W/8]``."""
        if images.shape[-1] % 8 or images.shape[-2] % 8:
            raise ValueError(f"expected height and width to be multiples of 8, found {tuple(images.shape[-2:])}")
        learned = self.encoder(images).float()
        if self.config.thumbnail:
            learned = torch.cat([F.avg_pool2d(images.float(), 8), learned], 1)
        latents: Tensor = self.standardise(learned)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """``latents [b, c, h, w]`` -> ``images [b, 3, 8h, 8w]``, about [-1, 1] (not clamped)."""
        images: Tensor = self.decoder(latents)
        return images

    def forward(self, images: Tensor, *, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reconstruction and latents; ``noise`` (the latents' shape) is added before decoding, for training."""
        latents = self.encode(images)
        noisy = latents if noise is None else latents + noise
        return self.decode(noisy), latents


def to_signed(frames: Tensor) -> Tensor:
    """``uint8 [..., H, W, 3]`` -> ``float32 [..., 3, H, W]`` in [-1, 1]."""
    return frames.movedim(-1, -3).float().div(127.5).sub(1)


def to_bytes(images: Tensor) -> Tensor:
    """``float [..., 3, H, W]`` in [-1, 1] -> ``uint8 [..., H, W, 3]``, rounded and clamped."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1)
