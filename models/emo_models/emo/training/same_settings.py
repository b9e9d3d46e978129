"""What must be equal for a training to be continued; other settings would be left out without a word."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from emo_core.atomic import write_json
from emo_models.emo.training.config import TrainConfig
from emo_models.training.clips import TrainingClips, every_clip

FILE = "settings.json"
FREE = frozenset(
    {
        *("log_every", "checkpoint_every", "diagnostics_every", "diagnostics_steps", "reader_steps"),
        *("gradient_checkpointing", "check_alignment", "unlearn_guidance", "sampling", "weights_dtype"),
    }
)
"""Settings that decide no weights."""
PARTS = {
    "autoencoder": "autoencoder",
    "speech_net": "audio_encoder",
    "refiner": "refiner",
    "transfer": "transfer",
    "detail": "detail",
}
"""Settings of a network of its own -> its folder; free until there is one."""


DETAIL_DATA = "detail_data"


def require_same_settings(
    config: TrainConfig, data: TrainingClips, out: Path, *, large: TrainingClips | None = None
) -> None:
    """Compares settings and data with those that a folder was begun with, and keeps them there.

    Args:
        config: The settings.
        data: Training clips.
        out: Folder of the training; one of an earlier version that says nothing is continued.
        large: Clips of the detail network.

    Raises:
        ValueError: They are others.
    """
    wanted = {**_settings(config, data), DETAIL_DATA: None if large is None else _data(large)}
    path = out / FILE
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    folders = {**PARTS, DETAIL_DATA: PARTS["detail"]}
    begun = {name for name in found if name not in folders or (out / folders[name]).is_dir()}
    different = sorted(name for name in begun & wanted.keys() if found[name] != wanted[name])
    if different:
        raise ValueError(
            f"{out} was trained with other settings ({', '.join(different)}), which would be kept; "
            "choose another output folder, or delete that one"
        )
    if found != wanted:
        write_json(path, wanted)


def _settings(config: TrainConfig, data: TrainingClips) -> dict[str, Any]:
    own = set(TrainConfig.model_fields) - FREE
    settings: dict[str, Any] = config.model_dump(mode="json", include=own)
    for part in PARTS:
        settings[part].pop("checkpoint_every", None)
    if any(stage.style_weights for stage in config.stages):
        settings["styles"] = _digest([clip.style for clip in every_clip(data)])
    return {**settings, **_data(data)}


def _data(data: TrainingClips) -> dict[str, str]:
    clips = [[clip.id, clip.digest, clip.weight, *clip.frames.shape] for clip in every_clip(data)]
    beside = [clip.beside for clip in every_clip(data)]
    return {"data": _digest(clips), "labels": _digest(beside)}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
