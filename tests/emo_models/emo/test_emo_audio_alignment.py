"""Sets whose audio is shifted are refused before they train anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emo_scenes import TINY, MovingSquares, awake_model

from emo_models.emo.building import build_autoencoder
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.speech_net import SpeechNetEncoder
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.schedulers import make_scheduler
from emo_models.emo.training import run
from emo_models.emo.training.audio_alignment import LEAST, REACH, audio_lags, require_aligned
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.speech_net_training import SpeechNetTraining, train_speech_net
from emo_models.training.clips import TrainingClip

CLIPS = MovingSquares(clips=8, frames=60)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SpeechNetEncoder:
    mel = LogMelEncoder(bands=8, steps=2)
    settings = SpeechNetTraining(steps=60, clips=8, lr=1e-2)
    folder = tmp_path_factory.mktemp("speech")
    net = train_speech_net(mel, settings, CLIPS, folder, report=lambda line: None, width=16, blocks=1)
    return SpeechNetEncoder(net, mel)


def shifted(frames: int) -> list[TrainingClip]:
    """The clips with audio that comes so many frames late."""
    padded = [np.pad(clip.audio, (max(frames, 0) * 640, 0))[max(-frames, 0) * 640 :] for clip in CLIPS.records]
    return [replace(clip, audio=audio) for clip, audio in zip(CLIPS.records, padded, strict=True)]


@pytest.mark.parametrize("frames", [-8, -2, 2, 8])
def test_shifted_audio_is_refused_with_its_shift(encoder: SpeechNetEncoder, frames: int) -> None:
    word = f"{abs(frames)} frames {'late' if frames > 0 else 'early'}"
    with pytest.raises(ValueError, match=word):
        require_aligned(encoder, shifted(frames), report=lambda line: None)


@pytest.mark.parametrize("frames", [-1, 0, 1])
def test_a_frame_is_within_the_accuracy(encoder: SpeechNetEncoder, frames: int) -> None:
    lines: list[str] = []
    require_aligned(encoder, shifted(frames), report=lines.append)
    assert lines[0].endswith(f"best at lag {frames}")


def test_mouths_that_fit_nowhere_and_clips_without_audio_pass(encoder: SpeechNetEncoder) -> None:
    rng = np.random.default_rng(0)
    foreign = [replace(clip, audio=rng.normal(size=len(clip.audio)).astype(np.float32) * 0.2) for clip in CLIPS.records]
    require_aligned(encoder, foreign, report=lambda line: None)
    silent = [replace(clip, audio=np.zeros(0, np.float32)) for clip in CLIPS.records]
    assert audio_lags(encoder, silent) == {}
    lines: list[str] = []
    require_aligned(encoder, silent, report=lines.append)
    assert "not checked" in lines[0]
    assert set(audio_lags(encoder, CLIPS)) == set(range(-REACH, REACH + 1))


def test_a_few_clips_decide_nothing(encoder: SpeechNetEncoder) -> None:
    require_aligned(encoder, shifted(8)[: LEAST - 1], report=lambda line: None)


def test_training_asks_before_it_begins(encoder: SpeechNetEncoder, tmp_path: Path) -> None:
    model = awake_model(audio={"blocks": 1, "width": encoder.width})
    start = EMOPipeline(model, build_autoencoder(TINY), make_scheduler(TINY.schedule), encoder, facts={})
    start.save_pretrained(tmp_path / "start")

    def train(**options: object) -> None:
        stage = StageConfig(name="image", steps=1, clips=1, frames=2, warmup=1)
        config = TrainConfig(
            **{
                "preset": "tiny",
                "stages": (stage,),
                "reader_steps": 0,
                "start_from": str(tmp_path / "start"),
                **options,
            }
        )
        run(config, shifted(5), tmp_path / "out", held_out=None, report=lambda line: None)

    with pytest.raises(ValueError, match="5 frames late"):
        train()
    assert not (tmp_path / "out" / "checkpoints").exists()
