"""Backbone: the denoising UNet over the frames of a clip, steered by reference, audio, motion frames, region, speed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from emo_models.emo.attention import KeyValue
from emo_models.emo.conditions import SegmentConditions
from emo_models.emo.reference_attention import BackboneBlock, ReferenceVariant, Site
from emo_models.emo.temporal_modules import TemporalModule, TemporalNorm
from emo_models.emo.unet import UNet, UNetShape

LocatorPlace = Literal["latent", "first_map"]


class Backbone(UNet):
    """Predicts noise, clean latents or velocity (the scheduler says which) for all frames of a clip at once.

    Args:
        shape: Size of the network.
        audio_dim: Width of an audio token.
        variant: How the reference enters; see `reference_attention`.
        speed_dim: Width of the speed features.
        motion_frames: n.
        max_frames: Longest n + f.
        temporal_heads: Heads of the temporal modules.
        temporal_norm: See `TemporalModule`.
        locator_place: Where the face region is added: to the noisy latent (the paper) or to the first feature map.
        zero_init: Start with every new branch switched off.
        distance_bias: Prefer near places in self- and reference-attention; for networks that start without a prior.
        beside_portrait: The first convolution reads the portrait's latents beside the noisy input.
        beside_motion: It reads the motion frames too, their channels side by side.
    """

    def __init__(
        self,
        shape: UNetShape,
        *,
        audio_dim: int,
        variant: ReferenceVariant = "cross",
        speed_dim: int = 64,
        motion_frames: int = 4,
        max_frames: int = 32,
        temporal_heads: int = 8,
        temporal_norm: TemporalNorm = "frame",
        locator_place: LocatorPlace = "latent",
        zero_init: bool = True,
        distance_bias: bool = False,
        beside_portrait: bool = False,
        beside_motion: bool = False,
    ) -> None:
        def make_site(width: int) -> nn.Module:
            return BackboneBlock(
                width,
                heads=shape.heads,
                audio_dim=audio_dim,
                variant=variant,
                zero_init=zero_init,
                distance_bias=distance_bias,
            )

        def make_temporal(width: int) -> nn.Module:
            return TemporalModule(
                width,
                heads=temporal_heads,
                groups=shape.groups,
                max_frames=max_frames,
                motion_frames=motion_frames,
                speed_dim=speed_dim,
                norm=temporal_norm,
                zero_init=zero_init,
            )

        inputs = 1 + int(beside_portrait) + (motion_frames if beside_motion else 0)
        super().__init__(replace(shape, in_channels=inputs * shape.in_channels), make_site, make_temporal)
        self.locator_place = locator_place
        self.beside_channels = motion_frames * shape.in_channels if beside_motion else 0
        self.conv_norm_out = nn.GroupNorm(shape.groups, shape.block_out_channels[0], eps=1e-5)
        self.conv_out = nn.Conv2d(shape.block_out_channels[0], shape.out_channels, 3, padding=1)

    def project_reference(self, features: tuple[Tensor, ...]) -> tuple[KeyValue, ...]:
        """Per site keys and values of the reference's tokens; once per clip."""
        return tuple(
            site.block.project_reference(feature)  # type: ignore[operator]
            for site, feature in zip(self.sites(), features, strict=True)
        )

    def project_audio(self, tokens: Tensor) -> tuple[KeyValue, ...]:
        """Per site keys and values of audio tokens ``[b, f, k, audio_dim]``; once per clip."""
        return tuple(site.block.project_audio(tokens) for site in self.sites())  # type: ignore[operator]

    def project_speed(self, features: Tensor) -> tuple[KeyValue, ...]:
        """Per temporal module keys and values of speed features ``[b, f, speed_dim]``; once per clip."""
        return tuple(module.project_speed(features) for module in self.temporal_modules())  # type: ignore[operator]

    def forward(
        self, latents: Tensor, timesteps: Tensor, conditions: SegmentConditions, *, temporal: bool = True
    ) -> Tensor:
        """One denoising step.

        Args:
            latents: Noisy latents ``[b, f, c, h, w]``.
            timesteps: ``[b]``, or ``[b, f]`` when frames are independent images.
            conditions: What steers the clip.
            temporal: Whether temporal modules act; without them the frames are independent images.

        Returns:
            The prediction, ``[b, f, c_out, h, w]``.
        """
        b, f = latents.shape[:2]
        x = self._first_map(latents, conditions)
        times = timesteps if timesteps.dim() == 2 else timesteps[:, None].expand(b, f)
        temb = self.embed_time(times.reshape(-1), x.dtype)

        def attend(index: int, site: Site, x: Tensor) -> tuple[Tensor, Tensor | None]:
            tokens = site.block(
                site.tokens(x),
                frames=f,
                reference=conditions.reference[index] if conditions.reference else None,
                audio=conditions.audio[index] if conditions.audio else None,
                condition_mask=conditions.condition_mask,
            )
            return site.image(tokens, x), None

        def settle(index: int, module: nn.Module | None, x: Tensor) -> tuple[Tensor, Tensor | None]:
            if not temporal or module is None:
                return x, None
            mixed: Tensor = module(
                torch.unflatten(x, 0, (b, f)),
                motion=conditions.motion[index] if conditions.motion else None,
                speed=conditions.speed[index] if conditions.speed else None,
                condition_mask=conditions.condition_mask,
            )
            return mixed.flatten(0, 1), None

        x, _, _ = self.run(x, temb, attend, settle)
        out: Tensor = self.conv_out(nn.functional.silu(self.conv_norm_out(x)))
        return torch.unflatten(out, 0, (b, f))

    def _first_map(self, latents: Tensor, conditions: SegmentConditions) -> Tensor:
        region = conditions.locator
        if region is not None and self.locator_place == "latent":
            latents = latents + region[:, None].to(latents.dtype)
        if conditions.portrait is not None:
            portrait = conditions.condition_mask.apply(
                conditions.portrait.to(latents.dtype), conditions.condition_mask.reference
            )
            latents = torch.cat([latents, portrait[:, None].expand(-1, latents.shape[1], -1, -1, -1)], 2)
        if self.beside_channels:
            latents = torch.cat([latents, self._beside(latents, conditions)], 2)
        first = self.first_map(latents.flatten(0, 1))
        if region is None or self.locator_place == "latent":
            return first
        placed = torch.unflatten(first, 0, latents.shape[:2]) + region[:, None].to(first.dtype)
        return placed.flatten(0, 1)

    def _beside(self, latents: Tensor, conditions: SegmentConditions) -> Tensor:
        b, f, _, h, w = latents.shape
        if conditions.before is None:
            return latents.new_zeros(b, f, self.beside_channels, h, w)
        before = conditions.condition_mask.apply(
            conditions.before.to(latents.dtype), conditions.condition_mask.motion
        ).flatten(1, 2)
        return before[:, None].expand(-1, f, -1, -1, -1)


def count_parameters(module: torch.nn.Module) -> int:
    """Number of trainable and frozen parameters."""
    return sum(p.numel() for p in module.parameters())
