"""All trained parts of EMO in one module whose config is its constructor."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from emo_models.emo.audio_layers import AudioLayers
from emo_models.emo.backbone import Backbone
from emo_models.emo.conditions import ConditionMask, SegmentConditions
from emo_models.emo.face_locator import FaceLocator
from emo_models.emo.reference_net import ReferenceNet
from emo_models.emo.speed_layers import SpeedEncoder
from emo_models.emo.unet import UNetShape


class EMOModel(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """ReferenceNet, Backbone, audio layers, Face Locator and speed encoder.

    Args:
        in_channels: Channels of the latents.
        block_out_channels: Width per level.
        layers_per_block: Layers per level.
        attention_levels: Levels with attention sites.
        heads: Heads at attention sites.
        groups: Groups of the normalisations.
        spatial_positions: Fixed positions at the input, for training without a prior.
        latent_size: Height and width of the latents.
        downsample: Pixels per latent pixel.
        frames: f, frames generated at once.
        motion_frames: n.
        window: m, neighbours for audio and speed.
        fps: Frames per second.
        temporal_heads: Heads of the temporal modules.
        temporal_max_frames: Longest n + f.
        temporal_norm: ``"frame"`` or ``"clip"``.
        first_motion: Motion frames of a video's first clip: ``"zeros"`` (the paper) or the ``"portrait"`` n times,
            from which the video then goes on.
        diffused: What noise is added to: the ``"latents"`` (the paper) or their ``"changes"`` against the portrait's,
            which the Backbone then sees beside its input; for training without a prior.
        change_scale: Standard deviation of the changes per channel; needed for ``"changes"``.
        motion_beside: The Backbone sees the motion frames beside its input too, as `to_residual` gives them, so that a
            clip goes on where the last one ended; for training without a prior.
        temporal_mid: A temporal module in the middle block too.
        reference_variant: ``"cross"`` (the paper) or ``"concat"``.
        reference_feature: ``"output"`` (the paper) or ``"input"`` of the ReferenceNet's self-attention.
        reference_timestep: Time the ReferenceNet is told.
        audio_blocks: Blocks of the speech encoder.
        audio_width: Width of their outputs.
        audio_token_dim: Width of an audio token.
        audio_tokens: Tokens per neighbour.
        audio_mix: ``"weighted"`` or ``"concat"``.
        audio_projection: ``"per_neighbour"`` or ``"joint"``.
        audio_hidden: Width of the joint projection.
        audio_normalise: Normalise the speech features per block and frame.
        locator_channels: Widths of the Face Locator.
        locator_place: ``"latent"`` (the paper) or ``"first_map"``.
        speed_centres: Bucket centres, degrees per frame.
        speed_radii: Bucket radii.
        speed_width: Width of the speed features.
        zero_init: Start with every new branch switched off.
        distance_bias: Attention on the grid prefers near places; for networks that start without a prior.
    """

    # diffusers gives attribute access to the arguments below; its own annotation says a plain dict.
    config: Any
    _supports_gradient_checkpointing = True

    @register_to_config  # type: ignore[misc, untyped-decorator, unused-ignore]
    def __init__(
        self,
        in_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        attention_levels: tuple[bool, ...] = (True, True, True, False),
        heads: int = 8,
        groups: int = 32,
        spatial_positions: bool = False,
        latent_size: int = 64,
        downsample: int = 8,
        frames: int = 12,
        motion_frames: int = 4,
        window: int = 2,
        fps: float = 30.0,
        temporal_heads: int = 8,
        temporal_max_frames: int = 32,
        temporal_norm: str = "frame",
        first_motion: str = "zeros",
        diffused: str = "latents",
        change_scale: tuple[float, ...] = (),
        motion_beside: bool = False,
        temporal_mid: bool = True,
        reference_variant: str = "cross",
        reference_feature: str = "output",
        reference_timestep: int = 0,
        audio_blocks: int = 13,
        audio_width: int = 768,
        audio_token_dim: int = 768,
        audio_tokens: int = 1,
        audio_mix: str = "weighted",
        audio_projection: str = "per_neighbour",
        audio_hidden: int = 256,
        audio_normalise: bool = True,
        locator_channels: tuple[int, ...] = (16, 32, 64),
        locator_place: str = "latent",
        speed_centres: tuple[float, ...] = (0.1, 0.4, 0.7, 1.0, 1.3, 1.6, 1.9, 2.2, 2.5),
        speed_radii: tuple[float, ...] = (0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3),
        speed_width: int = 256,
        zero_init: bool = True,
        distance_bias: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        _check_choice("reference_variant", reference_variant, ("cross", "concat"))
        _check_choice("reference_feature", reference_feature, ("output", "input"))
        _check_choice("temporal_norm", temporal_norm, ("frame", "clip"))
        _check_choice("first_motion", first_motion, ("zeros", "portrait"))
        _check_choice("diffused", diffused, ("latents", "changes"))
        if diffused == "changes" and (len(change_scale) != in_channels or min(change_scale) <= 0):
            raise ValueError(f"expected {in_channels} positive numbers in change_scale, found {change_scale}")
        _check_choice("audio_mix", audio_mix, ("weighted", "concat"))
        _check_choice("audio_projection", audio_projection, ("per_neighbour", "joint"))
        _check_choice("locator_place", locator_place, ("latent", "first_map"))
        shape = UNetShape(
            in_channels=in_channels,
            out_channels=in_channels,
            block_out_channels=tuple(block_out_channels),
            layers_per_block=layers_per_block,
            attention_levels=tuple(attention_levels),
            heads=heads,
            groups=groups,
            spatial_positions=spatial_positions,
            temporal_mid=temporal_mid,
        )
        feature: Any = reference_feature
        choices: Any = {"variant": reference_variant, "temporal_norm": temporal_norm, "locator_place": locator_place}
        audio_choices: Any = {"mix": audio_mix, "projection": audio_projection}
        self.reference_net = ReferenceNet(shape, feature=feature, timestep=reference_timestep)
        self.backbone = Backbone(
            shape,
            audio_dim=audio_token_dim,
            speed_dim=speed_width,
            motion_frames=motion_frames,
            max_frames=temporal_max_frames,
            temporal_heads=temporal_heads,
            zero_init=zero_init,
            distance_bias=distance_bias,
            beside_portrait=diffused == "changes",
            beside_motion=motion_beside,
            **choices,
        )
        self.audio_layers = AudioLayers(
            audio_blocks,
            audio_width,
            token_dim=audio_token_dim,
            window=window,
            tokens=audio_tokens,
            hidden=audio_hidden,
            normalise=audio_normalise,
            **audio_choices,
        )
        self.face_locator = FaceLocator(
            in_channels if locator_place == "latent" else block_out_channels[0],
            channels=tuple(locator_channels),
            downsample=downsample,
        )
        self.speed_encoder = SpeedEncoder(
            speed_centres, speed_radii, window=window, width=speed_width, max_frames=temporal_max_frames
        )

    def enable_gradient_checkpointing(self, gradient_checkpointing_func: Any = None) -> None:
        """Trades time for memory in training: activations of each layer are computed again on the way back.

        Args:
            gradient_checkpointing_func: Ignored; part of diffusers' signature.
        """
        self.backbone.gradient_checkpointing = True
        self.reference_net.gradient_checkpointing = True

    def prepare(
        self,
        *,
        reference: Tensor,
        motion: Tensor | None = None,
        audio: Tensor | None = None,
        mask: Tensor | None = None,
        speed: Tensor | None = None,
        condition_mask: ConditionMask | None = None,
    ) -> SegmentConditions:
        """Everything that does not change from one denoising step to the next; called once per clip.

        Args:
            reference: Latents of the reference image, ``[b, c, h, w]``.
            motion: Latents of the last n frames before the clip, ``[b, n, c, h, w]``; ``None`` for a first clip.
            audio: Speech features with m neighbours on each side, ``[b, f + 2m, layers, width]``.
            mask: Face region, ``[b, 1, H, W]`` in [0, 1]; ``None`` adds nothing.
            speed: Head speeds with m neighbours on each side, ``[b, f + 2m]``, degrees per frame.
            condition_mask: Which samples have which condition.
        """
        features = self.reference_net(reference, motion)
        return SegmentConditions(
            reference=self.backbone.project_reference(features.sites),
            audio=() if audio is None else self.backbone.project_audio(self.audio_layers(audio)),
            motion=features.motion,
            speed=() if speed is None else self.backbone.project_speed(self.speed_encoder(speed)),
            locator=None if mask is None else self.face_locator(mask),
            portrait=reference if self.config.diffused == "changes" else None,
            before=self.to_residual(motion, reference) if self.config.motion_beside and motion is not None else None,
            condition_mask=condition_mask or ConditionMask(),
        )

    def to_residual(self, latents: Tensor, reference: Tensor) -> Tensor:
        """What noise is added to: ``latents [b, f, c, h, w]``, or their changes against ``reference [b, c, h, w]``."""
        if self.config.diffused == "latents":
            return latents
        return (latents - reference[:, None]) / self._change_scale(latents)

    def from_residual(self, diffused: Tensor, reference: Tensor) -> Tensor:
        """The latents again; the inverse of `to_residual`."""
        if self.config.diffused == "latents":
            return diffused
        return diffused * self._change_scale(diffused) + reference[:, None]

    def _change_scale(self, like: Tensor) -> Tensor:
        return torch.tensor(self.config.change_scale, dtype=like.dtype, device=like.device)[:, None, None]

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        *,
        reference: Tensor,
        motion: Tensor | None = None,
        audio: Tensor | None = None,
        mask: Tensor | None = None,
        speed: Tensor | None = None,
        condition_mask: ConditionMask | None = None,
        temporal: bool = True,
        with_unconditional: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """`prepare` and one denoising step, as in training; see `prepare` and `Backbone.forward`.

        ``latents`` are noisy `to_residual`, and so is the prediction. With ``with_unconditional`` it comes with the
        prediction without audio, which has no gradient.
        """
        conditions = self.prepare(
            reference=reference, motion=motion, audio=audio, mask=mask, speed=speed, condition_mask=condition_mask
        )
        prediction: Tensor = self.backbone(latents, timesteps, conditions, temporal=temporal)
        if not with_unconditional:
            return prediction
        with torch.no_grad():
            unconditional: Tensor = self.backbone(latents, timesteps, conditions.without_audio(), temporal=temporal)
        return prediction, unconditional


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"expected {name} to be one of {', '.join(allowed)}, found {value!r}")
