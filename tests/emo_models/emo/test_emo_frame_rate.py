"""One frame rate for the model, its speech encoder and the clips it learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from emo_scenes import TINY, MovingSquares, awake_model

from emo_models.autoencoder.config import AutoencoderTraining
from emo_models.emo.building import build_autoencoder
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.schedulers import make_scheduler
from emo_models.emo.training import frame_rate, run
from emo_models.emo.training.config import StageConfig, TrainConfig


def plan(**options: object) -> TrainConfig:
    stages = (StageConfig(name="video", steps=1, clips=1, lr=1e-3),)
    small = AutoencoderTraining(steps=1, batch=1, checkpoint_every=1)
    given = {"preset": "tiny", "stages": stages, "autoencoder": small, "reader_steps": 0, **options}
    return TrainConfig(**given)


def pipeline(fps: float, encoder_fps: float) -> EMOPipeline:
    encoder = LogMelEncoder(fps=encoder_fps, bands=8, steps=2)
    model = awake_model(segment={"fps": fps})
    return EMOPipeline(model, build_autoencoder(TINY), make_scheduler(TINY.schedule), encoder)


def test_a_speech_encoder_of_another_rate_is_refused() -> None:
    assert pipeline(30.0, 30.0).fps == 30.0
    with pytest.raises(ValueError, match="expected a speech encoder at 30 frames a second, found one at 25"):
        pipeline(30.0, 25.0)


def test_the_rate_of_a_training_is_that_of_its_model(tmp_path: Path) -> None:
    assert frame_rate(plan()) == 25.0
    assert frame_rate(plan(preset="emo-sd15")) == 30.0
    assert frame_rate(plan(model_changes={"segment": {"fps": 30}})) == 30.0
    pipeline(12.5, 12.5).save_pretrained(tmp_path)
    assert frame_rate(plan(start_from=str(tmp_path))) == 12.5


def test_a_rate_in_model_changes_reaches_the_speech_encoder(tmp_path: Path) -> None:
    source = MovingSquares()
    source.records = [replace(record, fps=30.0) for record in source.records]
    made = EMOPipeline.from_pretrained(run(plan(model_changes={"segment": {"fps": 30.0}}), source, tmp_path))
    assert (made.fps, made.audio_encoder.fps) == (30.0, 30.0)


def test_clips_of_another_rate_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected clips of 30 frames a second, found 25"):
        run(plan(model_changes={"segment": {"fps": 30.0}}), MovingSquares(), tmp_path)
