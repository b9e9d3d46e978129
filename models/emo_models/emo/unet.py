"""The network shape that Backbone and ReferenceNet share: Stable Diffusion's UNet, with its parameter names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from emo_models.emo.attention import sinusoid
from emo_models.emo.reference_attention import Site

LayerOutput = tuple[Tensor, Tensor | None, Tensor | None]
Attend = Callable[[int, Site, Tensor], tuple[Tensor, Tensor | None]]
"""(site index, site, map) -> (map, feature to keep or nothing)."""

Settle = Callable[[int, nn.Module | None, Tensor], tuple[Tensor, Tensor | None]]
"""(temporal index, temporal module if any, map) -> (map, feature to keep or nothing)."""


@dataclass(frozen=True, kw_only=True)
class UNetShape:
    """Size of the network; the defaults are Stable Diffusion 1.5's.

    Attributes:
        in_channels: Of the latents.
        out_channels: Of the prediction.
        block_out_channels: Width per level.
        layers_per_block: Layers per level on the way down; one more on the way up.
        attention_levels: Which levels have attention sites.
        heads: Attention heads at every site.
        groups: Groups of the normalisations.
        spatial_positions: Add fixed positions to the first map; for networks that start without a prior.
        temporal_mid: Whether the middle block has a temporal module too.
    """

    in_channels: int = 4
    out_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    heads: int = 8
    groups: int = 32
    spatial_positions: bool = False
    temporal_mid: bool = True

    def __post_init__(self) -> None:
        if len(self.attention_levels) != len(self.block_out_channels):
            raise ValueError(
                f"expected one attention flag per level, found {len(self.attention_levels)} flags for "
                f"{len(self.block_out_channels)} levels"
            )


class Level(nn.Module):
    """One resolution on one side: residual blocks, attention sites, temporal modules, resampling."""

    def __init__(self) -> None:
        super().__init__()
        self.resnets = nn.ModuleList()
        self.attentions = nn.ModuleList()
        self.motion_modules = nn.ModuleList()


class UNet(nn.Module):
    """Runs the levels; what happens at attention sites and temporal modules is the caller's.

    Args:
        shape: Size of the network.
        make_site: Builds the transformer block of a site from its width.
        make_temporal: Builds a temporal module from its width; ``None`` for a network without them.
    """

    def __init__(
        self,
        shape: UNetShape,
        make_site: Callable[[int], nn.Module],
        make_temporal: Callable[[int], nn.Module] | None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.gradient_checkpointing = False
        widths = shape.block_out_channels
        time_dim = widths[0] * 4
        self.conv_in = nn.Conv2d(shape.in_channels, widths[0], 3, padding=1)
        self.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], time_dim)

        def resnet(into: int, out: int) -> ResnetBlock2D:
            return ResnetBlock2D(
                in_channels=into, out_channels=out, temb_channels=time_dim, eps=1e-5, groups=shape.groups
            )

        def fill(level: Level, layer_widths: list[int], out: int, *, attend: bool) -> None:
            for width in layer_widths:
                level.resnets.append(resnet(width, out))
                if attend:
                    level.attentions.append(Site(out, make_site(out), groups=shape.groups))
                if make_temporal is not None:
                    level.motion_modules.append(make_temporal(out))

        self.down_blocks = nn.ModuleList()
        skips = [widths[0]]
        before = widths[0]
        for index, width in enumerate(widths):
            level = Level()
            inputs = [before] + [width] * (shape.layers_per_block - 1)
            fill(level, inputs, width, attend=shape.attention_levels[index])
            skips += [width] * shape.layers_per_block
            if index < len(widths) - 1:
                level.downsamplers = nn.ModuleList([Downsample2D(width, use_conv=True, padding=1, name="op")])
                skips.append(width)
            self.down_blocks.append(level)
            before = width

        middle = Level()
        middle.resnets.extend([resnet(before, before), resnet(before, before)])
        middle.attentions.append(Site(before, make_site(before), groups=shape.groups))
        if make_temporal is not None and shape.temporal_mid:
            middle.motion_modules.append(make_temporal(before))
        self.mid_block = middle

        self.up_blocks = nn.ModuleList()
        for index, width in reversed(list(enumerate(widths))):
            level = Level()
            inputs = []
            for _ in range(shape.layers_per_block + 1):
                inputs.append(before + skips.pop())
                before = width
            fill(level, inputs, width, attend=shape.attention_levels[index])
            if index > 0:
                level.upsamplers = nn.ModuleList([Upsample2D(width, use_conv=True)])
            self.up_blocks.append(level)

    def embed_time(self, timesteps: Tensor, dtype: torch.dtype) -> Tensor:
        """``timesteps [b]`` -> ``[b, 4 * width]``."""
        embedded: Tensor = self.time_embedding(self.time_proj(timesteps).to(dtype))
        return embedded

    def sites(self) -> list[Site]:
        """Attention sites in the order in which `run` visits them."""
        levels = [*self.down_blocks, self.mid_block, *self.up_blocks]
        return [site for level in levels for site in level.attentions]

    def temporal_modules(self) -> list[nn.Module]:
        """Temporal modules in the order in which `run` visits them."""
        levels = [*self.down_blocks, self.mid_block, *self.up_blocks]
        return [module for level in levels for module in level.motion_modules]

    def first_map(self, x: Tensor) -> Tensor:
        """The first convolution, with fixed positions where the shape asks for them."""
        out: Tensor = self.conv_in(x)
        if self.shape.spatial_positions:
            out = out + image_positions(out.shape[1], *out.shape[2:]).to(out)
        return out

    def run(self, x: Tensor, temb: Tensor, attend: Attend, settle: Settle) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """From the first map to the last.

        Args:
            x: What `first_map` returned, ``[b, c, h, w]``.
            temb: ``[b, 4 * width]``.
            attend: What to do at an attention site.
            settle: What to do behind a layer, where temporal modules stand.

        Returns:
            The last map and the features that ``attend`` and ``settle`` kept, each in order of visit.
        """
        kept_sites: list[Tensor] = []
        kept_layers: list[Tensor] = []
        counters = [0, 0]

        def layer(x: Tensor, resnet: nn.Module | None, site: Site | None, temporal: nn.Module | None) -> Tensor:
            site_index, layer_index = counters

            def body(x: Tensor) -> LayerOutput:
                site_feature, layer_feature = None, None
                if resnet is not None:
                    x = resnet(x, temb)
                if site is not None:
                    x, site_feature = attend(site_index, site, x)
                x, layer_feature = settle(layer_index, temporal, x)
                return x, site_feature, layer_feature

            recompute = self.gradient_checkpointing and torch.is_grad_enabled()
            out: LayerOutput = checkpoint(body, x, use_reentrant=False) if recompute else body(x)
            x, site_feature, layer_feature = out
            if site is not None:
                counters[0] += 1
            counters[1] += 1
            kept_sites.extend([] if site_feature is None else [site_feature])
            kept_layers.extend([] if layer_feature is None else [layer_feature])
            return x

        def through(level: Level, x: Tensor, index: int) -> Tensor:
            site = level.attentions[index] if len(level.attentions) else None
            temporal = level.motion_modules[index] if len(level.motion_modules) else None
            return layer(x, level.resnets[index], site, temporal)  # type: ignore[arg-type]

        skips = [x]
        for level in self.down_blocks:
            for index in range(len(level.resnets)):  # type: ignore[arg-type]
                x = through(level, x, index)  # type: ignore[arg-type]
                skips.append(x)
            if hasattr(level, "downsamplers"):
                x = level.downsamplers[0](x)  # type: ignore[index, operator]
                skips.append(x)
        x = self.mid_block.resnets[0](x, temb)
        middle_temporal = self.mid_block.motion_modules[0] if len(self.mid_block.motion_modules) else None
        if self.shape.temporal_mid:
            x = layer(x, None, self.mid_block.attentions[0], middle_temporal)  # type: ignore[arg-type]
        else:
            x, feature = attend(counters[0], self.mid_block.attentions[0], x)  # type: ignore[arg-type]
            counters[0] += 1
            kept_sites.extend([] if feature is None else [feature])
        x = self.mid_block.resnets[1](x, temb)
        for level in self.up_blocks:
            for index in range(len(level.resnets)):  # type: ignore[arg-type]
                x = through(level, torch.cat([x, skips.pop()], 1), index)  # type: ignore[arg-type]
            if hasattr(level, "upsamplers"):
                x = level.upsamplers[0](x)  # type: ignore[index, operator]
        return x, kept_sites, kept_layers


def image_positions(channels: int, height: int, width: int) -> Tensor:
    """Fixed positions ``[channels, height, width]``: half of the channels for rows, half for columns."""
    half = channels // 2
    # The grid is scaled to a common length so that another size means the same places in the picture.
    rows = sinusoid(1024, half)[torch.linspace(0, 255, height).long()]
    columns = sinusoid(1024, channels - half)[torch.linspace(0, 255, width).long()]
    return torch.cat([rows.T[:, :, None].expand(-1, height, width), columns.T[:, None, :].expand(-1, height, width)])
