"""Saved pipelines of earlier versions: their configs in today's form. Weights keep their names and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOISE = {"own": "independent", "joined": "shared", "mirrored": "reflected"}


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
