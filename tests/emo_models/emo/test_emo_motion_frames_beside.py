"""Motion frames concatenated on the channels of the Backbone's input, and how training makes them a little wrong."""

from __future__ import annotations

import pytest
import torch
from emo_scenes import awake_model, random_inputs

from emo_models.emo.conditions import ConditionMask
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.model import EMOModel
from emo_models.emo.training.trainer import noisy_motion

SCALE = (0.5, 1.0, 2.0, 4.0)
RESIDUAL = {"residual_std": SCALE}


def with_motion_channels(**changes: dict[str, object]) -> EMOModel:
    return awake_model(extensions={**RESIDUAL, "concat_motion_frames": True}, **changes)


def run(model: EMOModel, **changes: object) -> torch.Tensor:
    with torch.no_grad():
        prediction: torch.Tensor = model(**{**random_inputs(), **changes})
    return prediction


def test_weights_without_them_predict_the_same_when_the_new_channels_start_at_zero() -> None:
    old, new = awake_model(extensions=RESIDUAL), with_motion_channels()
    weights = old.state_dict()
    wide = torch.zeros_like(new.state_dict()["backbone.conv_in.weight"])
    wide[:, : 2 * 4] = weights["backbone.conv_in.weight"]
    new.load_state_dict({**weights, "backbone.conv_in.weight": wide})
    torch.testing.assert_close(run(new), run(old))


def test_they_reach_the_prediction_without_temporal_modules_too() -> None:
    inputs = random_inputs()
    other = inputs["motion"] + 1
    assert torch.equal(run(awake_model(extensions=RESIDUAL), temporal=False, audio=None),
                       run(awake_model(extensions=RESIDUAL), temporal=False, audio=None, motion=other))  # fmt: skip
    assert not torch.allclose(run(with_motion_channels(), temporal=False, audio=None),
                              run(with_motion_channels(), temporal=False, audio=None, motion=other), atol=1e-3,
    )  # fmt: skip


def test_masked_motion_frames_are_those_of_a_first_segment() -> None:
    model = with_motion_channels()
    closed = run(model, condition_mask=ConditionMask(motion=torch.tensor([0.0, 1.0])))
    torch.testing.assert_close(closed[:1], run(model, motion=None)[:1])
    torch.testing.assert_close(closed[1:], run(model)[1:])


def test_every_pass_of_guidance_sees_them() -> None:
    model, inputs = with_motion_channels(), random_inputs(batch=1)
    conditions = model.prepare(reference=inputs["reference"], motion=inputs["motion"], audio=inputs["audio"])
    passes = conditions.for_passes(Guidance(audio=2.0, reference=2.0).passes)
    assert conditions.motion_channels is not None
    assert passes.motion_channels is not None
    assert all(torch.equal(row, conditions.motion_channels[0]) for row in passes.motion_channels)


def test_the_noise_of_training_is_measured_in_residuals() -> None:
    model = with_motion_channels()
    motion, reference = torch.randn(64, 2, 4, 8, 8), torch.randn(64, 4, 8, 8)
    made = noisy_motion(model, motion, reference, largest=0.4, generator=torch.Generator().manual_seed(0))
    sizes = model.to_residual(made, reference).sub(model.to_residual(motion, reference)).std((1, 3, 4))
    per_clip = sizes.mean(1)
    assert per_clip.min() < 0.05
    assert 0.3 < per_clip.max() < 0.45
    torch.testing.assert_close(sizes / per_clip[:, None], torch.ones_like(sizes), atol=0.3, rtol=0)
    again = noisy_motion(model, motion, reference, largest=0.4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(made, again)


def test_no_noise_leaves_them_alone() -> None:
    motion, reference = torch.randn(2, 2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    made = noisy_motion(with_motion_channels(), motion, reference, largest=0.0, generator=torch.Generator())
    torch.testing.assert_close(made, motion)


@pytest.mark.parametrize("motion_frames", [0, 1, 3])
def test_any_number_of_them(motion_frames: int) -> None:
    model = with_motion_channels(segment={"motion_frames": motion_frames})
    motion = torch.randn(2, motion_frames, 4, 8, 8) if motion_frames else None
    assert run(model, motion=motion).shape == (2, 4, 4, 8, 8)
