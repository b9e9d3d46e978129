"""Guidance as part of the weights: the target, where it comes to rest, and what the saved pipeline then says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from emo_scenes import TINY, MovingSquares, awake_model, random_inputs

from emo_models.emo.building import build_autoencoder, build_model, build_pipeline, build_refiner
from emo_models.emo.conditions import ConditionMask
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import EMOPipeline, recommended_sampling
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training import run
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.diagnostics import guidance_reached, probe_batch
from emo_models.emo.training.guidance_distillation import guidance_found, guided_target
from emo_models.emo.training.trainer import Trainer, clip_loss


def stage(steps: int = 2, **options: object) -> StageConfig:
    values = {"lr": 1e-3, "warmup": 1, "clips": 2, "min_snr_gamma": None, "guidance_distillation": 3.0, **options}
    return StageConfig(name="guidance", steps=steps, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    encoder = LogMelEncoder(fps=25.0, bands=8, steps=2)
    return LatentClips(MovingSquares(), build_autoencoder(TINY), encoder, window=1, downsample=8)


@torch.no_grad()
def test_where_guidance_is_built_in_target_and_prediction_agree() -> None:
    """A target equal to the unguided mean: the guided prediction is the one that training leaves alone."""
    model = awake_model()
    inputs = random_inputs()
    noisy, times = inputs.pop("latents"), inputs.pop("timesteps")
    conditional, unconditional = model(noisy, times, **inputs, with_unconditional=True)
    assert torch.equal(conditional, model(noisy, times, **inputs))
    torch.testing.assert_close(unconditional, model(noisy, times, **{**inputs, "audio": None}))
    assert (conditional - unconditional).abs().max() > 1e-3
    conditions = model.prepare(**inputs)
    guidance = Guidance(audio=3.0)
    guided = guidance.combine(
        model.backbone(noisy.repeat(2, 1, 1, 1, 1), times.repeat(2), conditions.for_passes(guidance.passes))
    )
    torch.testing.assert_close(
        guided_target(conditional, guided, unconditional, scale=3.0), guided, atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        guided_target(conditional, conditional, unconditional, scale=3.0),
        conditional + 2 / 3 * (conditional - unconditional),
    )


@torch.no_grad()
def test_samples_without_audio_are_not_pushed() -> None:
    model = awake_model()
    inputs = random_inputs()
    noisy, times = inputs.pop("latents"), inputs.pop("timesteps")
    gates = ConditionMask(audio=torch.tensor([1.0, 0.0]), motion=torch.tensor([1.0, 0.0]))
    conditional, unconditional = model(noisy, times, **inputs, condition_mask=gates, with_unconditional=True)
    push = guided_target(conditional, conditional, unconditional, scale=2.0) - conditional
    assert push[0].abs().max() > 1e-3
    assert push[1].abs().max() < 1e-5


@pytest.mark.parametrize("before", [1.0, 3.0, 6.0])
def test_guidance_comes_to_rest_at_its_scale_from_wherever_it_starts(before: float) -> None:
    """The recursion that the loss follows, with c - u = 1 and u = 0."""
    built_in = before
    for _ in range(60):
        target = guided_target(torch.tensor(1.0), torch.tensor(built_in), torch.tensor(0.0), scale=3.0)
        built_in += 0.5 * (float(target) - built_in)
    assert built_in == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("scale", [1.0, 2.0, 6.0])
def test_guidance_is_found_under_noise_ten_times_its_size(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    unconditional, should_add = (torch.randn(200_000, generator=generator) for _ in range(2))
    target = unconditional + should_add + 10 * torch.randn(200_000, generator=generator)
    sums = guidance_found(target, unconditional + scale * should_add, unconditional)
    assert sums[0] / sums[1] == pytest.approx(scale, rel=0.05)


@torch.no_grad()
def test_a_network_that_adds_twice_as_much_reaches_twice_the_guidance(clips: LatentClips) -> None:
    """With targets that are the network's own conditional prediction, guidance is 1; pushed as for scale 2, it is 2."""
    model = awake_model().eval()
    batch = probe_batch(clips, stage(), model)

    class Pushed(NoiseSchedule):
        """Takes as the truth what the network would be without guidance, if it had the scale built in."""

        scale = 1.0

        def target(self, clean: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            noisy = self.add_noise(clean, noise, times)
            given = {"reference": batch.reference, "motion": batch.motion, "mask": batch.mask}
            conditional, unconditional = (model(noisy, times, **given, audio=audio) for audio in (batch.audio, None))
            made: torch.Tensor = unconditional + (conditional - unconditional) / self.scale
            return made

    pushed = Pushed(TINY.schedule)
    assert guidance_reached(model, [batch], pushed) == pytest.approx(1.0, rel=1e-3)
    pushed.scale = 2.0
    assert guidance_reached(model, [batch], pushed) == pytest.approx(2.0, rel=1e-3)
    assert guidance_reached(build_model(TINY, seed=0).eval(), [batch], pushed) is None


def test_training_strengthens_what_hearing_adds(clips: LatentClips) -> None:
    """One batch with the same noise over and over: what is left between prediction and target goes away."""
    plan = stage(drop_reference=0, drop_audio=0, drop_motion=0, drop_speed=1, white_region=1, reference_margin=0)
    schedule = NoiseSchedule(TINY.schedule)
    batch = clips.batch(plan, frames=4, motion_frames=2, seed=0, step=0)

    def loss(student: EMOModel, guidance: float) -> torch.Tensor:
        return clip_loss(student, batch, plan.model_copy(update={"guidance_distillation": guidance}), schedule,
                         generator=torch.Generator().manual_seed(0))  # fmt: skip

    model = awake_model()
    with torch.no_grad():
        before = float(loss(model, 3.0))
        assert float(loss(model, 1.0)) != pytest.approx(before, rel=1e-3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        loss(model, 3.0).backward()
        optimizer.step()
    with torch.no_grad():
        assert float(loss(model, 3.0)) < 0.5 * before


def test_resumed_training_is_what_it_would_have_been(clips: LatentClips, tmp_path: Path) -> None:
    plan = TrainConfig(preset="tiny", stages=(stage(3),), log_every=1, checkpoint_every=1)

    def trainer(folder: str, *, seed: int, stop: int | None = None) -> Trainer:
        def report(line: str) -> None:
            if stop is not None and len(made.history) == stop:
                raise InterruptedError

        made = Trainer(plan, build_model(TINY, seed=seed), clips, NoiseSchedule(TINY.schedule), tmp_path / folder,
                       report=report)  # fmt: skip
        return made

    whole = trainer("whole", seed=0)
    whole.run()
    with pytest.raises(InterruptedError):
        trainer("cut", seed=0, stop=2).run()
    resumed = trainer("cut", seed=9)
    resumed.run()
    assert resumed.history == whole.history
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_the_saved_pipeline_asks_for_no_pass_that_its_weights_have_built_in(tmp_path: Path) -> None:
    start = tmp_path / "start"
    pipeline = build_pipeline(TINY)
    pipeline.refiner = build_refiner(seed=0)
    pipeline.facts["steps"] = 40
    pipeline.save_pretrained(start)
    plan = TrainConfig(preset="tiny", stages=(stage(),), reader_steps=0, start_from=str(start))
    made = EMOPipeline.from_pretrained(run(plan, MovingSquares(), tmp_path / "out"))
    assert recommended_sampling(made.facts).guidance.audio == 1.0
    assert made.facts["steps"] == 42
    assert made.facts["guidance_distillation"] == 3.0
    # What they say they have is what they were trained for; what they reached is measured, and hardly anything here.
    history = json.loads((tmp_path / "out" / "history.json").read_text("utf-8"))
    assert made.facts["guidance_reached"] == round(history["values"][-1]["guidance_reached"], 2)
    # What a refined pipeline is started from comes along: refiner, autoencoder and speech encoder.
    assert made.refiner is not None
    for name, value in pipeline.vae.state_dict().items():
        assert torch.equal(value, made.vae.state_dict()[name]), name


def test_weights_with_guidance_are_trained_on_in_its_stage_alone(tmp_path: Path) -> None:
    start = tmp_path / "start"
    pipeline = build_pipeline(TINY)
    pipeline.facts["guidance_distillation"] = 2.0
    pipeline.save_pretrained(start)
    video = stage().model_copy(update={"name": "video", "guidance_distillation": 1.0})
    plan = TrainConfig(preset="tiny", stages=(video,), reader_steps=0, start_from=str(start))
    with pytest.raises(ValueError, match=r"expected the stage guidance alone.*guidance 2 built in, found video"):
        run(plan, MovingSquares(), tmp_path / "out")
    made = EMOPipeline.from_pretrained(
        run(plan.model_copy(update={"stages": (stage(),)}), MovingSquares(), tmp_path / "out")
    )
    assert made.facts["guidance_distillation"] == 3.0


def test_only_the_last_stage_may_build_guidance_in() -> None:
    with pytest.raises(ValueError, match="stage guidance"):
        StageConfig(name="video", steps=1, guidance_distillation=2.0)
    with pytest.raises(ValueError, match="last stage"):
        TrainConfig(preset="tiny", stages=(stage(), StageConfig(name="speed", steps=1)))
    with pytest.raises(ValueError, match="style_weights"):
        stage(style_weights={"anime": -1.0})
