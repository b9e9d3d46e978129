"""Stages, loss, batches and resumable training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from emo_scenes import TINY, MovingSquares, awake_model
from safetensors.torch import load_file

from emo_models.autoencoder.training import AutoencoderTraining
from emo_models.emo.building import build_autoencoder, build_model
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.presets import PRESETS
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training import run
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.config import PresetName, StageConfig, StageName, TrainConfig
from emo_models.emo.training.diagnostics import audio_gap, boundary_score, motion_dependence, probe_batch
from emo_models.emo.training.loss import denoising_loss, draw_timesteps
from emo_models.emo.training.refiner_training import RefinerTraining
from emo_models.emo.training.stages import STAGES, describe, parameter_groups, part_of
from emo_models.emo.training.trainer import Trainer, clip_loss
from emo_models.training.checkpoints import complete_checkpoints


def stage(name: str, steps: int = 2, **options: object) -> StageConfig:
    frames = 3 if name in {"image", "audio"} else 0
    return StageConfig(
        **{"name": name, "steps": steps, "clips": 2, "frames": frames, "lr": 1e-3, "warmup": 1, **options}
    )


def config(*stages: StageConfig, **options: object) -> TrainConfig:
    return TrainConfig(**{"preset": "tiny", "stages": stages, "log_every": 1, "checkpoint_every": 1, **options})


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    encoder = LogMelEncoder(fps=25.0, bands=8, steps=2)
    return LatentClips(MovingSquares(), build_autoencoder(TINY), encoder, window=1, downsample=8)


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("image", {"image"}),
        ("audio", {"image", "audio"}),
        ("video", {"image", "audio", "temporal"}),
        ("speed", {"temporal", "speed"}),
        ("guidance", {"image", "audio", "temporal", "speed"}),
    ],
)
def test_each_stage_trains_exactly_its_parts(clips: LatentClips, tmp_path: Path, name: str, trained: set[str]) -> None:
    model = awake_model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    Trainer(config(stage(name)), model, clips, NoiseSchedule(TINY.schedule), tmp_path, report=lambda line: None).run()
    parameters = dict(model.named_parameters())
    changed = {part_of(k) for k, v in model.state_dict().items() if k in parameters and (v != before[k]).any()}
    assert changed == trained


def test_video_stage_can_freeze_what_was_trained_before() -> None:
    model = build_model(TINY)
    parameter_groups(model, "video", backbone_lr_scale=0.0)
    assert {part_of(n) for n, p in model.named_parameters() if p.requires_grad} == {"audio", "temporal"}
    text = describe(model, "video", backbone_lr_scale=0.0)
    assert "image" in text
    assert text.count("frozen") == 2


def test_every_parameter_belongs_to_a_stage() -> None:
    parts = {part for declared in STAGES.values() for part in declared.new}
    assert {part_of(name) for name, _ in build_model(TINY).named_parameters()} == parts


def test_min_snr_weighs_each_sample_before_the_mean() -> None:
    target = torch.zeros(2, 1, 1, 2, 2)
    prediction = torch.stack([torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0)])
    empty = torch.zeros(2, 1, 2, 2)
    loss = denoising_loss(
        prediction, target, mouth=empty, eyes=empty, mouth_weight=0, eye_weight=0, snr_weight=torch.tensor([1.0, 0.5])
    )
    assert float(loss) == pytest.approx((1 * 1 + 4 * 0.5) / 2)


def test_mouth_weight_adds_the_mean_over_the_mouth() -> None:
    target = torch.zeros(1, 1, 1, 2, 2)
    prediction = torch.zeros(1, 1, 1, 2, 2)
    prediction[..., 0, 0] = 2.0
    mouth = torch.zeros(1, 1, 2, 2)
    mouth[..., 0, 0] = 1.0
    loss = denoising_loss(
        prediction, target, mouth=mouth, eyes=mouth * 0, mouth_weight=0.5, eye_weight=0.5, snr_weight=None
    )
    assert float(loss) == pytest.approx(1.0 + 0.5 * 4.0)


def test_min_snr_keeps_training_the_last_step_of_a_zero_snr_schedule() -> None:
    weights = NoiseSchedule(TINY.schedule).min_snr_weight(torch.tensor([0, 500, 999]), gamma=5.0)
    assert weights[2] == 1.0
    assert (weights > 0).all()
    assert weights[0] < weights[1]


def test_logit_normal_times_gather_in_the_middle() -> None:
    times = draw_timesteps((4000,), kind="logit_normal", train_steps=1000, mean=0.0, std=1.0,
                           generator=torch.Generator().manual_seed(0))  # fmt: skip
    assert 0.45 < float(((times > 300) & (times < 700)).float().mean()) < 0.75
    assert times.min() >= 0
    assert times.max() <= 999


def test_a_batch_depends_on_its_step_only(clips: LatentClips) -> None:
    first, again = (clips.batch(stage("video"), frames=4, motion_frames=2, seed=0, step=7) for _ in range(2))
    other = clips.batch(stage("video"), frames=4, motion_frames=2, seed=0, step=8)
    torch.testing.assert_close(first.latents, again.latents, atol=0, rtol=0)
    assert (first.latents != other.latents).any()


def test_motion_frames_come_right_before_the_clip_and_the_reference_from_afar(clips: LatentClips) -> None:
    batch = clips.batch(stage("video", reference_margin=4), frames=4, motion_frames=2, seed=0, step=1)
    assert batch.motion is not None
    for row in range(2):
        places = [
            (clip.latents.float(), start)
            for clip in clips.clips
            for start in range(2, len(clip.latents) - 3)
            if torch.equal(clip.latents[start : start + 4].float(), batch.latents[row])
        ]
        assert any(torch.equal(latents[at - 2 : at], batch.motion[row]) for latents, at in places)


def test_still_motion_frames_are_the_last_one_before_the_clip(clips: LatentClips) -> None:
    moving = clips.batch(stage("video", still_motion=0.0), frames=4, motion_frames=2, seed=0, step=1).motion
    still = clips.batch(stage("video", still_motion=1.0), frames=4, motion_frames=2, seed=0, step=1).motion
    assert moving is not None
    assert still is not None
    assert torch.equal(still, moving[:, -1:].expand_as(moving))
    assert (moving[:, 0] != moving[:, 1]).any()


def test_styles_are_drawn_as_often_as_asked(clips: LatentClips) -> None:
    def sampled(**weights: float) -> float:
        plan = stage("video", style_weights=weights, reference_margin=0)
        batches = [clips.batch(plan, frames=4, motion_frames=2, seed=0, step=step) for step in range(60)]
        anime = clips.clips[0].latents.float()
        own = [bool((anime == reference).flatten(1).all(1).any()) for b in batches for reference in b.reference]
        return float(np.mean(own))

    assert sampled() == pytest.approx(1 / 3, abs=0.12)
    assert sampled(anime=6.0) == pytest.approx(6 / 8, abs=0.12)
    assert sampled(photo=0.0) == 1.0
    with pytest.raises(ValueError, match="weight above 0"):
        sampled(photo=0.0, anime=0.0)


def test_blinks_are_drawn_as_often_as_asked(clips: LatentClips) -> None:
    closed = [clip.latents[np.asarray(clip.record.eye_closure) > 0.5].float() for clip in clips.clips]

    def blinking(latents: torch.Tensor) -> bool:
        return any(torch.equal(frame, shut) for frame in latents for eyes in closed for shut in eyes)

    def sampled(share: float, steps: int = 10**6) -> float:
        plan = stage("video", steps, blink_share=share, reference_margin=0)
        batches = [clips.batch(plan, frames=4, motion_frames=2, seed=0, step=step) for step in range(60)]
        return float(np.mean([blinking(latents) for batch in batches for latents in batch.latents]))

    # Of the 15 windows of 4 frames that a clip has, 5 hold a blink's first or second frame (4 where it comes early).
    anywhere = (4 + 5 + 5) / 45
    assert sampled(0.0) == pytest.approx(anywhere, abs=0.12)
    assert sampled(0.5) == pytest.approx(0.5 + 0.5 * anywhere, abs=0.12)
    assert sampled(1.0) == 1.0
    assert sampled(1.0, steps=60) == pytest.approx(0.5 + 0.5 * anywhere, abs=0.12)
    with pytest.raises(ValueError, match="blink_share"):
        stage("video", blink_share=1.5)


def test_conditions_are_dropped_at_their_rates(clips: LatentClips) -> None:
    all_dropped = stage("speed", drop_reference=1.0, drop_audio=1.0, drop_motion=1.0, drop_speed=1.0)
    batch = clips.batch(all_dropped, frames=4, motion_frames=2, seed=0, step=0)
    assert all(not gate.any() for gate in batch.condition_mask.values())
    none_dropped = stage("speed", drop_reference=0, drop_audio=0, drop_motion=0, drop_speed=0)
    batch = clips.batch(none_dropped, frames=4, motion_frames=2, seed=0, step=0)
    assert all(gate.all() for gate in batch.condition_mask.values())


def test_motion_dependence_is_seen_in_eval_mode(clips: LatentClips) -> None:
    model = awake_model()
    batch = probe_batch(clips, stage("video"), model)
    assert motion_dependence(model.eval(), batch, NoiseSchedule(TINY.schedule)) > 1e-4


def test_the_gap_to_other_audio_is_left_out_where_there_is_no_other_clip(clips: LatentClips) -> None:
    model, schedule = awake_model().eval(), NoiseSchedule(TINY.schedule)
    assert audio_gap(model, probe_batch(clips, stage("audio"), model), schedule)["audio_gap"] != 0
    assert set(audio_gap(model, probe_batch(clips, stage("audio", clips=1), model), schedule)) == {"guidance_energy"}


def test_boundary_score_is_one_for_even_motion_and_large_for_a_jump() -> None:
    even = np.arange(24, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    assert boundary_score(even, segment_frames=12) == pytest.approx(1.0)
    jump = even.copy()
    jump[12:] += 50
    assert boundary_score(jump, segment_frames=12) > 10
    with pytest.raises(ValueError, match="more than 12"):
        boundary_score(even[:12], segment_frames=12)


class StoppedError(Exception):
    """Stands for anything that ends a process between two checkpoints."""


def stop_at(trainer: Trainer, steps: int) -> None:
    if len(trainer.history) == steps + 1:
        raise StoppedError


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_stopped_and_resumed_training_is_bit_exact(clips: LatentClips, tmp_path: Path, optimizer: str) -> None:
    plan = config(stage("audio"), stage("video", self_forcing=1.0), optimizer=optimizer)

    def trainer(folder: Path, model_seed: int = 0) -> Trainer:
        return Trainer(plan, build_model(TINY, seed=model_seed), clips, NoiseSchedule(TINY.schedule), folder,
                       report=lambda line: None)  # fmt: skip

    whole = trainer(tmp_path / "whole")
    whole.run()
    for stop in (2, 3):
        cut = trainer(tmp_path / f"cut-{stop}")
        cut.loop.report = lambda line, cut=cut, at=stop: stop_at(cut, at)
        with pytest.raises(StoppedError):
            cut.run()
        # Another seed for the fresh weights: everything must come from the checkpoint.
        resumed = trainer(tmp_path / f"cut-{stop}", model_seed=9)
        resumed.run()
        assert resumed.history == whole.history
        for name, value in whole.model.state_dict().items():
            assert torch.equal(value, resumed.model.state_dict()[name]), name
        for name, value in whole.average.tensors.items():
            assert torch.equal(value, resumed.average.tensors[name]), name


def test_a_stage_goes_on_from_the_averaged_weights(clips: LatentClips, tmp_path: Path) -> None:
    def trained(*stages: StageConfig, folder: str) -> Trainer:
        plan = config(*stages, ema=0.9)
        trainer = Trainer(plan, build_model(TINY), clips, NoiseSchedule(TINY.schedule), tmp_path / folder,
                          report=lambda line: None)  # fmt: skip
        trainer.run()
        return trainer

    video, both = trained(stage("video"), folder="one"), trained(stage("video"), stage("speed"), folder="two")
    frozen = [name for name in video.average.tensors if part_of(name) in {"image", "audio"}]
    for name in frozen:
        kept = video.average.tensors[name]
        assert torch.equal(both.model.state_dict()[name], kept), name
        torch.testing.assert_close(both.average.tensors[name], kept)
    assert any(not torch.equal(video.model.state_dict()[name], video.average.tensors[name]) for name in frozen)


def test_run_makes_a_pipeline_that_loads(tmp_path: Path) -> None:
    plan = config(stage("image"), stage("speed"), autoencoder=AutoencoderTraining(steps=2, batch=2), reader_steps=0,
                  refiner=RefinerTraining(steps=2, batch=2, clips=2, rounds=1), weights_dtype="float16")  # fmt: skip
    folder = run(plan, MovingSquares(), tmp_path, held_out=MovingSquares())
    pipeline = EMOPipeline.from_pretrained(folder)
    assert pipeline.refiner is not None
    frames = pipeline(np.zeros((64, 64, 3), np.uint8), np.zeros(3200, np.float32), steps=2).frames
    assert frames.shape == (5, 64, 64, 3)
    saved = load_file(folder / "model" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float16}
    assert (tmp_path / "loss.png").stat().st_size > 1000
    assert (tmp_path / "refiner" / "refined.png").stat().st_size > 1000
    assert len(json.loads((tmp_path / "history.json").read_text())["loss"]) == 4


CHILD = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
torch.set_num_threads(1)
from emo_scenes import MovingSquares
from emo_models.emo.training import run
from emo_models.emo.training.config import TrainConfig
import json
plan = TrainConfig.model_validate_json(json.dumps({plan!r}), strict=True)
run(plan, MovingSquares(), Path({out!r}))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    plan = {
        "preset": "tiny",
        "stages": [{"name": "audio", "steps": 15, "clips": 2, "frames": 3, "lr": 1e-3}],
        "autoencoder": {"steps": 2, "batch": 2},
        "checkpoint_every": 1,
        "reader_steps": 0,
    }

    def start(folder: str) -> subprocess.Popen[bytes]:
        code = CHILD.format(tests=str(Path(__file__).parent), plan=plan, out=str(tmp_path / folder))
        return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})

    assert start("whole").wait() == 0
    child = start("killed")
    deadline = time.monotonic() + 240
    while len(complete_checkpoints(tmp_path / "killed" / "checkpoints")) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert start("killed").wait() == 0
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("whole", "killed")]
    assert histories[0] == histories[1]
    weights = [
        (tmp_path / name / "pipeline" / "model" / "diffusion_pytorch_model.safetensors").read_bytes()
        for name in ("whole", "killed")
    ]
    assert weights[0] == weights[1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_clip_can_be_learned_by_heart() -> None:
    torch.set_num_threads(1)
    encoder = LogMelEncoder(fps=25.0, bands=8, steps=2)
    one = LatentClips(MovingSquares(clips=1), build_autoencoder(TINY), encoder, window=1, downsample=8)
    schedule = NoiseSchedule(TINY.schedule)
    plan = stage("video", drop_reference=0, drop_audio=0, drop_motion=0, min_snr_gamma=None, reference_margin=0)
    model = build_model(TINY)
    steps = 600
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - 0.95 * step / steps)
    losses = []
    for step in range(steps):
        batch = one.batch(plan, frames=4, motion_frames=2, seed=0, step=step)
        loss = clip_loss(model, batch, plan, schedule, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falling.step()
        losses.append(loss.item())
    assert np.mean(losses[-30:]) < 0.15 * np.mean(losses[:10])


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"steps": 1, "mouth_wieght": 1}, "mouth_wieght"),
        ({"steps": "3"}, "steps"),
        ({"steps": 1, "clips": -4}, "clips"),
        ({"steps": 1, "name": "four"}, "name"),
        ({"steps": 1, "logit_std": 0.0}, "logit_std"),
    ],
)
def test_config_names_wrong_fields(values: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        StageConfig.model_validate_json(json.dumps({"name": "image", **values}), strict=True)


def test_every_preset_can_be_named() -> None:
    assert set(get_args(PresetName)) == set(PRESETS)
    assert set(get_args(StageName)) == set(STAGES)


def test_stills_join_the_image_stage_and_no_other(tmp_path: Path) -> None:
    squares = MovingSquares(clips=2)
    boxes = ("mouth_boxes", "eye_boxes", "face_boxes", "head_speed", "frames")
    still = replace(
        squares.records[1],
        **{name: getattr(squares.records[1], name)[:1] for name in boxes},
        id="still",
        audio=np.zeros(0, np.float32),
        mouth_opening=None,
        eye_closure=None,
        weight=1e6,
    )
    squares.records.append(still)
    encoder = LogMelEncoder(fps=25.0, bands=8, steps=2)
    clips = LatentClips(squares, build_autoencoder(TINY), encoder, window=1, downsample=8)
    image = clips.batch(stage("image", frames=1), frames=1, motion_frames=2, seed=0, step=0)
    assert all(torch.equal(row[0], clips.clips[2].latents[0].float()) for row in image.latents)
    for name in ("audio", "video"):
        other = clips.batch(stage(name), frames=4, motion_frames=2, seed=0, step=0)
        assert all(not torch.equal(row[0], clips.clips[2].latents[0].float()) for row in other.latents)


def test_clips_are_chosen_by_weight() -> None:
    squares = MovingSquares()
    squares.records = [replace(r, weight=w) for r, w in zip(squares.records, (0.0, 0.0, 3.0), strict=True)]
    encoder = LogMelEncoder(fps=25.0, bands=8, steps=2)
    clips = LatentClips(squares, build_autoencoder(TINY), encoder, window=1, downsample=8)
    batch = clips.batch(stage("video"), frames=4, motion_frames=2, seed=0, step=3)
    third = clips.clips[2].latents.float()
    assert all((third == reference).flatten(1).all(1).any() for reference in batch.reference)
