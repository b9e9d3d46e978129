"""How trained weights say they are to be sampled: always in a way that the pipeline takes."""

from __future__ import annotations

from typing import Any

import pytest
from emo_scenes import awake_model

from emo_models.emo.building import preset_named
from emo_models.emo.pipeline import recommended_sampling
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.pipeline_facts import recommended


def said(preset: str, before: dict[str, Any], **sampling: Any) -> dict[str, Any]:
    plan = TrainConfig(preset=preset, stages=(StageConfig(name="video", steps=1),), sampling=sampling)
    return recommended(plan, preset_named(preset), before, awake_model())


def test_another_sampler_drops_the_shift_that_was_chosen_for_the_one_before() -> None:
    assert recommended_sampling({"sampling": said("emo-synth", {}, sampler="unipc")}).shift == 1.0
    assert recommended_sampling({"sampling": said("emo-synth", {}, sampler="dpmsolver++")}).shift == 4.0
    before = {"sampling": {"sampler": "dpmsolver++", "shift": 2.0}}
    assert recommended_sampling({"sampling": said("tiny", before, sampler="ddim")}).shift == 1.0
    assert recommended_sampling({"sampling": said("tiny", before, steps=3)}).shift == 2.0


@pytest.mark.parametrize(("sampling", "named"), [({"shift": 4.0}, "dpmsolver"), ({"blinks": 12.0}, "eyelids")])
def test_sampling_that_the_weights_could_not_be_asked_for_is_refused_before_training(
    sampling: dict[str, float], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        said("tiny", {}, **sampling)


def test_words_of_earlier_versions_do_not_override_the_config() -> None:
    before = {"sampling": {"clip_noise": "mirrored", "steps": 5}}
    assert recommended_sampling({"sampling": said("tiny", before)}).segment_noise == "reflected"
    assert recommended_sampling({"sampling": said("tiny", before, segment_noise="shared")}).segment_noise == "shared"
