"""What makes it EMO: one test per item of the paper's method."""

from __future__ import annotations

import pytest
import torch
from emo_scenes import awake_model, random_inputs

from emo_models.emo.architecture import SpeedConfig, TemporalConfig
from emo_models.emo.conditions import ConditionMask
from emo_models.emo.face_locator import FaceLocator, union_mask
from emo_models.emo.model import EMOModel
from emo_models.emo.speed_layers import SpeedEncoder
from emo_models.emo.temporal_modules import TemporalModule


@pytest.fixture(scope="module", params=["cross", "concat"])
def model(request: pytest.FixtureRequest) -> EMOModel:
    return awake_model(reference={"variant": request.param})


def change(model: EMOModel, **changed: object) -> float:
    """Relative change of the prediction when some inputs change, in eval mode."""
    inputs = random_inputs()
    with torch.no_grad():
        before, after = model(**inputs), model(**{**inputs, **changed})
    return float((before - after).norm() / before.norm())


def test_reference_net_has_the_backbones_structure_and_no_temporal_or_audio_layers(model: EMOModel) -> None:
    backbone, reference = model.backbone.state_dict(), model.reference_net.state_dict()
    own = ("motion_modules", "audio_", "attn2", "blocks.0.norm2", "conv_norm_out", "conv_out")
    shared = {name: value.shape for name, value in backbone.items() if not any(part in name for part in own)}
    assert shared == {name: value.shape for name, value in reference.items()}


def test_one_reference_pass_sees_reference_and_motion_frames_together(model: EMOModel) -> None:
    seen: list[int] = []
    handle = model.reference_net.conv_in.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    inputs = random_inputs(batch=1)
    model.prepare(**{k: v for k, v in inputs.items() if k not in {"latents", "timesteps"}})
    handle.remove()
    assert seen == [1 + 2]


def test_every_block_has_reference_then_audio_attention_in_this_order() -> None:
    model = awake_model()
    block = model.backbone.blocks()[0]
    order: list[str] = []
    handles = [
        getattr(block, name).register_forward_hook(lambda _m, _i, _o, name=name: order.append(name))
        for name in ("attn1", "attn2", "audio_attn", "ff")
    ]
    with torch.no_grad():
        model(**random_inputs())
    for handle in handles:
        handle.remove()
    assert order == ["attn1", "attn2", "audio_attn", "ff"]
    assert len(model.backbone.blocks()) == len(model.backbone.transformers())
    assert [block.index for block in model.backbone.blocks()] == list(range(len(model.backbone.blocks())))


def test_output_depends_on_the_reference(model: EMOModel) -> None:
    assert change(model, reference=torch.randn(2, 4, 8, 8)) > 1e-3


def test_output_depends_on_the_audio_of_its_own_window_only(model: EMOModel) -> None:
    inputs = random_inputs()
    later = inputs["audio"].clone()
    later[:, 5] += 3.0
    with torch.no_grad():
        before = model(**inputs, temporal=False)
        after = model(**{**inputs, "audio": later}, temporal=False)
    moved = (before - after).abs().amax((0, 2, 3, 4))
    assert moved[3] > 1e-4
    torch.testing.assert_close(moved[:3], torch.zeros(3), atol=1e-6, rtol=0)


def test_motion_frames_matter_in_eval_mode(model: EMOModel) -> None:
    assert not model.training
    assert change(model, motion=torch.randn(2, 2, 4, 8, 8)) > 1e-4


def test_temporal_modules_stand_at_every_resolution(model: EMOModel) -> None:
    levels = [*model.backbone.down_blocks, model.backbone.mid_block, *model.backbone.up_blocks]
    assert all(len(level.motion_modules) for level in levels)
    assert all(isinstance(module, TemporalModule) for module in model.backbone.temporal_modules())


def test_first_segment_gets_zero_maps(model: EMOModel) -> None:
    closed = ConditionMask(motion=torch.zeros(2))
    inputs = random_inputs()
    with torch.no_grad():
        torch.testing.assert_close(model(**{**inputs, "motion": None}), model(**inputs, condition_mask=closed))


def temporal_module(*, max_frames: int) -> TemporalModule:
    config = TemporalConfig(heads=2, max_frames=max_frames)
    return TemporalModule(8, 0, config, groups=2, motion_frames=2, speed_dim=4, zero_init=False)


