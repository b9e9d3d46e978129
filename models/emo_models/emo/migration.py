"""Saved pipelines of earlier versions: converts configs to the current form. Weights keep their names and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOISE = {"own": "independent", "joined": "shared", "mirrored": "reflected"}

_MODEL_FIELDS = {
    "in_channels": ("latents", "channels"),
    "latent_size": ("latents", "size"),
    "downsample": ("latents", "downsample"),
    "frames": ("segment", "frames"),
    "motion_frames": ("segment", "motion_frames"),
    "window": ("segment", "window"),
    "fps": ("segment", "fps"),
    "block_out_channels": ("unet", "block_out_channels"),
    "layers_per_block": ("unet", "layers_per_block"),
    "attention_levels": ("unet", "attention_levels"),
    "heads": ("unet", "heads"),
    "groups": ("unet", "groups"),
    "reference_variant": ("reference", "variant"),
    "reference_feature": ("reference", "feature"),
    "reference_timestep": ("reference", "timestep"),
    "audio_blocks": ("audio", "blocks"),
    "audio_width": ("audio", "width"),
    "audio_token_dim": ("audio", "token_dim"),
    "audio_tokens": ("audio", "tokens"),
    "audio_mix": ("audio", "mix"),
    "audio_projection": ("audio", "projection"),
    "audio_hidden": ("audio", "hidden"),
    "audio_normalise": ("audio", "normalise"),
    "locator_channels": ("locator", "channels"),
    "locator_place": ("locator", "place"),
    "temporal_heads": ("temporal", "heads"),
    "temporal_max_frames": ("temporal", "max_frames"),
    "temporal_norm": ("temporal", "norm"),
    "temporal_mid": ("temporal", "mid_block"),
    "speed_centres": ("speed", "centres"),
    "speed_radii": ("speed", "radii"),
    "speed_width": ("speed", "width"),
    "motion_beside": ("extensions", "concat_motion_frames"),
    "first_motion": ("extensions", "first_motion"),
    "spatial_positions": ("extensions", "spatial_positions"),
    "distance_bias": ("extensions", "distance_bias"),
}


def migrate_model_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The config of an `EMOModel`: one flat list of arguments becomes one group of fields per part.

    A config in today's form comes back as it is.

    >>> migrate_model_config({"frames": 12, "diffused": "changes", "change_scale": [0.5], "zero_init": True})
    {'zero_init': True, 'segment': {'frames': 12}, 'extensions': {'residual_std': [0.5]}}
    """
    flat = {"diffused", "change_scale", *_MODEL_FIELDS}
    migrated = {name: value for name, value in values.items() if name not in flat}
    for name, (part, field) in _MODEL_FIELDS.items():
        if name in values:
            migrated[part] = {**migrated.get(part, {}), field: values[name]}
    if values.get("diffused") == "changes":
        migrated["extensions"] = {**migrated.get("extensions", {}), "residual_std": values["change_scale"]}
    return migrated


def migrate_sampling(values: Mapping[str, Any]) -> dict[str, Any]:
    """The recommended sampling of a saved pipeline.

    >>> migrate_sampling({"steps": 8, "clip_noise": "mirrored"})
    {'steps': 8, 'segment_noise': 'reflected'}
    """
    migrated = dict(values)
    if "clip_noise" in migrated:
        kind = migrated.pop("clip_noise")
        migrated["segment_noise"] = _NOISE.get(kind, kind)
    return migrated


def migrate_audio_encoder_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The ``config.json`` of a speech encoder.

    >>> migrate_audio_encoder_config({"kind": "log-mel", "voice": 1.0})
    {'kind': 'log-mel', 'vtlp_factor': 1.0}
    """
    return {"vtlp_factor" if name == "voice" else name: value for name, value in values.items()}
