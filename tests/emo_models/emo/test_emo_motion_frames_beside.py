"""Motion frames beside the Backbone's input, and how training makes them a little wrong."""

from __future__ import annotations

import pytest
import torch
from emo_scenes import awake_model, random_inputs

from emo_models.emo.conditions import ConditionMask
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.model import EMOModel
from emo_models.emo.training.loop import noisy_motion

SCALE = (0.5, 1.0, 2.0, 4.0)
CHANGES = {"diffused": "changes", "change_scale": SCALE}


def beside(**changes: object) -> EMOModel:
    return awake_model(**{**CHANGES, "motion_beside": True, **changes})


def run(model: EMOModel, **changes: object) -> torch.Tensor:
    with torch.no_grad():
        prediction: torch.Tensor = model(**{**random_inputs(), **changes})
    return prediction


def test_weights_without_them_go_on_unchanged_when_the_new_channels_start_at_zero() -> None:
    old, new = awake_model(**CHANGES), beside()
    weights = old.state_dict()
    wide = torch.zeros_like(new.state_dict()["backbone.conv_in.weight"])
    wide[:, : 2 * 4] = weights["backbone.conv_in.weight"]
    new.load_state_dict({**weights, "backbone.conv_in.weight": wide})
    torch.testing.assert_close(run(new), run(old))


def test_they_reach_the_prediction_without_temporal_modules_too() -> None:
    inputs = random_inputs()
    other = inputs["motion"] + 1
    assert torch.equal(run(awake_model(**CHANGES), temporal=False, audio=None),
                       run(awake_model(**CHANGES), temporal=False, audio=None, motion=other))  # fmt: skip
    assert not torch.allclose(run(beside(), temporal=False, audio=None),
                              run(beside(), temporal=False, audio=None, motion=other), atol=1e-3)  # fmt: skip


def test_a_closed_gate_is_a_video_without_frames_before() -> None:
    model = beside()
    closed = run(model, condition_mask=ConditionMask(motion=torch.tensor([0.0, 1.0])))
    torch.testing.assert_close(closed[:1], run(model, motion=None)[:1])
    torch.testing.assert_close(closed[1:], run(model)[1:])


def test_every_pass_of_guidance_sees_them() -> None:
    model, inputs = beside(), random_inputs(batch=1)
    conditions = model.prepare(reference=inputs["reference"], motion=inputs["motion"], audio=inputs["audio"])
    passes = conditions.for_passes(Guidance(audio=2.0, reference=2.0).passes)
    assert conditions.before is not None
    assert passes.before is not None
    assert all(torch.equal(row, conditions.before[0]) for row in passes.before)


def test_the_noise_of_training_is_measured_in_changes() -> None:
    model = beside()
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
    made = noisy_motion(beside(), motion, reference, largest=0.0, generator=torch.Generator())
    torch.testing.assert_close(made, motion)


@pytest.mark.parametrize("motion_frames", [0, 1, 3])
def test_any_number_of_them(motion_frames: int) -> None:
    model = beside(motion_frames=motion_frames)
    motion = torch.randn(2, motion_frames, 4, 8, 8) if motion_frames else None
    assert run(model, motion=motion).shape == (2, 4, 4, 8, 8)
