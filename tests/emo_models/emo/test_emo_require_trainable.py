"""What the data cannot give is told before the stages, not after days of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emo_scenes import MovingSquares

from emo_models.autoencoder.config import AutoencoderTraining
from emo_models.emo.training import run
from emo_models.emo.training.config import DetailTraining, RefinerTraining, StageConfig, TrainConfig, TransferTraining
from emo_models.training.checkpoints import complete_checkpoints

FIRST = StageConfig(name="audio", steps=1, clips=2, frames=1, lr=1e-3, warmup=1)


def config(*stages: StageConfig, **options: object) -> TrainConfig:
    small = AutoencoderTraining(steps=1, batch=1)
    given = {"preset": "tiny", "stages": stages or (FIRST,), "autoencoder": small, "reader_steps": 0, **options}
    return TrainConfig(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frames", "plan", "told"),
    [
        (9, config(FIRST, FIRST.model_copy(update={"name": "video", "frames": 0, "self_forcing": 0.5})), "stage video"),
        (5, config(refiner=RefinerTraining(steps=1)), "refiner"),
        (20, config(transfer=TransferTraining(steps=1)), "flow"),
        (20, config(detail=DetailTraining(steps=1)), "detail_data"),
    ],
)
def test_what_a_later_step_lacks_is_told_first(tmp_path: Path, frames: int, plan: TrainConfig, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        run(plan, MovingSquares(frames=frames), tmp_path)
    assert not complete_checkpoints(tmp_path / "checkpoints")


def test_clips_of_another_size_than_the_model_s_are_refused(tmp_path: Path) -> None:
    data = MovingSquares()
    data.records = [replace(clip, frames=clip.frames.repeat(2, 1).repeat(2, 2)) for clip in data.records]
    with pytest.raises(ValueError, match=r"expected clips of 64x64 pixels, found 128x128 .*size: 64"):
        run(config(), data, tmp_path)


def test_clips_just_long_enough_are_trained_on(tmp_path: Path) -> None:
    video = FIRST.model_copy(update={"name": "video", "frames": 0})
    run(config(video, refiner=RefinerTraining(steps=1, batch=1, clips=2, rounds=1)), MovingSquares(frames=6), tmp_path)


def test_stills_and_silent_clips_held_out_do_not_end_a_training(tmp_path: Path) -> None:
    held_out = MovingSquares(clips=4)
    held_out.records[0] = replace(held_out.records[0], audio=np.zeros(0, np.float32))
    held_out.records[3] = replace(held_out.records[3], audio=np.zeros(0, np.float32))
    run(config(reader_steps=1, diagnostics_steps=1), MovingSquares(), tmp_path, held_out=held_out)
    assert (tmp_path / "samples").is_dir()
