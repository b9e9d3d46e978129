"""How EMO is trained: stages, loss, batches, checkpoints, diagnostics. `run` does all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emo_models.emo.training.config import TrainConfig
    from emo_models.training.clips import TrainingClips


def run(
    config: TrainConfig,
    data: TrainingClips,
    out: Path,
    *,
    held_out: TrainingClips | None = None,
    large: TrainingClips | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Trains EMO and saves a pipeline; resumes where an earlier call with the same folder stopped.

    Args:
        config: The settings.
        data: Training clips.
        out: Folder for checkpoints, curves, samples and the pipeline.
        held_out: Clips of other people for the diagnostics.
        large: Clips of twice the model's size, for the detail head.
        report: Called with lines for the user.

    Returns:
        The folder of the saved pipeline, for `EMOPipeline.from_pretrained`.
    """
    # Imported here: the autoencoder's training uses the clips of this package.
    from emo_models.emo.training.entry import run_training

    return run_training(config, data, out, held_out=held_out, large=large, report=report)


def frame_rate(config: TrainConfig) -> float:
    """Frames a second that the clips of a training have to have: the model's."""
    from emo_models.emo.training import pipeline_facts

    return pipeline_facts.frame_rate(config)
