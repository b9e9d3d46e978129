"""ReferenceNet: the Backbone's structure without temporal layers; one pass per clip over all its images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emo_models.emo.conditions import ReferenceFeatures
from emo_models.emo.reference_attention import ReferenceBlock, ReferenceFeature, Site
from emo_models.emo.unet import UNet, UNetShape


class ReferenceNet(UNet):
    """Features of the reference image for reference-attention and of the motion frames for the temporal modules.

    It has no output convolution, because nothing reads one, and no text attention, because EMO has no text.

    Args:
        shape: The Backbone's.
        feature: See `ReferenceBlock`.
        timestep: The time it is told; clean images have time 0.
    """

    def __init__(self, shape: UNetShape, *, feature: ReferenceFeature = "output", timestep: int = 0) -> None:
        super().__init__(shape, lambda width: ReferenceBlock(width, heads=shape.heads, feature=feature), None)
        self.timestep = timestep

    def forward(self, reference: Tensor, motion: Tensor | None = None) -> ReferenceFeatures:
        """One pass over [reference; n motion frames].

        Args:
            reference: Latents of the reference image, ``[b, c, h, w]``.
            motion: Latents of the n last frames of the clip before, ``[b, n, c, h, w]``, or ``None``.

        Returns:
            Tokens of the reference per attention site, maps of the motion frames per temporal module.
        """
        images = reference[:, None] if motion is None else torch.cat([reference[:, None], motion], 1)
        b, count = images.shape[:2]
        x = self.first_map(images.flatten(0, 1))
        time = torch.full((len(x),), self.timestep, device=x.device)

        def attend(index: int, site: Site, x: Tensor) -> tuple[Tensor, Tensor | None]:
            tokens, feature = site.block(site.tokens(x))
            return site.image(tokens, x), torch.unflatten(feature, 0, (b, count))[:, 0]

        def settle(index: int, temporal: nn.Module | None, x: Tensor) -> tuple[Tensor, Tensor | None]:
            return x, torch.unflatten(x, 0, (b, count))[:, 1:] if count > 1 else None

        _, sites, maps = self.run(x, self.embed_time(time, x.dtype), attend, settle)
        return ReferenceFeatures(sites=tuple(sites), motion=tuple(maps))
