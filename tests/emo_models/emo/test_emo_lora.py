"""Low-rank adapters: what they train, that they start as nothing, and that they end in plain weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from emo_scenes import TINY, MovingSquares, awake_model, random_inputs
from pydantic import ValidationError

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder
from emo_models.emo.building import build_autoencoder, build_pipeline
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.schedulers import make_scheduler
from emo_models.emo.training import run
from emo_models.emo.training.config import LoraTraining, StageConfig, TrainConfig
from emo_models.emo.training.lora import MARK, add_lora, kept_by_lora, merge_lora
from emo_models.emo.training.stages import describe, parameter_groups, part_of

pytest.importorskip("peft", reason="peft is not installed (emo-bench[lora])")
LORA = LoraTraining(rank=2, alpha=4)


def outputs(model: EMOModel) -> torch.Tensor:
    inputs = random_inputs()
    with torch.no_grad():
        result: torch.Tensor = model(inputs.pop("latents"), inputs.pop("timesteps"), **inputs)
    return result


def taught(model: EMOModel) -> None:
    """Adapters as training would leave them: no zeros."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if MARK in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))


def test_fresh_adapters_change_nothing_and_the_seed_decides_them() -> None:
    plain, one, two = awake_model(), awake_model(), awake_model()
    add_lora(one.backbone, LORA, seed=3)
    add_lora(two.backbone, LORA, seed=3)
    torch.testing.assert_close(outputs(one), outputs(plain), rtol=0, atol=0)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_merged_adapters_leave_the_structure_as_it_was_and_the_same_outputs() -> None:
    plain, model = awake_model(), awake_model()
    add_lora(model.backbone, LORA, seed=0)
    taught(model)
    adapted = outputs(model)
    assert not torch.allclose(adapted, outputs(plain), atol=1e-3)
    merge_lora(model)
    assert model.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(outputs(model), adapted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stage", ["image", "video"])
def test_the_backbone_itself_is_kept_and_everything_else_trains_as_without(stage: str) -> None:
    plain, model = awake_model(), awake_model()
    add_lora(model.backbone, LORA, seed=0)
    for one in (plain, model):
        parameter_groups(one, stage, backbone_lr_scale=1.0)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    usual = {name for name, parameter in plain.named_parameters() if parameter.requires_grad}
    own = {name for name in usual if kept_by_lora(name) and part_of(name) == "image"}
    adapters = {name for name in trained if MARK in name}
    assert trained - adapters == usual - own
    assert own
    assert {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in adapters} == {
        "to_q",
        "to_k",
        "to_v",
        "0",
        "proj",
        "2",
    }
    assert not any(".motion_modules." in name or ".audio_attn." in name for name in adapters)
    text = describe(model, stage, backbone_lr_scale=1.0)
    assert [line.split()[0] for line in text.splitlines()].count("image") == 2


def test_a_run_with_adapters_resumes_and_saves_a_pipeline_like_any_other(tmp_path: Path) -> None:
    start = EMOPipeline(
        awake_model(),
        build_autoencoder(TINY),
        make_scheduler(TINY.schedule),
        LogMelEncoder(fps=25.0, bands=8, steps=2),
        facts={"preset": "tiny"},
    )
    assert isinstance(start.vae, SmallAutoencoder)
    start.save_pretrained(tmp_path / "start")

    def train(out: Path, steps: int) -> EMOPipeline:
        stage = StageConfig(name="video", steps=steps, clips=2, lr=1e-2, warmup=1)
        config = TrainConfig(
            preset="tiny",
            stages=(stage,),
            lora=LORA,
            ema=0.5,
            reader_steps=0,
            checkpoint_every=1,
            start_from=str(tmp_path / "start"),
        )
        return EMOPipeline.from_pretrained(run(config, MovingSquares(), out, held_out=None, report=lambda line: None))

    made = train(tmp_path / "a", 3)
    before, after = start.model.state_dict(), made.model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "backbone.conv_in.weight" not in changed
    assert any(
        name.startswith("backbone.") and ".attn1.to_q.weight" in name and part_of(name) == "image" for name in changed
    )
    assert any(name.startswith("reference_net.") for name in changed)
    # Merged once more from the last checkpoint, it is the same pipeline.
    again = train(tmp_path / "a", 3).model.state_dict()
    assert all(torch.equal(after[name], again[name]) for name in after)


def test_adapters_need_weights_to_adapt() -> None:
    with pytest.raises(ValidationError, match="expected start_from with lora"):
        TrainConfig(preset="tiny", stages=(StageConfig(name="image", steps=1),), lora=LORA)


def test_adapters_cannot_learn_a_condition_that_is_new(tmp_path: Path) -> None:
    build_pipeline(TINY).save_pretrained(tmp_path / "start")
    plan = TrainConfig(
        preset="tiny",
        stages=(StageConfig(name="image", steps=1, clips=1, frames=1),),
        lora=LORA,
        start_from=str(tmp_path / "start"),
        model_changes={"extensions": {"eyelids": True}},
    )
    with pytest.raises(ValueError, match="expected no new condition in model_changes with lora"):
        run(plan, MovingSquares(), tmp_path / "out")
