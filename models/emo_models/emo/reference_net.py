"""ReferenceNet: the Backbone's structure without temporal layers; one pass per segment over all its images."""

from __future__ import annotations

import torch
from torch import Tensor

from emo_models.emo.architecture import EMOArchitecture
from emo_models.emo.conditions import ReferenceFeatures
from emo_models.emo.reference_attention import ReferenceBlock
from emo_models.emo.unet import UNet


class ReferenceNet(UNet):
    """Features of the reference image for reference-attention and of the motion frames for the temporal modules.

    It has no output convolution, because nothing reads one, and no text attention, because EMO has no text.

    Args:
        architecture: The model's.
    """

    def __init__(self, architecture: EMOArchitecture) -> None:
        reference, heads = architecture.reference, architecture.unet.heads
        super().__init__(
            architecture.unet,
            in_channels=architecture.latents.channels,
            make_block=lambda width, _: ReferenceBlock(width, heads=heads, feature=reference.feature),
            spatial_positions=architecture.extensions.spatial_positions,
        )
        self.timestep = reference.timestep
        self.temporal_mid = architecture.temporal.mid_block

    def forward(self, reference: Tensor, motion: Tensor | None = None) -> ReferenceFeatures:
        """One pass over [reference; n motion frames].

        Args:
            reference: Latents of the reference image, ``[b, c, h, w]``.
            motion: Latents of the n last frames of the segment before, ``[b, n, c, h, w]``, or ``None``.

        Returns:
            Tokens of the reference per transformer, maps of the motion frames per temporal module of the Backbone.
        """
        images = reference[:, None] if motion is None else torch.cat([reference[:, None], motion], 1)
        b, count = images.shape[:2]
        x = self.first_map(images.flatten(0, 1))
        time = torch.full((len(x),), self.timestep, device=x.device)
        output = self.run(x, self.embed_time(time, x.dtype), None)
        layers = [*output.down, output.mid, *output.up]
        behind = [*output.down, *([output.mid] if self.temporal_mid else []), *output.up] if count > 1 else []
        features = (layer.feature for layer in layers if layer.feature is not None)
        return ReferenceFeatures(
            tokens=tuple(torch.unflatten(feature, 0, (b, count))[:, 0] for feature in features),
            motion=tuple(torch.unflatten(layer.map, 0, (b, count))[:, 1:] for layer in behind),
        )
