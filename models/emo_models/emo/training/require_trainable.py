"""What every step of a training needs of the data, asked before the first: stages take hours to days."""

from __future__ import annotations

from math import isclose
from pathlib import Path
from typing import Any

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder
from emo_models.emo.architecture import EMOArchitecture, SegmentConfig
from emo_models.emo.extensions.detail_head import SCALE
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.stages import STAGES
from emo_models.emo.training.transfer_training import clips_with_flow
from emo_models.training.clips import TrainingClips, every_clip, moving


def require_size(architecture: EMOArchitecture, data: TrainingClips, *, times: int = 1) -> None:
    """Checks that clips have the size and rate that the model generates: others would train, and never be seen in use.

    Args:
        architecture: Of the model.
        data: The clips.
        times: How many times the model's size they have to have.

    Raises:
        ValueError: They have others.
    """
    side = times * architecture.latents.size * architecture.latents.downsample
    fps = architecture.segment.fps
    for clip in every_clip(data):
        if not isclose(clip.fps, fps, rel_tol=1e-6):
            raise ValueError(
                f"expected clips of {fps:g} frames a second, found {clip.fps:g} (clip {clip.id}); "
                f"prepare the set at {fps:g} frames a second"
            )
        height, width = clip.frames.shape[1:3]
        if (height, width) != (side, side):
            fix = f"set size: {side}" if times == 1 else "make the set of 'detail_data' so large"
            raise ValueError(f"expected clips of {side}x{side} pixels, found {width}x{height} (clip {clip.id}); {fix}")


def require_trainable(
    config: TrainConfig, architecture: EMOArchitecture, vae: Any, data: TrainingClips, large: TrainingClips | None
) -> None:
    """Checks that stages, refiner, transfer and detail will find the clips that they need.

    Args:
        config: The settings.
        architecture: Of the model.
        vae: The autoencoder.
        data: Training clips.
        large: Clips of twice the model's size.

    Raises:
        ValueError: One will not.
    """
    require_size(architecture, data)
    segment = architecture.segment
    for stage in config.stages:
        own = moving(data) if STAGES[stage.name].use_audio else data
        _require_length(own, frames_of(stage, segment), f"stage {stage.name}")
    if config.refiner.steps:
        _require_length(data, segment.frames + segment.motion_frames, "the refiner")
    small = isinstance(vae, SmallAutoencoder)
    if config.transfer.steps and not (small and clips_with_flow(data)):
        raise ValueError("expected re-enacted clips, which know their flow, and the small autoencoder for 'transfer'")
    refiner = config.refiner.steps or config.transfer.steps or (Path(config.start_from or "-") / "refiner").is_dir()
    if config.detail.steps and not (small and refiner and large is not None):
        raise ValueError("expected 'detail_data', a refiner and the small autoencoder to train 'detail'")
    if config.detail.steps and large is not None:
        require_size(architecture, large, times=SCALE)


def frames_of(stage: StageConfig, segment: SegmentConfig) -> int:
    """Consecutive frames that a sample of a stage is chosen from at least."""
    if not STAGES[stage.name].temporal:
        return 1
    frames = stage.frames or segment.frames
    earlier = frames if stage.self_forcing and segment.motion_frames else 0
    return frames + segment.motion_frames + earlier


def _require_length(data: TrainingClips, least: int, purpose: str) -> None:
    longest = max((len(clip.frames) for clip in every_clip(data)), default=0)
    if longest < least:
        raise ValueError(f"expected clips of at least {least} frames for {purpose}, found none longer than {longest}")
