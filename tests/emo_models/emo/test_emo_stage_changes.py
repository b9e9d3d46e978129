"""From one stage to the next: nothing of the stage before stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from emo_scenes import TINY, MovingSquares

from emo_models.emo.building import build_autoencoder, build_model
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.trainer import Trainer


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    encoder = LogMelEncoder(fps=25.0, bands=8, steps=2)
    return LatentClips(MovingSquares(), build_autoencoder(TINY), encoder, window=1, downsample=8)


def stage(name: str, **options: object) -> StageConfig:
    frames = 3 if name in {"image", "audio"} else 0
    return StageConfig(**{"name": name, "steps": 2, "clips": 2, "frames": frames, "lr": 1e-3, "warmup": 1, **options})


def make_trainer(clips: LatentClips, folder: Path, *stages: StageConfig, **options: object) -> Trainer:
    plan = TrainConfig(**{"preset": "tiny", "stages": stages, "log_every": 1, "checkpoint_every": 1, **options})
    return Trainer(plan, build_model(TINY), clips, NoiseSchedule(TINY.schedule), folder, report=lambda line: None)


def test_training_resumed_behind_a_frozen_part_is_bit_exact(clips: LatentClips, tmp_path: Path) -> None:
    stages = stage("video"), stage("speed", steps=3)
    whole = make_trainer(clips, tmp_path / "whole", *stages, grad_clip=0.1)
    whole.run()
    cut = make_trainer(clips, tmp_path / "cut", *stages, grad_clip=0.1)
    cut.loop.should_stop = lambda: cut.loop.step == 3
    cut.run()
    resumed = make_trainer(clips, tmp_path / "cut", *stages, grad_clip=0.1)
    resumed.run()
    assert resumed.history == whole.history
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_gradients_of_a_part_that_is_frozen_now_count_for_nothing(clips: LatentClips, tmp_path: Path) -> None:
    trainer = make_trainer(clips, tmp_path, stage("video"), stage("speed"))
    trainer.run()
    frozen = [parameter for parameter in trainer.model.parameters() if not parameter.requires_grad]
    assert frozen
    assert all(parameter.grad is None for parameter in frozen)


def test_optimizers_of_earlier_stages_are_given_up(clips: LatentClips, tmp_path: Path) -> None:
    trainer = make_trainer(clips, tmp_path, stage("image"), stage("video"), stage("speed"))
    trainer.run()
    # accelerate unscales the gradients (float16) of every optimizer that it still knows.
    assert len(trainer.accelerator._optimizers) == 1
    assert len(trainer.accelerator._models) == 1


def test_stages_of_one_name_see_other_clips_and_noise(clips: LatentClips, tmp_path: Path) -> None:
    trainer = make_trainer(clips, tmp_path, stage("video"), stage("video", lr=1e-9), stage("speed"))
    drawn: list[torch.Tensor] = []
    batch = clips.batch

    def seen(*args: object, **given: object) -> object:
        made = batch(*args, **given)
        drawn.append(made.latents)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips, "batch", seen)
        trainer.run()
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[1], drawn[3])
    # A first stage of its name draws what it always drew.
    alone = batch(stage("speed"), frames=4, motion_frames=2, seed=0, step=0)
    assert torch.equal(drawn[4], alone.latents)


def test_the_scale_of_float16_gradients_is_kept(clips: LatentClips, tmp_path: Path) -> None:
    def scaled(folder: str) -> Trainer:
        made = make_trainer(clips, tmp_path / folder, stage("video", steps=3))
        # As accelerate has one for float16 on a GPU.
        made.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1)
        return made

    whole, cut = scaled("whole"), scaled("cut")
    whole.run()
    cut.loop.should_stop = lambda: cut.loop.step == 2
    cut.run()
    resumed = scaled("cut")
    resumed.run()
    assert whole.accelerator.scaler.get_scale() == 4.0 * 2**3
    assert resumed.accelerator.scaler.get_scale() == whole.accelerator.scaler.get_scale()


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_no_number_ends_training_but_where_float16_skips_the_step(
    clips: LatentClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def spoilt(model: object, batch: object, stage: object, schedule: object, **given: object) -> torch.Tensor:
        weight = next(p for p in model.parameters() if p.requires_grad)
        return weight.sum() * float("nan") if what == "loss" else (weight * 0).sqrt().sum()

    monkeypatch.setattr("emo_models.emo.training.trainer.clip_loss", spoilt)
    with pytest.raises(ValueError, match=f"expected a finite {what} at step 1, found nan"):
        make_trainer(clips, tmp_path / "plain", stage("video")).run()
    half = make_trainer(clips, tmp_path / "half", stage("video"))
    before = {name: value.clone() for name, value in half.model.state_dict().items()}
    half.accelerator.scaler = torch.amp.GradScaler("cpu")
    half.run()
    assert all(torch.equal(value, before[name]) for name, value in half.model.state_dict().items())
