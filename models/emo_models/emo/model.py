"""All trained parts of EMO in one module whose config is its constructor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from emo_models.configured_module import ConfiguredModule, register_to_config
from emo_models.emo.architecture import EMOArchitecture
from emo_models.emo.audio_layers import AudioLayers
from emo_models.emo.backbone import Backbone
from emo_models.emo.conditions import ConditionMask, SegmentConditions
from emo_models.emo.extensions import residual_latents
from emo_models.emo.face_locator import FaceLocator
from emo_models.emo.migration import migrate_model_config
from emo_models.emo.reference_net import ReferenceNet
from emo_models.emo.speed_layers import SpeedEncoder

Part = Mapping[str, Any]


class EMOModel(ConfiguredModule):
    """ReferenceNet, Backbone, audio layers, Face Locator and speed encoder.

    Each argument holds fields of one part's config in `architecture`; what is left out has its default there.

    Args:
        latents: Fields of `LatentsConfig`.
        segment: Fields of `SegmentConfig`.
        unet: Fields of `UNetConfig`.
        reference: Fields of `ReferenceConfig`.
        audio: Fields of `AudioConfig`.
        locator: Fields of `FaceLocatorConfig`.
        temporal: Fields of `TemporalConfig`.
        speed: Fields of `SpeedConfig`.
        extensions: Fields of `ExtensionsConfig`: all that is not in the paper.
        zero_init: Start with every new branch switched off.

    Attributes:
        architecture: All of that as frozen dataclasses.
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        latents: Part | None = None,
        segment: Part | None = None,
        unet: Part | None = None,
        reference: Part | None = None,
        audio: Part | None = None,
        locator: Part | None = None,
        temporal: Part | None = None,
        speed: Part | None = None,
        extensions: Part | None = None,
        zero_init: bool = True,
    ) -> None:
        super().__init__()
        parts = {
            "latents": latents,
            "segment": segment,
            "unet": unet,
            "reference": reference,
            "audio": audio,
            "locator": locator,
            "temporal": temporal,
            "speed": speed,
            "extensions": extensions,
        }
        architecture = EMOArchitecture.from_parts(parts)
        self.architecture = architecture
        # What is saved names every field, so that another default one day changes no saved model.
        self.replace_config(**architecture.to_parts())
        self.reference_net = ReferenceNet(architecture)
        self.backbone = Backbone(architecture, zero_init=zero_init)
        self.audio_layers = AudioLayers(architecture.audio, window=architecture.segment.window)
        self.face_locator = FaceLocator(
            architecture.latents.channels
            if architecture.locator.place == "latent"
            else architecture.unet.block_out_channels[0],
            channels=architecture.locator.channels,
            downsample=architecture.latents.downsample,
        )
        self.speed_encoder = SpeedEncoder(
            architecture.speed, window=architecture.segment.window, max_frames=architecture.temporal.max_frames
        )

    @classmethod
    def from_parts(cls, parts: Mapping[str, Part]) -> EMOModel:
        """A model from fields per part, as presets hold them."""
        model: EMOModel = cls(**dict[str, Any](parts))
        return model

    @classmethod
    def migrate_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """See `ConfiguredModule.migrate_config`."""
        return migrate_model_config(config)

    def enable_gradient_checkpointing(self, gradient_checkpointing_func: Any = None) -> None:
        """Trades time for memory in training: activations of each layer are computed again on the way back.

        Args:
            gradient_checkpointing_func: Ignored; part of diffusers' signature.
        """
        self.backbone.enable_gradient_checkpointing()
        self.reference_net.enable_gradient_checkpointing()

    def prepare(
        self,
        *,
        reference: Tensor,
        motion: Tensor | None = None,
        audio: Tensor | None = None,
        mask: Tensor | None = None,
        speed: Tensor | None = None,
        eyelids: Tensor | None = None,
        condition_mask: ConditionMask | None = None,
    ) -> SegmentConditions:
        """Everything that does not change from one denoising step to the next; called once per segment.

        Args:
            reference: Latents of the reference image, ``[b, c, h, w]``.
            motion: Latents of the last n frames before the segment, ``[b, n, c, h, w]``; ``None`` for a first segment.
            audio: Speech features with m neighbours on each side, ``[b, f + 2m, layers, width]``.
            mask: Face region, ``[b, 1, H, W]`` in [0, 1]; ``None`` adds nothing.
            speed: Head speeds with m neighbours on each side, ``[b, f + 2m]``, degrees per frame.
            eyelids: How far the eyes are closed around each frame, ``[b, f, 2m + 1]``, 0 (open) to 1; ignored by
                models without `extensions.eyelids`.
            condition_mask: Which samples have which condition.
        """
        extensions = self.architecture.extensions
        features = self.reference_net(reference, motion)
        return SegmentConditions(
            reference=self.backbone.project_reference(features.tokens),
            audio=() if audio is None else self.backbone.project_audio(self.audio_layers(audio)),
            motion=features.motion,
            speed=() if speed is None else self.backbone.project_speed(self.speed_encoder(speed)),
            locator=None if mask is None else self.face_locator(mask),
            portrait=reference if extensions.residual_std else None,
            motion_channels=self.to_residual(motion, reference)
            if extensions.concat_motion_frames and motion is not None
            else None,
            eyelids=eyelids if extensions.eyelids else None,
            condition_mask=condition_mask or ConditionMask(),
        )

    def to_residual(self, latents: Tensor, reference: Tensor) -> Tensor:
        """What noise is added to: ``latents [b, f, c, h, w]``, or their residual against ``reference [b, c, h, w]``."""
        std = self.architecture.extensions.residual_std
        return residual_latents.to_residual(latents, reference, std) if std else latents

    def from_residual(self, residual: Tensor, reference: Tensor) -> Tensor:
        """The latents again; the inverse of `to_residual`."""
        std = self.architecture.extensions.residual_std
        return residual_latents.from_residual(residual, reference, std) if std else residual

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
        eyelids: Tensor | None = None,
        condition_mask: ConditionMask | None = None,
        temporal: bool = True,
        with_unconditional: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """`prepare` and one denoising step, as in training; see `prepare` and `Backbone.forward`.

        ``latents`` are noisy `to_residual`, and so is the prediction. With ``with_unconditional`` it comes with the
        prediction without audio, which has no gradient.
        """
        conditions = self.prepare(
            reference=reference,
            motion=motion,
            audio=audio,
            mask=mask,
            speed=speed,
            eyelids=eyelids,
            condition_mask=condition_mask,
        )
        prediction: Tensor = self.backbone(latents, timesteps, conditions, temporal=temporal)
        if not with_unconditional:
            return prediction
        with torch.no_grad():
            unconditional: Tensor = self.backbone(latents, timesteps, conditions.without_audio(), temporal=temporal)
        return prediction, unconditional
