"""Runs any training file."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from emo_bench.train.config import EMOTraining, SyncTraining, Training, Wav2LipTraining
from emo_bench.train.training_clips import JoinedClips, open_training_clips
from emo_bench.train.unseen_people import tell_known_people
from emo_core.errors import ConfigError

Say = Callable[[str], None]


def run_training(config: Training, folder: Path, *, say: Say = lambda text: None) -> list[str]:
    """Trains, or resumes, what a training file describes.

    Args:
        config: The file.
        folder: Of everything that is made.
        say: Called with lines for the user.

    Returns:
        A line for each thing that was made.

    Raises:
        DataError: The data cannot be trained on.
        ConfigError: The settings do not fit the data or the weights that training starts from.
    """
    try:
        return _trained(config, folder, say)
    except ValueError as error:
        raise ConfigError(f"the training cannot run: {error}") from error


def _trained(config: Training, folder: Path, say: Say) -> list[str]:
    if isinstance(config, EMOTraining):
        return [str(_train_emo(config, folder, say))]
    if isinstance(config, Wav2LipTraining):
        from emo_bench.train.wav2lip import train_wav2lip

        return [str(train_wav2lip(config, folder, say=say).weights)]
    if isinstance(config, SyncTraining):
        from emo_bench.train.open_sync import train_open_sync

        return [str(train_open_sync(config, folder, say=say))]
    from emo_bench.train.extractors import train_extractors

    return [f"{digest}  {name}" for name, digest in train_extractors(config, folder, say=say).items()]


def _train_emo(config: EMOTraining, folder: Path, say: Say) -> Path:
    from emo_models.emo.training import frame_rate, run

    fps = Fraction(frame_rate(config)).limit_denominator(1001)

    def clips(held_out: bool) -> JoinedClips:
        return open_training_clips(
            config.held_out if held_out else config.data,
            split="validation" if held_out else "train",
            cache=Path(config.cache),
            fps=fps,
            size=config.size,
            max_clips=config.max_clips,
            least=1 if held_out else 2,
            say=say,
        )

    data = clips(False)
    held_out = clips(True) if config.held_out else None
    if held_out is not None:
        tell_known_people(data, held_out, say=say)
    large = None
    if config.detail_data:
        cache = Path(config.cache)
        large = open_training_clips(config.detail_data, cache=cache, fps=fps, max_clips=config.max_clips, say=say)
    return run(config, data, folder, held_out=held_out, large=large, report=say)
