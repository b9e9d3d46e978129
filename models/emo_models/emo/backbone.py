"""Backbone: the denoising UNet over a segment's frames, steered by reference, audio, motion frames, region, speed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emo_models.emo.architecture import EMOArchitecture
from emo_models.emo.attention import KeyValue
from emo_models.emo.conditions import BackboneContext, SegmentConditions
from emo_models.emo.extensions.eyelids import beside_time
from emo_models.emo.reference_attention import REFERENCE_VARIANTS, BackboneBlock
from emo_models.emo.temporal_modules import TemporalModule
from emo_models.emo.unet import UNet


class Backbone(UNet):
    """Predicts noise, clean latents or velocity (the scheduler says which) for all frames of a segment at once.

    Args:
        architecture: The model's.
        zero_init: Start with every new branch switched off.
    """

    def __init__(self, architecture: EMOArchitecture, *, zero_init: bool = True) -> None:
        unet, extensions = architecture.unet, architecture.extensions
        channels, n = architecture.latents.channels, architecture.segment.motion_frames

        def make_block(width: int, index: int) -> BackboneBlock:
            return REFERENCE_VARIANTS[architecture.reference.variant](
                width,
                index,
                heads=unet.heads,
                audio_dim=architecture.audio.token_dim,
                zero_init=zero_init,
                distance_bias=extensions.distance_bias,
            )

        def make_temporal(width: int, index: int) -> TemporalModule:
            return TemporalModule(
                width,
                index,
                architecture.temporal,
                groups=unet.groups,
                motion_frames=n,
                speed_dim=architecture.speed.width,
                zero_init=zero_init,
            )

        inputs = 1 + bool(extensions.residual_std) + n * extensions.concat_motion_frames
        super().__init__(
            unet,
            in_channels=inputs * channels,
            make_block=make_block,
            make_temporal=make_temporal,
            temporal_mid=architecture.temporal.mid_block,
            spatial_positions=extensions.spatial_positions,
            beside_time=2 * architecture.segment.window + 1 if extensions.eyelids else 0,
        )
        self.eyelid_window = architecture.segment.window if extensions.eyelids else None
        self.locator_place = architecture.locator.place
        self.motion_channels = n * channels * extensions.concat_motion_frames
        self.conv_norm_out = nn.GroupNorm(unet.groups, unet.block_out_channels[0], eps=1e-5)
        self.conv_out = nn.Conv2d(unet.block_out_channels[0], channels, 3, padding=1)

    def blocks(self) -> list[BackboneBlock]:
        """All transformer blocks in the order of the forward pass."""
        return [module for module in self.modules() if isinstance(module, BackboneBlock)]

    def temporal_modules(self) -> list[TemporalModule]:
        """All temporal modules in the order of the forward pass."""
        return [module for module in self.modules() if isinstance(module, TemporalModule)]

    def project_reference(self, features: tuple[Tensor, ...]) -> tuple[KeyValue, ...]:
        """Per transformer block keys and values of the reference's tokens; once per segment."""
        return tuple(block.project_reference(feature) for block, feature in zip(self.blocks(), features, strict=True))

    def project_audio(self, tokens: Tensor) -> tuple[KeyValue, ...]:
        """Per transformer block keys and values of audio tokens ``[b, f, k, audio_dim]``; once per segment."""
        return tuple(block.project_audio(tokens) for block in self.blocks())

    def project_speed(self, features: Tensor) -> tuple[KeyValue, ...]:
        """Per temporal module keys and values of speed features ``[b, f, speed_dim]``; once per segment."""
        return tuple(module.project_speed(features) for module in self.temporal_modules())

    def forward(
        self, latents: Tensor, timesteps: Tensor, conditions: SegmentConditions, *, temporal: bool = True
    ) -> Tensor:
        """One denoising step.

        Args:
            latents: Noisy latents ``[b, f, c, h, w]``.
            timesteps: ``[b]``, or ``[b, f]`` when frames are independent images.
            conditions: What steers the segment.
            temporal: Whether temporal modules act; without them the frames are independent images.

        Returns:
            The prediction, ``[b, f, c, h, w]``.
        """
        b, f = latents.shape[:2]
        x = self._first_map(latents, conditions)
        times = timesteps if timesteps.dim() == 2 else timesteps[:, None].expand(b, f)
        temb = self.embed_time(times.reshape(-1), x.dtype)
        if self.eyelid_window is not None:
            temb = beside_time(temb, conditions.eyelids, window=self.eyelid_window)
        x = self.run(x, temb, BackboneContext(conditions=conditions, frames=f, temporal=temporal)).map
        out: Tensor = self.conv_out(nn.functional.silu(self.conv_norm_out(x)))
        return torch.unflatten(out, 0, (b, f))

    def _first_map(self, latents: Tensor, conditions: SegmentConditions) -> Tensor:
        region = conditions.locator
        if region is not None and self.locator_place == "latent":
            latents = latents + region[:, None].to(latents.dtype)
        first = self.first_map(self._with_extra_channels(latents, conditions).flatten(0, 1))
        if region is None or self.locator_place == "latent":
            return first
        placed = torch.unflatten(first, 0, latents.shape[:2]) + region[:, None].to(first.dtype)
        return placed.flatten(0, 1)

    def _with_extra_channels(self, latents: Tensor, conditions: SegmentConditions) -> Tensor:
        """The latents with the portrait's and the motion frames' beside them on the channels (extensions)."""
        mask, (b, f, _, h, w) = conditions.condition_mask, latents.shape
        parts = [latents]
        if conditions.portrait is not None:
            portrait = mask.apply(conditions.portrait.to(latents.dtype), mask.reference)
            parts.append(portrait[:, None].expand(-1, f, -1, -1, -1))
        if self.motion_channels and conditions.motion_channels is None:
            parts.append(latents.new_zeros(b, f, self.motion_channels, h, w))
        elif self.motion_channels and conditions.motion_channels is not None:
            motion = mask.apply(conditions.motion_channels.to(latents.dtype), mask.motion).flatten(1, 2)
            parts.append(motion[:, None].expand(-1, f, -1, -1, -1))
        return torch.cat(parts, 2) if len(parts) > 1 else latents
