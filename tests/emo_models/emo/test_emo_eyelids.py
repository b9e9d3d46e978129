"""Eyelids as a condition: planned blinks, a model that is told of them, and training that teaches it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from emo_scenes import TINY, MovingSquares, awake_model, random_inputs, speech_like
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emo_models.emo.building import build_autoencoder, build_pipeline, extended, preset_named
from emo_models.emo.extensions.eyelids import USUAL_PER_MINUTE, around_each_frame, planned_closure
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.pipeline import EMOPipeline, SamplingOptions, recommended_sampling
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training import run
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.pipeline_facts import recommended
from emo_models.emo.training.trainer import clip_loss

EYELIDS = {"extensions": {"eyelids": True}}
MEL = LogMelEncoder(fps=25.0, bands=8, steps=2)


def blinks(closure: np.ndarray) -> np.ndarray:
    """The first frames of blinks."""
    closed = np.concatenate([[False], closure > 0.5])
    return np.flatnonzero(closed[1:] & ~closed[:-1])


@given(
    first=st.integers(-5, 4000),
    length=st.integers(0, 200),
    seed=st.integers(0, 2**32 - 1),
    rate=st.floats(0, 60),
    fps=st.sampled_from([25.0, 30.0]),
)
@example(first=0, length=1, seed=0, rate=5e-324, fps=25.0)
@settings(max_examples=60, deadline=None)
def test_a_stretch_is_the_same_wherever_it_is_asked_for(
    first: int, length: int, seed: int, rate: float, fps: float
) -> None:
    whole = planned_closure(-5, first + length, seed=seed, per_minute=rate, fps=fps)
    part = planned_closure(first, first + length, seed=seed, per_minute=rate, fps=fps)
    np.testing.assert_array_equal(part, whole[first + 5 :])
    assert part.dtype == np.float32
    assert ((part >= 0) & (part <= 1)).all()


@pytest.mark.parametrize("rate", [1.0, 17.0, 60.0])
def test_blinks_come_at_the_rate_that_is_asked_for_and_apart(rate: float) -> None:
    minutes = 60
    times = blinks(planned_closure(0, minutes * 60 * 25, seed=1, per_minute=rate, fps=25.0)) / 25
    assert len(times) == pytest.approx(rate * minutes, abs=1)
    gaps = np.diff(times) * rate / 60
    assert gaps.min() > 0.2
    assert gaps.std() > 0.15, "blinks at a fixed interval look like a clock's"


def test_seeds_blink_at_other_times() -> None:
    plans = [planned_closure(0, 500, seed=seed, per_minute=17, fps=25.0) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(plans[0], plans[1])
    assert (plans[0] != plans[2]).any()
    assert not planned_closure(0, 500, seed=0, per_minute=0, fps=25.0).any()


def test_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 60 blinks a minute, found 61"):
        planned_closure(0, 10, seed=0, per_minute=61, fps=25.0)
    with pytest.raises(ValueError, match="expected 0 to 60 blinks a minute, found -1"):
        SamplingOptions(blinks=-1)


def test_each_frame_sees_its_neighbours() -> None:
    around = around_each_frame(np.arange(6, dtype=np.float32), window=1)
    assert around.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


def predict(model: torch.nn.Module, eyelids: torch.Tensor | None) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = model(**random_inputs(), eyelids=eyelids)
    return out


def test_open_eyes_contribute_nothing_and_closed_ones_change_their_own_frames_most() -> None:
    model = awake_model(**EYELIDS)
    without = predict(model, None)
    assert torch.equal(predict(model, torch.zeros(2, 4, 3)), without)
    closure = torch.zeros(2, 4, 3)
    closure[:, 1] = 1.0
    change = (predict(model, closure) - without).square().mean((0, 2, 3, 4))
    assert change[1] > 4 * change[[0, 2, 3]].max() > 0


def test_a_trained_model_gets_the_condition_and_computes_what_it_did() -> None:
    before = awake_model(seed=3)
    after = extended(before, EYELIDS).eval()
    assert after.architecture.extensions.eyelids
    for closure in (0.0, 1.0):
        torch.testing.assert_close(predict(after, torch.full((2, 4, 3), closure)), predict(before, None))
    assert extended(after, EYELIDS) is after
    assert extended(before, {}) is before


def test_weights_cannot_be_given_another_size() -> None:
    with pytest.raises(ValueError, match="expected no model_changes beside extensions"):
        extended(awake_model(), {"unet": {"heads": 4}})


def test_guidance_passes_all_know_the_eyelids() -> None:
    model = awake_model(**EYELIDS)
    inputs = {k: v for k, v in random_inputs().items() if k not in {"latents", "timesteps"}}
    conditions = model.prepare(**inputs, eyelids=torch.ones(2, 4, 3))
    assert conditions.eyelids is not None
    passes = Guidance(audio=2.0, reference=2.0).passes
    stacked = conditions.for_passes(passes)
    assert len(passes) > 1
    assert stacked.eyelids is not None
    assert torch.equal(stacked.eyelids, conditions.eyelids.repeat(len(passes), 1, 1))
    strengthened = conditions.for_passes(Guidance(eyelids=2.0).passes).eyelids
    assert strengthened is not None
    assert not strengthened[:2].any(), "eyes are open in the first pass"
    assert torch.equal(strengthened[2:], conditions.eyelids)


def test_guidance_pushes_away_from_open_eyes_and_costs_nothing_where_no_blink_is_due() -> None:
    model = awake_model(**EYELIDS)
    pipeline = build_pipeline(preset_named("tiny"))
    pipeline.model = model
    inputs = {k: v for k, v in random_inputs().items() if k not in {"latents", "timesteps"}}
    noise = random_inputs()["latents"]
    passes: list[int] = []
    model.backbone.register_forward_pre_hook(lambda _, given: passes.append(len(given[0]) // len(noise)))

    def denoised(closure: float, scale: float) -> torch.Tensor:
        conditions = model.prepare(**inputs, eyelids=torch.full((2, 4, 3), closure))
        return pipeline.denoise(noise, conditions, SamplingOptions(steps=1, guidance=Guidance(eyelids=scale)))

    opened, closed, further = denoised(0.0, 2.0), denoised(1.0, 1.0), denoised(1.0, 2.0)
    assert passes == [1, 1, 2]
    torch.testing.assert_close(further - opened, 2 * (closed - opened), atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    return LatentClips(MovingSquares(), build_autoencoder(TINY), MEL, window=1, downsample=8)


@pytest.mark.parametrize("name", ["audio", "video", "guidance"])
def test_batches_have_the_labels_around_each_frame(clips: LatentClips, name: str) -> None:
    plan = StageConfig(name=name, steps=1, clips=3, self_forcing=1.0 if name == "video" else 0.0)
    seen = 0.0
    for step in range(8):
        batch = clips.batch(plan, frames=4, motion_frames=2, seed=0, step=step)
        assert batch.eyelids.shape == (3, 4, 3)
        for b in range(3):
            frames = [
                (clip, t)
                for clip in clips.clips
                for t in range(len(clip.latents))
                if torch.equal(clip.latents[t].float(), batch.latents[b, 0])
            ]
            wanted = [clip.record.eye_closure[max(t, 0)] for clip, t in frames if clip.record.eye_closure is not None]
            assert float(batch.eyelids[b, 0, 1]) in wanted
        seen += float(batch.eyelids.sum())
        if batch.earlier is not None:
            assert torch.equal(batch.earlier.eyelids[:, -1, 1:], batch.eyelids[:, 0, :2])
    assert seen > 0


def test_clips_without_labels_have_open_eyes() -> None:
    data = MovingSquares(clips=2)
    data.records = [dataclasses.replace(record, eye_closure=None) for record in data.records]
    unknown = LatentClips(data, build_autoencoder(TINY), MEL, window=1, downsample=8)
    batch = unknown.batch(StageConfig(name="video", steps=1, clips=2), frames=4, motion_frames=2, seed=0, step=0)
    assert not batch.eyelids.any()


@pytest.mark.parametrize("name", ["video", "guidance"])
def test_the_loss_teaches_what_closed_eyes_mean(clips: LatentClips, name: str) -> None:
    model = extended(awake_model(seed=5), EYELIDS)
    plan = StageConfig(
        name=name, steps=1, clips=2, blink_share=1.0, guidance_distillation=2.0 if name != "video" else 1.0
    )
    batch = clips.batch(plan, frames=4, motion_frames=2, seed=0, step=0)
    assert batch.eyelids.any()
    clip_loss(model, batch, plan, NoiseSchedule(TINY.schedule), generator=torch.Generator().manual_seed(0)).backward()
    readers = [weight for name, weight in model.backbone.named_parameters() if name.endswith("time_emb_proj.weight")]
    assert readers
    for weight in readers:
        assert not weight[:, -3:].any()
        assert weight.grad is not None
        assert weight.grad[:, -3:].any()


@pytest.fixture(scope="module")
def pipeline() -> EMOPipeline:
    built = build_pipeline(TINY)
    built.model = awake_model(**EYELIDS)
    return built


def test_a_video_changes_where_a_blink_is_planned(pipeline: EMOPipeline) -> None:
    portrait = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    audio = speech_like(2.0)
    still, blinking = (
        pipeline(portrait, audio, seed=2, options=SamplingOptions(steps=2, blinks=rate)).frames for rate in (0.0, 30.0)
    )
    planned = planned_closure(0, len(still), seed=2, per_minute=30.0, fps=25.0)
    first = int(blinks(planned)[0])
    segment = pipeline.model.architecture.segment
    untouched = max((first - 3 - segment.window) // segment.frames, 0) * segment.frames
    np.testing.assert_array_equal(still[:untouched], blinking[:untouched])
    assert (still[first] != blinking[first]).any()


def test_weights_that_cannot_be_asked_to_blink_say_so() -> None:
    with pytest.raises(ValueError, match="expected blinks: 0 for weights without the extension 'eyelids', found 17"):
        build_pipeline(TINY)(
            np.zeros((64, 64, 3), np.uint8), speech_like(0.2), options=SamplingOptions(steps=1, blinks=17)
        )


def test_training_adds_the_condition_and_says_how_to_sample(tmp_path: Path) -> None:
    start = build_pipeline(TINY)
    start.facts |= {
        "sampling": {"steps": 5, "segment_noise": "shared"},
        "framing": {"side": 1.5},
        "trained_on": "a set",
    }
    start.save_pretrained(tmp_path / "start")
    plan = TrainConfig(
        preset="tiny",
        stages=(StageConfig(name="image", steps=1, clips=1, frames=2, warmup=1),),
        reader_steps=0,
        start_from=str(tmp_path / "start"),
        model_changes=EYELIDS,
        sampling={"steps": 3},
    )
    made = EMOPipeline.from_pretrained(run(plan, MovingSquares(), tmp_path / "out"))
    assert made.model.architecture.extensions.eyelids
    said = recommended_sampling(made.facts)
    assert (said.steps, said.segment_noise, said.blinks) == (3, "shared", USUAL_PER_MINUTE)
    assert made.facts["framing"] == {"side": 1.5}
    assert made.facts["trained_on"] == "a set; then 3 other clips"


def test_guidance_that_is_unlearnt_is_a_pass_again() -> None:
    before = {"guidance_distillation": 2.0, "sampling": {"audio_guidance": 1.0, "steps": 4}}
    preset = preset_named("emo-synth")

    def audio_guidance(**stage: object) -> float:
        plan = TrainConfig(preset="emo-synth", stages=(StageConfig(**{"steps": 1, **stage}),), unlearn_guidance=True)
        said = recommended(plan, preset, before, awake_model())
        assert said["steps"] == 4
        return float(said["audio_guidance"])

    assert audio_guidance(name="video") == preset.sampling["audio_guidance"] != 1.0
    assert audio_guidance(name="guidance", guidance_distillation=2.0) == 1.0


def test_a_word_of_sampling_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="stesp"):
        TrainConfig(preset="tiny", stages=(StageConfig(name="image", steps=1),), sampling={"stesp": 3})
