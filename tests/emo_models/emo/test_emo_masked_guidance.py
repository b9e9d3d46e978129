"""Guidance leaves out what a sample does not have in the first place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from emo_scenes import TINY, MovingSquares, awake_model, random_inputs

from emo_models.emo.building import build_autoencoder
from emo_models.emo.conditions import ConditionMask
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.model import EMOModel
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.config import RefinerTraining
from emo_models.emo.training.refiner_frames import generate_clips
from emo_models.emo.training.self_forcing import regenerate


@pytest.mark.parametrize("variant", ["cross", "concat"])
@pytest.mark.parametrize("condition", ["audio", "reference"])
def test_a_sample_without_a_condition_has_none_in_any_pass(variant: str, condition: str) -> None:
    model = awake_model(reference={"variant": variant})
    inputs = random_inputs()
    latents, times = inputs.pop("latents"), inputs.pop("timesteps")
    mask = ConditionMask(**{condition: torch.tensor([1.0, 0.0])})
    passes = Guidance(audio=3.0, reference=2.0).passes
    with torch.no_grad():
        conditions = model.prepare(**inputs, condition_mask=mask).for_passes(passes)
        made = model.backbone(latents.repeat(len(passes), 1, 1, 1, 1), times.repeat(len(passes)), conditions)
        alone = model(latents, times, **inputs, condition_mask=mask)
    torch.testing.assert_close(made[-2:], alone, atol=1e-5, rtol=1e-5)


def test_the_refiner_sees_silent_clips_as_training_does_without_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = MovingSquares()
    source.records[1] = replace(source.records[1], audio=source.records[1].audio[:0])
    encoder = LogMelEncoder(fps=25.0, bands=8, steps=2)
    clips = LatentClips(source, build_autoencoder(TINY), encoder, window=1, downsample=8)
    masks: list[Any] = []
    prepare = EMOModel.prepare

    def seen(model: EMOModel, **given: Any) -> Any:
        masks.append(given["condition_mask"].audio.tolist())
        return prepare(model, **given)

    monkeypatch.setattr(EMOModel, "prepare", seen)
    settings = RefinerTraining(steps=1, batch=2, clips=3, rounds=1)
    vae, schedule = build_autoencoder(TINY).eval(), NoiseSchedule(TINY.schedule)
    generate_clips(awake_model(), vae, clips, schedule, settings, tmp_path, report=lambda line: None, together=3)
    assert masks == [[1.0, 0.0, 1.0]]


def test_frames_are_generated_again_from_pure_noise_too() -> None:
    model, schedule = awake_model(), NoiseSchedule(TINY.schedule)
    inputs = random_inputs()
    latents = inputs.pop("latents")
    inputs.pop("timesteps")
    with torch.no_grad():
        conditions = model.prepare(**inputs)
    made = regenerate(model, latents, conditions, schedule, reference=inputs["reference"], share=torch.ones(2),
                      generator=torch.Generator().manual_seed(0))  # fmt: skip
    assert torch.isfinite(made).all()