def test_motion_maps_are_concatenated_before_the_frames_and_dropped_after() -> None:
    module = temporal_module(max_frames=8).eval()
    seen: list[int] = []
    module.transformer_blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    out = module.mix_frames(
        torch.randn(1, 3, 8, 4, 4), motion=torch.randn(1, 2, 8, 4, 4), speed=None, mask=ConditionMask()
    )
    assert seen == [5]
    assert out.shape == (1, 3, 8, 4, 4)


def test_too_many_frames_are_refused() -> None:
    module = temporal_module(max_frames=4)
    with pytest.raises(ValueError, match="at most 4 frames"):
        module.mix_frames(torch.randn(1, 3, 8, 4, 4), motion=None, speed=None, mask=ConditionMask())


def test_face_locator_starts_at_zero_and_is_added_to_the_noisy_latent() -> None:
    locator = FaceLocator(4, channels=(4, 4, 4))
    assert not locator(torch.ones(1, 1, 64, 64)).any()
    model = awake_model()
    seen: list[torch.Tensor] = []
    handle = model.backbone.conv_in.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    inputs = random_inputs()
    with torch.no_grad():
        model(**inputs)
        added = model.face_locator(inputs["mask"])
    handle.remove()
    torch.testing.assert_close(seen[0], (inputs["latents"] + added[:, None]).flatten(0, 1))


def test_region_is_one_mask_for_all_frames(model: EMOModel) -> None:
    boxes = torch.tensor([[[0, 0, 2, 2], [2, 2, 4, 4]]])
    mask = union_mask(boxes, height=4, width=4)
    assert mask.shape == (1, 1, 4, 4)
    assert mask.sum() == 8
    assert change(model, mask=torch.zeros(2, 1, 64, 64)) > 1e-4


def test_speed_buckets_are_the_papers_thermometer() -> None:
    encoder = SpeedEncoder(SpeedConfig(centres=(0.1, 0.4, 0.7, 1.0, 1.3, 1.6, 1.9), radii=(0.3,) * 7))
    expected = torch.tanh((0.7 - encoder.centres) / 0.3 * 3)
    torch.testing.assert_close(encoder.buckets(torch.tensor([0.7]))[0], expected)
    torch.testing.assert_close(expected, torch.tensor([1.0, 0.995, 0.0, -0.995, -1.0, -1.0, -1.0]), atol=1e-3, rtol=0)


def test_speed_window_is_2m_plus_1_and_acts_inside_the_temporal_modules(model: EMOModel) -> None:
    assert model.speed_encoder.mlp[0].in_features == 3 * 3
    assert change(model, speed=torch.full((2, 6), 2.0)) > 1e-4
    assert change(model, speed=None) > 1e-4
    inputs = random_inputs()
    with torch.no_grad():
        a = model(**inputs, temporal=False)
        b = model(**{**inputs, "speed": torch.full((2, 6), 2.0)}, temporal=False)
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("name", "absent"), [("audio", "audio"), ("speed", "speed")])
def test_a_closed_gate_equals_no_condition(model: EMOModel, name: str, absent: str) -> None:
    inputs = random_inputs()
    with torch.no_grad():
        closed = model(**inputs, condition_mask=ConditionMask(**{name: torch.zeros(2)}))
        without = model(**{**inputs, absent: None})
    torch.testing.assert_close(closed, without, atol=1e-5, rtol=1e-5)


def test_a_closed_reference_gate_removes_the_reference(model: EMOModel) -> None:
    inputs = random_inputs()
    other = {**inputs, "reference": torch.randn(2, 4, 8, 8)}
    gates = ConditionMask(reference=torch.zeros(2))
    with torch.no_grad():
        torch.testing.assert_close(
            model(**inputs, condition_mask=gates), model(**other, condition_mask=gates), atol=1e-5, rtol=1e-5
        )


def test_gradient_checkpointing_changes_nothing_but_memory() -> None:
    plain, saving = awake_model(), awake_model()
    saving.enable_gradient_checkpointing()
    gradients = []
    for model in (plain, saving):
        model(**random_inputs()).square().mean().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)
