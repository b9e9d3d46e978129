"""Named sizes of EMO."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emo_models.emo.architecture import EMOArchitecture
from emo_models.emo.schedulers import COSINE, ScheduleConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a size of EMO consists of.

    Attributes:
        name: As users write it.
        model: Arguments of `EMOModel`, one group of fields per part.
        schedule: Noise schedule.
        audio_encoder: Kind and arguments of the speech encoder.
        autoencoder: ``"small"`` or ``"sd"`` (Stable Diffusion's, from a local folder).
        autoencoder_config: Arguments of `SmallAutoencoder`.
        sampling: How its weights are to be sampled, kept in their facts; empty means the paper's way.
        trained_on: What its shipped weights were trained on, or why there are none.
    """

    name: str
    model: dict[str, dict[str, Any]] = field(default_factory=dict)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    audio_encoder: dict[str, Any] = field(default_factory=dict)
    autoencoder: str = "small"
    autoencoder_config: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    trained_on: str = "nothing: random weights"

    @property
    def architecture(self) -> EMOArchitecture:
        """The model's parts, complete."""
        return EMOArchitecture.from_parts(self.model)


EMO_SD15 = Preset(
    name="emo-sd15",
    schedule=ScheduleConfig(),
    audio_encoder={"kind": "wav2vec2", "fps": 30.0},
    autoencoder="sd",
    trained_on="starts from Stable Diffusion 1.5, AnimateDiff and wav2vec 2.0 weights in local folders; no EMO weights",
)
"""512 px, f = 12, n = 4, m = 2 as in the paper; the defaults of `EMOModel`."""

EMO_SYNTH = Preset(
    name="emo-synth",
    model={
        "latents": {"channels": 12, "size": 16},
        "segment": {"frames": 12, "motion_frames": 4, "fps": 25.0},
        "unet": {
            "block_out_channels": (64, 96),
            "layers_per_block": 1,
            "attention_levels": (True, True),
            "heads": 2,
            "groups": 16,
        },
        "reference": {"variant": "concat", "feature": "input"},
        "audio": {"blocks": 1, "width": 128, "token_dim": 96, "projection": "joint", "normalise": False},
        "locator": {"channels": (8, 16, 32)},
        "temporal": {"heads": 4, "max_frames": 24},
        "speed": {"width": 64},
        "extensions": {
            "residual_std": (1.0,) * 12,
            "concat_motion_frames": True,
            "first_motion": "portrait",
            "spatial_positions": True,
            "distance_bias": True,
        },
    },
    schedule=COSINE,
    audio_encoder={"kind": "speech-net", "fps": 25.0, "bands": 48, "steps": 4},
    autoencoder_config={
        "latent_channels": 12,
        "thumbnail": True,
        "widths": (32, 64, 96),
        "encoder_blocks": (0, 1, 1),
        "decoder_blocks": (1, 1, 2),
    },
    sampling={
        "sampler": "dpmsolver++",
        "steps": 8,
        "shift": 4.0,
        "audio_guidance": 2.0,
        "speed_guidance": 6.0,
        "segment_noise": "reflected",
    },
    trained_on="HDTF-Synth, faces drawn by a program; it does not animate photographs of people",
)
"""128 px, small enough to be trained on two CPU cores."""

TINY = Preset(
    name="tiny",
    model={
        "latents": {"channels": 4, "size": 8},
        "segment": {"frames": 4, "motion_frames": 2, "window": 1, "fps": 25.0},
        "unet": {
            "block_out_channels": (16, 32),
            "layers_per_block": 1,
            "attention_levels": (True, False),
            "heads": 2,
            "groups": 4,
        },
        "audio": {"blocks": 1, "width": 16, "token_dim": 16, "hidden": 16, "projection": "joint", "normalise": False},
        "locator": {"channels": (4, 4, 4)},
        "temporal": {"heads": 2, "max_frames": 8},
        "speed": {"centres": (0.5, 1.0, 1.5), "radii": (0.5, 0.5, 0.5), "width": 16},
    },
    schedule=COSINE,
    audio_encoder={"kind": "log-mel", "fps": 25.0, "bands": 8, "steps": 2},
    autoencoder_config={
        "latent_channels": 4,
        "widths": (8, 8, 16),
        "encoder_blocks": (1, 1, 1),
        "decoder_blocks": (1, 1, 1),
    },
)
"""64 px, for tests."""

PRESETS = {preset.name: preset for preset in (EMO_SD15, EMO_SYNTH, TINY)}
