"""A training folder belongs to one training: other settings or data are refused, not silently left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from emo_scenes import MovingSquares

from emo_models.autoencoder.config import AutoencoderTraining
from emo_models.emo.training import run
from emo_models.emo.training.config import RefinerTraining, StageConfig, TrainConfig
from emo_models.emo.training.same_settings import require_same_settings
from emo_models.training.clips import every_clip


def config(**options: object) -> TrainConfig:
    stages = (StageConfig(name="image", steps=2, clips=1, frames=1, lr=1e-3, warmup=1),)
    small = AutoencoderTraining(steps=1, batch=1, checkpoint_every=1)
    given = {"preset": "tiny", "stages": stages, "autoencoder": small, "reader_steps": 0, **options}
    return TrainConfig(**given)  # type: ignore[arg-type]


def test_a_finished_training_is_not_taken_for_one_with_other_settings(tmp_path: Path) -> None:
    run(config(), MovingSquares(), tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(seed\)"):
        run(config(seed=1), MovingSquares(), tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(data, labels\)"):
        run(config(), MovingSquares(clips=2), tmp_path)
    relabelled = [replace(clip, beside="measured anew") for clip in every_clip(MovingSquares())]
    with pytest.raises(ValueError, match=r"other settings \(labels\)"):
        run(config(), relabelled, tmp_path)


def test_other_styles_are_another_training_where_they_decide_what_is_chosen(tmp_path: Path) -> None:
    data = MovingSquares()
    repainted = [replace(clip, style="engraving") for clip in every_clip(data)]
    weighted = StageConfig(name="image", steps=2, style_weights={"anime": 3.0})
    for name, stage in (("plain", StageConfig(name="image", steps=2)), ("weighted", weighted)):
        require_same_settings(config(stages=(stage,)), data, tmp_path / name)
    require_same_settings(config(), data, tmp_path / "again")
    require_same_settings(config(), repainted, tmp_path / "again")
    with pytest.raises(ValueError, match=r"other settings \(styles\)"):
        require_same_settings(config(stages=(weighted,)), repainted, tmp_path / "weighted")


def test_what_decides_no_weights_may_change(tmp_path: Path) -> None:
    require_same_settings(config(), MovingSquares(), tmp_path)
    require_same_settings(
        config(log_every=7, checkpoint_every=3, gradient_checkpointing=True), MovingSquares(), tmp_path
    )
    often = AutoencoderTraining(steps=1, batch=1, checkpoint_every=9)
    (tmp_path / "autoencoder").mkdir()
    require_same_settings(config(autoencoder=often), MovingSquares(), tmp_path)


def test_clips_of_the_detail_network_may_change_until_its_training_has_begun(tmp_path: Path) -> None:
    data, large = MovingSquares(), MovingSquares(clips=2)
    for given in (None, data, large):
        require_same_settings(config(), data, tmp_path, large=given)
    (tmp_path / "detail").mkdir()
    require_same_settings(config(), data, tmp_path, large=large)
    with pytest.raises(ValueError, match=r"other settings \(detail_data\)"):
        require_same_settings(config(), data, tmp_path, large=data)


def test_a_part_may_change_until_its_training_has_begun(tmp_path: Path) -> None:
    data = MovingSquares()
    require_same_settings(config(), data, tmp_path)
    require_same_settings(config(refiner=RefinerTraining(steps=5)), data, tmp_path)
    (tmp_path / "refiner").mkdir()
    with pytest.raises(ValueError, match=r"other settings \(refiner\)"):
        require_same_settings(config(refiner=RefinerTraining(steps=6)), data, tmp_path)


def test_a_folder_of_an_earlier_version_is_continued(tmp_path: Path) -> None:
    (tmp_path / "autoencoder").mkdir()
    require_same_settings(config(), MovingSquares(), tmp_path)
    (tmp_path / "settings.json").write_text('{"seed": 0}')
    require_same_settings(config(ema=0.5), MovingSquares(), tmp_path)
