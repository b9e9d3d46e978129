"""Training draws the right examples, learns, and continues exactly where it was stopped."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from emo_models.baselines.wav2lip.config import Wav2LipConfig
from emo_models.baselines.wav2lip.mel import mel_spectrogram, mel_windows
from emo_models.baselines.wav2lip.sync_expert import SyncExpert
from emo_models.baselines.wav2lip.training import (
    ExpertTrainer,
    GeneratorTrainer,
    reconstruction_loss,
)
from emo_models.baselines.wav2lip.training_config import TrainOptions
from emo_models.baselines.wav2lip.windows import FaceClip, WindowSampler, face_clip
from emo_models.training.clips import TrainingClip
from emo_models.training.loop import Loop, LoopConfig
from emo_models.training.mouth_reader import box_middle, correlation, read_opening, train_mouth_reader

FPS = Fraction(25)
SMALL = Wav2LipConfig(width=0.05, image_size=48, window_start=-2)


def toy_clip(seed: int, n_frames: int = 40) -> FaceClip:
    """A grey face whose mouth is as open as the sound is loud."""
    random = np.random.default_rng(seed)
    loud = np.clip(np.repeat(random.random(n_frames // 4 + 1), 4)[:n_frames], 0.02, 1)
    opening = np.convolve(loud, [0.25, 0.5, 0.25], mode="same").astype(np.float32)
    samples = (0.5 * np.repeat(loud, 640) * random.uniform(-1, 1, n_frames * 640)).astype(np.float32)
    faces = np.full((n_frames, 48, 48, 3), random.integers(120, 220), dtype=np.uint8)
    rows, columns = np.mgrid[:48, :48]
    for frame, value in enumerate(opening):
        inside = ((rows - 36) / (1 + 8 * value)) ** 2 + ((columns - 24) / 10) ** 2 < 1
        faces[frame, inside] = (150, 20, 40)
    whole = np.tile(np.float32([0, 0, 48, 48]), (n_frames, 1))
    clip = TrainingClip(
        id=f"toy {seed}",
        frames=faces,
        audio=samples,
        mouth_boxes=np.tile(np.float32([12, 27, 36, 45]), (n_frames, 1)),
        eye_boxes=whole,
        face_boxes=whole,
        head_speed=np.zeros(n_frames, np.float32),
        reference_index=0,
        mouth_opening=opening,
    )
    return FaceClip(clip, mel_spectrogram(samples))


def run(trainer: ExpertTrainer | GeneratorTrainer, folder: Path, *, stop: int | None = None) -> Loop:
    """Trains to the last step or to ``stop``."""
    config = LoopConfig(name="t", steps=trainer.options.steps, checkpoint_every=100, identity=trainer.identity())
    loop = Loop(trainer, config, folder, report=lambda line: None, should_stop=lambda: loop.step == stop)
    loop.run()
    return loop


CLIPS = [toy_clip(seed) for seed in range(4)]


def test_generator_examples_are_what_the_paper_says() -> None:
    batch = WindowSampler(CLIPS, SMALL, seed=3).generator_batch(5, batch_size=6, frames=5)
    assert batch.inputs.shape == (6, 6, 5, 48, 48)
    assert batch.frame_mel.shape == (6, 5, 1, 80, 16)
    assert batch.window_mel.shape == (6, 1, 80, 16)
    assert (batch.inputs[:, :3, :, 24:] == 0).all()
    assert torch.equal(batch.inputs[:, :3, :, :24], batch.target[:, :, :, :24])
    assert all(not torch.equal(batch.inputs[i, 3:], batch.target[i]) for i in range(6))  # another time


def test_examples_follow_from_seed_and_step_only() -> None:
    first, second = (WindowSampler(CLIPS, SMALL, seed=3, mirror=True) for _ in range(2))
    first.generator_batch(0, batch_size=9, frames=1)
    assert torch.equal(
        first.generator_batch(7, batch_size=2, frames=1).inputs,
        second.generator_batch(7, batch_size=2, frames=1).inputs,
    )
    assert not torch.equal(
        first.generator_batch(7, batch_size=2, frames=1).inputs, first.generator_batch(8, batch_size=2, frames=1).inputs
    )


def test_expert_examples_belong_together_when_they_say_so() -> None:
    clip = CLIPS[0]
    mels, mouths, labels = WindowSampler([clip], SMALL, seed=1).expert_batch(0, batch_size=32)
    assert mouths.shape == (32, 15, 24, 48)
    assert 4 < labels.sum() < 28
    sampler = WindowSampler([clip], SMALL, seed=1)
    starts = list(range(36))
    stacked = {
        i: torch.from_numpy(clip.faces[i : i + 5, 24:, :, ::-1].transpose(0, 3, 1, 2).copy()).float().flatten(0, 1)
        / 255
        for i in starts
    }
    for mel, mouth, label in zip(mels, mouths, labels, strict=True):
        heard = {i for i in starts if np.array_equal(mel_windows(clip.mel, range(i, i + 1), fps=FPS)[0], mel.numpy())}
        seen = {i for i in starts if torch.allclose(stacked[i], mouth)}
        assert seen
        if label:
            assert heard & seen
    assert sampler.seed == 1


@pytest.mark.parametrize("kind", ["plain", "expert and judge"])
def test_generator_training_continues_bit_for_bit(tmp_path: Path, kind: str) -> None:
    options = TrainOptions(steps=6, batch_size=2, window_frames=1, learning_rate=1e-3, final_rate=0.1)
    if kind != "plain":
        options = TrainOptions(
            steps=6, batch_size=1, learning_rate=1e-3, final_rate=0.1, sync_weight=0.03, quality_weight=0.07
        )

    def fresh() -> GeneratorTrainer:
        torch.manual_seed(5)
        expert = SyncExpert(SMALL) if options.sync_weight else None
        return GeneratorTrainer(SMALL, options, WindowSampler(CLIPS, SMALL), expert=expert)

    whole, first, second = fresh(), fresh(), fresh()
    complete = run(whole, tmp_path / "whole")
    assert complete.step == 6
    assert ("judge" in complete.history[-1][1]) == (kind != "plain")
    assert run(first, tmp_path / "cut", stop=3).step == 3
    assert run(second, tmp_path / "cut").history == complete.history
    for key, value in whole.generator.state_dict().items():
        assert torch.equal(value, second.generator.state_dict()[key]), key


def test_expert_training_continues_bit_for_bit(tmp_path: Path) -> None:
    options = TrainOptions(steps=4, batch_size=2)
    whole, first, second = (ExpertTrainer(SMALL, options, WindowSampler(CLIPS, SMALL)) for _ in range(3))
    run(whole, tmp_path / "whole")
    run(first, tmp_path / "cut", stop=1)
    run(second, tmp_path / "cut")
    assert all(torch.equal(v, second.expert.state_dict()[k]) for k, v in whole.expert.state_dict().items())


def test_a_checkpoint_of_other_options_is_refused(tmp_path: Path) -> None:
    options = TrainOptions(steps=4, batch_size=2, window_frames=1)
    trainer = GeneratorTrainer(SMALL, options, WindowSampler(CLIPS, SMALL))
    run(trainer, tmp_path, stop=1)
    changed = options.model_copy(update={"batch_size": 3})
    with pytest.raises(ValueError, match=r"other settings \(batch_size\)"):
        run(GeneratorTrainer(SMALL, changed, WindowSampler(CLIPS, SMALL)), tmp_path)


@pytest.mark.slow
def test_the_generator_learns_to_move_the_mouth(tmp_path: Path) -> None:
    options = TrainOptions(
        steps=150, batch_size=8, window_frames=1, learning_rate=3e-3, final_rate=0.0, lower_weight=1.0
    )
    trainer = GeneratorTrainer(
        Wav2LipConfig(width=0.1, image_size=48, window_start=-2), options, WindowSampler(CLIPS, SMALL)
    )
    losses = [loss["l1"] for _, loss in run(trainer, tmp_path).history]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_the_expert_is_not_changed_by_the_generator() -> None:
    expert = SyncExpert(SMALL)
    before = {key: value.clone() for key, value in expert.state_dict().items()}
    options = TrainOptions(steps=2, batch_size=1, sync_weight=0.5)
    trainer = GeneratorTrainer(SMALL, options, WindowSampler(CLIPS, SMALL), expert=expert)
    assert {"l1", "sync"} <= set(trainer.train_step(0))
    assert all(torch.equal(value, before[key]) for key, value in expert.state_dict().items())
    assert trainer.generator.audio_encoder[0].conv_block[0].weight.grad is not None


def test_a_batch_of_one_is_refused_before_it_fails_inside() -> None:
    with pytest.raises(ValueError, match="batch_size >= 2"):
        ExpertTrainer(SMALL, TrainOptions(steps=1, batch_size=1), WindowSampler(CLIPS, SMALL))
    with pytest.raises(ValueError, match="more than one frame"):
        GeneratorTrainer(SMALL, TrainOptions(steps=1, batch_size=1, window_frames=1), WindowSampler(CLIPS, SMALL))


def test_clips_without_room_for_a_reference_are_named_before_training() -> None:
    short = [*CLIPS, toy_clip(9, n_frames=12)]
    for frames in (11, 12):
        options = TrainOptions(steps=1, batch_size=2, window_frames=frames)
        with pytest.raises(ValueError, match=f"clip toy 9: expected window_frames = {frames} frames .* 12 frames"):
            GeneratorTrainer(SMALL, options, WindowSampler(short, SMALL))
    WindowSampler(short, SMALL).generator_batch(0, batch_size=20, frames=10)


@pytest.mark.parametrize(("window_start", "heard"), [(0, 36), (-1, 37), (-2, 38)])
def test_every_frame_is_shown_with_audio_of_its_own_time(window_start: int, heard: int) -> None:
    """A window that reaches past the end would be moved back, to audio of other frames."""
    clip = toy_clip(0)
    config = replace(SMALL, window_start=window_start)
    assert clip.heard(window_start) == heard
    batch = WindowSampler([clip], config).generator_batch(0, batch_size=200, frames=1)
    own = [
        torch.from_numpy(mel_windows(clip.mel, range(f, f + 1), fps=FPS, window_start=window_start)) for f in range(40)
    ]
    frames = {next(f for f in range(40) if torch.equal(own[f][0], mel[0])) for mel in batch.frame_mel}
    assert frames == set(range(heard))


@pytest.mark.parametrize(("weight", "betas"), [(0.0, (0.9, 0.999)), (0.07, (0.5, 0.999))])
def test_beside_a_discriminator_the_generator_is_optimised_as_published(
    weight: float, betas: tuple[float, float]
) -> None:
    trainer = GeneratorTrainer(SMALL, TrainOptions(steps=1, quality_weight=weight), WindowSampler(CLIPS, SMALL))
    optimizers = [o for o in (trainer.optimizer, trainer.judge_optimizer) if o is not None]
    assert [optimizer.defaults["betas"] for optimizer in optimizers] == [betas] * (2 if weight else 1)


def test_lower_half_weight() -> None:
    target, painted = torch.zeros(1, 3, 1, 4, 4), torch.zeros(1, 3, 1, 4, 4)
    painted[..., 2:, :] = 1
    assert reconstruction_loss(painted, target).item() == 0.5
    assert reconstruction_loss(painted, target, 2.0).item() == 2.5


@pytest.mark.parametrize(
    "values", [{"steps": 0}, {"sync_weight": 0.6, "quality_weight": 0.6}, {"sync_weight": 0.1, "window_frames": 1}]
)
def test_impossible_options_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected|judge|steps\n"):
        TrainOptions(**{"steps": 5, **values})  # type: ignore[arg-type]


def test_bad_data_and_missing_expert_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        WindowSampler([], SMALL)
    with pytest.raises(ValueError, match="more than 10 frames"):
        WindowSampler([FaceClip(replace(CLIPS[0].clip, frames=CLIPS[0].faces[:9]), CLIPS[0].mel)], SMALL)
    with pytest.raises(ValueError, match="96 pixels"):
        WindowSampler(CLIPS, Wav2LipConfig(width=0.05))
    with pytest.raises(ValueError, match="trained sync expert"):
        GeneratorTrainer(SMALL, TrainOptions(steps=1, sync_weight=0.1), WindowSampler(CLIPS, SMALL))


def test_the_mouth_reader_reads_unseen_faces() -> None:
    reader = train_mouth_reader([clip.clip for clip in CLIPS], steps=150, jitter=2.0)
    unseen = toy_clip(99)
    assert unseen.clip.mouth_opening is not None
    found = read_opening(reader, unseen.faces, box_middle(unseen.clip.mouth_boxes))
    assert correlation(found, unseen.clip.mouth_opening) > 0.9
    assert correlation(np.ones(3), np.arange(3.0)) == 0.0


def test_boxes_follow_the_face_into_its_crop() -> None:
    clip = replace(CLIPS[0].clip, face_boxes=np.tile(np.float32([8, 8, 40, 40]), (40, 1)))
    cropped = face_clip(clip, padding=(0, 0, 0, 0), size=96)
    assert cropped.faces.shape == (40, 96, 96, 3)
    np.testing.assert_allclose(cropped.clip.mouth_boxes[0], [12, 57, 84, 111])
