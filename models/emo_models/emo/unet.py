"""The network that Backbone and ReferenceNet share: Stable Diffusion's UNet, with its parameter names.

A layer is a residual block, then a transformer where its level has them, then a temporal module where the network has
them. The blocks run their layers in order; what a transformer or temporal module needs beyond the map reaches it as the
``context`` that every block hands on.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from emo_models.emo.architecture import UNetConfig
from emo_models.emo.extensions.spatial_positions import image_positions
from emo_models.emo.reference_attention import SpatialTransformer

MakePart = Callable[[int, int], nn.Module]
"""(width, number among its kind in the order of the forward pass) -> transformer block or temporal module."""


class LayerOutput(NamedTuple):
    """What a layer gives.

    Attributes:
        map: ``[b, c, h, w]``, also the skip connection on the way down.
        feature: What its transformer hands to another network, ``[b, tokens, c]``, or ``None``.
    """

    map: Tensor
    feature: Tensor | None


class UNetOutput(NamedTuple):
    """The last map, and what the layers of each part gave, in the order of the forward pass."""

    map: Tensor
    down: list[LayerOutput]
    mid: LayerOutput
    up: list[LayerOutput]


class UNetBlock(nn.Module):
    """One resolution on one side, filled by `UNet`; subclasses say in which order its parts run."""

    def __init__(self) -> None:
        super().__init__()
        self.resnets = nn.ModuleList()
        self.attentions = nn.ModuleList()
        self.motion_modules = nn.ModuleList()
        self.gradient_checkpointing = False

    def attend(self, index: int, x: Tensor, context: object) -> LayerOutput:
        """Transformer and temporal module of a layer, where there are any."""
        feature = None
        if len(self.attentions):
            x, feature = self.attentions[index](x, context)
        if len(self.motion_modules):
            x = self.motion_modules[index](x, context)
        return LayerOutput(x, feature)

    def layer(self, index: int, x: Tensor, temb: Tensor, context: object) -> LayerOutput:
        """One layer; with gradient checkpointing its activations are computed again on the way back."""

        def run(x: Tensor) -> LayerOutput:
            return self.attend(index, self.resnets[index](x, temb), context)

        return self.checkpointed(run, x)

    def checkpointed(self, run: Callable[[Tensor], LayerOutput], x: Tensor) -> LayerOutput:
        """``run(x)``, keeping no activations for the gradient where checkpointing is on."""
        if not (self.gradient_checkpointing and torch.is_grad_enabled()):
            return run(x)
        return LayerOutput(*checkpoint(run, x, use_reentrant=False))


class DownBlock(UNetBlock):
    """Layers, then halving the resolution but for the last level."""

    def __init__(self) -> None:
        super().__init__()
        self.downsamplers: nn.ModuleList | None = None

    def forward(self, x: Tensor, temb: Tensor, context: object) -> tuple[Tensor, list[LayerOutput]]:
        """``x [b, c, h, w]`` -> (input of the next block, outputs of the layers)."""
        outputs = []
        for index in range(len(self.resnets)):
            output = self.layer(index, x, temb, context)
            outputs.append(output)
            x = output.map
        if self.downsamplers is not None:
            x = self.downsamplers[0](x)
        return x, outputs


class MidBlock(UNetBlock):
    """Residual block, transformer and temporal module, residual block."""

    def forward(self, x: Tensor, temb: Tensor, context: object) -> tuple[Tensor, LayerOutput]:
        """``x [b, c, h, w]`` -> (the same shape, what lies between the two residual blocks)."""
        output = self.checkpointed(lambda x: self.attend(0, x, context), self.resnets[0](x, temb))
        return self.resnets[1](output.map, temb), output


class UpBlock(UNetBlock):
    """Layers that read a skip connection each, then doubling the resolution but for the last level."""

    def __init__(self) -> None:
        super().__init__()
        self.upsamplers: nn.ModuleList | None = None

    def forward(
        self, x: Tensor, temb: Tensor, skips: list[Tensor], context: object
    ) -> tuple[Tensor, list[LayerOutput]]:
        """``x [b, c, h, w]`` and skip connections, last first -> (input of the next block, outputs of the layers)."""
        outputs = []
        for index in range(len(self.resnets)):
            output = self.layer(index, torch.cat([x, skips[-1 - index]], 1), temb, context)
            outputs.append(output)
            x = output.map
        if self.upsamplers is not None:
            x = self.upsamplers[0](x)
        return x, outputs


class UNet(nn.Module):
    """Stable Diffusion's UNet without its output layers.

    Args:
        config: Size of the network.
        in_channels: Channels of the input.
        make_block: Builds the transformer block of a spatial transformer.
        make_temporal: Builds a temporal module; ``None`` for a network without them.
        temporal_mid: Whether the middle block has a temporal module too.
        spatial_positions: Add fixed positions to the first map; see `extensions.spatial_positions`.
        beside_time: How many numbers stand behind the embedded time; see `extensions.eyelids`.
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        in_channels: int,
        make_block: MakePart,
        make_temporal: MakePart | None = None,
        temporal_mid: bool = True,
        spatial_positions: bool = False,
        beside_time: int = 0,
    ) -> None:
        super().__init__()
        self.spatial_positions = spatial_positions
        widths = config.block_out_channels
        time_dim = widths[0] * 4
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], time_dim)
        transformers, temporal_modules = count(), count()

        def resnet(into: int, out: int) -> ResnetBlock2D:
            return ResnetBlock2D(
                in_channels=into, out_channels=out, temb_channels=time_dim + beside_time, eps=1e-5, groups=config.groups
            )

        def transformer(width: int) -> SpatialTransformer:
            return SpatialTransformer(width, make_block(width, next(transformers)), groups=config.groups)

        def fill(block: UNetBlock, inputs: list[int], out: int, *, attend: bool) -> None:
            for width in inputs:
                block.resnets.append(resnet(width, out))
                if attend:
                    block.attentions.append(transformer(out))
                if make_temporal is not None:
                    block.motion_modules.append(make_temporal(out, next(temporal_modules)))

        self.down_blocks = nn.ModuleList()
        skips = [widths[0]]
        before = widths[0]
        for index, width in enumerate(widths):
            down = DownBlock()
            fill(down, [before] + [width] * (config.layers_per_block - 1), width, attend=config.attention_levels[index])
            skips += [width] * config.layers_per_block
            if index < len(widths) - 1:
                down.downsamplers = nn.ModuleList([Downsample2D(width, use_conv=True, padding=1, name="op")])
                skips.append(width)
            self.down_blocks.append(down)
            before = width

        self.mid_block = MidBlock()
        self.mid_block.resnets.extend([resnet(before, before), resnet(before, before)])
        self.mid_block.attentions.append(transformer(before))
        if make_temporal is not None and temporal_mid:
            self.mid_block.motion_modules.append(make_temporal(before, next(temporal_modules)))

        self.up_blocks = nn.ModuleList()
        for index, width in reversed(list(enumerate(widths))):
            up = UpBlock()
            inputs = []
            for _ in range(config.layers_per_block + 1):
                inputs.append(before + skips.pop())
                before = width
            fill(up, inputs, width, attend=config.attention_levels[index])
            if index > 0:
                up.upsamplers = nn.ModuleList([Upsample2D(width, use_conv=True)])
            self.up_blocks.append(up)

    def enable_gradient_checkpointing(self) -> None:
        """Trades time for memory in training; see `UNetBlock.layer`."""
        for block in self.modules():
            if isinstance(block, UNetBlock):
                block.gradient_checkpointing = True

    def transformers(self) -> list[SpatialTransformer]:
        """All spatial transformers in the order of the forward pass."""
        return [module for module in self.modules() if isinstance(module, SpatialTransformer)]

    def embed_time(self, timesteps: Tensor, dtype: torch.dtype) -> Tensor:
        """``timesteps [b]`` -> ``[b, 4 * width]``."""
        embedded: Tensor = self.time_embedding(self.time_proj(timesteps).to(dtype))
        return embedded

    def first_map(self, x: Tensor) -> Tensor:
        """The first convolution, with fixed positions where the network has them."""
        out: Tensor = self.conv_in(x)
        if self.spatial_positions:
            out = out + image_positions(out.shape[1], *out.shape[2:]).to(out)
        return out

    def run(self, x: Tensor, temb: Tensor, context: object) -> UNetOutput:
        """From the first map to the last.

        Args:
            x: What `first_map` returned, ``[b, c, h, w]``.
            temb: ``[b, 4 * width + beside_time]``.
            context: Handed to every transformer and temporal module.
        """
        down: list[LayerOutput] = []
        up: list[LayerOutput] = []
        skips = [x]
        for block in self.down_blocks:
            x, outputs = block(x, temb, context)
            down += outputs
            skips += [output.map for output in outputs]
            if block.downsamplers is not None:
                skips.append(x)
        x, mid = self.mid_block(x, temb, context)
        for block in self.up_blocks:
            x, outputs = block(x, temb, skips, context)
            up += outputs
            del skips[-len(outputs) :]
        return UNetOutput(x, down, mid, up)
