"""Self-forcing: motion frames that the network generates in training; and vocal tract length perturbation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from emo_scenes import TINY, MovingSquares, awake_model, speech_like

from emo_models.emo.audio_encoders import load_audio_encoder
from emo_models.emo.building import build_autoencoder
from emo_models.emo.conditions import ConditionMask
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.schedulers import NoiseSchedule, ScheduleConfig
from emo_models.emo.training import self_forcing
from emo_models.emo.training.batches import EarlierFrames, LatentClips
from emo_models.emo.training.config import StageConfig
from emo_models.emo.training.self_forcing import generated_motion_frames
from emo_models.emo.training.trainer import clip_loss

MEL = LogMelEncoder(fps=25.0, bands=8, steps=2)


def stage(**options: object) -> StageConfig:
    return StageConfig(**{"name": "video", "steps": 1, "clips": 2, "self_forcing": 1.0, **options})


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    return LatentClips(MovingSquares(), build_autoencoder(TINY), MEL, window=1, downsample=8, vtlp_factors=(1.0, 1.1))


def earlier(model: torch.nn.Module, seed: int = 0) -> EarlierFrames:
    g = torch.Generator().manual_seed(seed)
    return EarlierFrames(
        latents=torch.randn(2, 4, 4, 8, 8, generator=g),
        motion=torch.randn(2, 2, 4, 8, 8, generator=g),
        audio=torch.randn(2, 6, 1, 16, generator=g),
        eyelids=torch.zeros(2, 4, 3),
    )


def generated(seed: int = 0, **changes: object) -> torch.Tensor:
    model = awake_model(**changes)
    return generated_motion_frames(
        model,
        earlier(model),
        NoiseSchedule(TINY.schedule),
        reference=torch.ones(2, 4, 8, 8),
        mask=torch.ones(2, 1, 64, 64),
        condition_mask=ConditionMask(motion=torch.zeros(2)),
        generator=torch.Generator().manual_seed(seed),
    )


def test_they_are_the_frames_right_before_the_clip(clips: LatentClips) -> None:
    for step in range(20):
        batch = clips.batch(stage(), frames=4, motion_frames=2, seed=0, step=step)
        assert batch.earlier is not None
        assert batch.motion is not None
        assert torch.equal(batch.earlier.latents[:, -2:], batch.motion)
        for b in range(2):
            found = torch.cat([batch.earlier.motion[b], batch.earlier.latents[b], batch.latents[b]])
            runs = [clip.latents[at : at + 10].float() for clip in clips.clips for at in range(len(clip.latents) - 9)]
            assert any(torch.equal(found, run) for run in runs)


def test_their_sound_is_that_of_their_time_and_voice(clips: LatentClips) -> None:
    batch = clips.batch(stage(), frames=4, motion_frames=2, seed=0, step=0)
    assert batch.earlier is not None
    assert batch.audio is not None
    assert batch.earlier.audio is not None
    # One neighbour on each side: the last two frames of the one window are the first two of the other.
    assert torch.equal(batch.earlier.audio[:, -2:], batch.audio[:, :2])


def test_steps_have_them_at_their_rate_and_all_processes_at_once(clips: LatentClips) -> None:
    def has(step: int, rank: int) -> bool:
        plan = stage(self_forcing=0.3)
        return clips.batch(plan, frames=4, motion_frames=2, seed=0, step=step, rank=rank).earlier is not None

    first = [has(step, 0) for step in range(200)]
    assert 0.2 < np.mean(first) < 0.4
    assert first == [has(step, 1) for step in range(200)]


def test_single_frames_have_none(clips: LatentClips) -> None:
    batch = clips.batch(stage(name="audio"), frames=4, motion_frames=2, seed=0, step=0)
    assert batch.earlier is None


def test_hardly_any_noise_gives_the_real_frames_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_forcing, "LEAST", 0.0)
    monkeypatch.setattr(self_forcing, "MOST", 0.0)
    real = earlier(awake_model()).latents[:, -2:]
    torch.testing.assert_close(generated(), real, atol=0.15, rtol=0)
    monkeypatch.undo()
    assert (generated() - real).abs().mean() > 0.15


def test_the_generator_alone_decides() -> None:
    assert torch.equal(generated(seed=1), generated(seed=1))
    assert not torch.equal(generated(seed=1), generated(seed=2))
    assert not generated().requires_grad


def test_the_loss_is_that_of_the_frames_drawn(clips: LatentClips, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = clips.batch(stage(), frames=4, motion_frames=2, seed=0, step=0)
    model, schedule = awake_model(), NoiseSchedule(TINY.schedule)

    def loss() -> torch.Tensor:
        return clip_loss(model, batch, stage(), schedule, generator=torch.Generator().manual_seed(0))

    own = loss()
    own.backward()
    assert any(p.grad is not None and p.grad.any() for n, p in model.named_parameters() if ".motion_modules." in n)
    monkeypatch.setattr(
        "emo_models.emo.training.trainer.generated_motion_frames", lambda *a, **k: torch.zeros_like(batch.motion)
    )
    assert not torch.equal(loss(), own)


def test_in_half_precision_they_take_no_gradient_from_any_weight(clips: LatentClips) -> None:
    """Weights that autocast rounded while generating, without gradients, must not be those that the loss reads."""
    reached = []
    for share in (0.0, 1.0):
        plan, model = stage(self_forcing=share), awake_model()
        batch = clips.batch(plan, frames=4, motion_frames=2, seed=0, step=0)
        assert (batch.earlier is not None) == bool(share)
        with torch.autocast("cpu", torch.bfloat16):
            generator = torch.Generator().manual_seed(0)
            loss = clip_loss(model, batch, plan, NoiseSchedule(TINY.schedule), generator=generator)
        loss.backward()
        reached.append({name for name, weight in model.named_parameters() if weight.grad is not None})
    assert reached[0] == reached[1]
    assert len(reached[0]) > 500


def test_clips_too_short_for_them_are_named() -> None:
    short = LatentClips(MovingSquares(frames=9), build_autoencoder(TINY), MEL, window=1, downsample=8)
    short.batch(stage(self_forcing=0.0), frames=4, motion_frames=2, seed=0, step=0)
    with pytest.raises(ValueError, match=r"expected clips of at least 10 frames, found none longer than 9"):
        short.batch(stage(), frames=4, motion_frames=2, seed=0, step=0)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_noise_and_clean_frames_of_a_prediction_make_the_noisy_ones(prediction: str) -> None:
    schedule = NoiseSchedule(ScheduleConfig(prediction=prediction, zero_terminal_snr=False))
    g = torch.Generator().manual_seed(0)
    noisy, told = (torch.randn(3, 2, 4, 8, 8, generator=g, dtype=torch.float64) for _ in range(2))
    times = torch.tensor([100, 500, 900])
    again = schedule.add_noise(schedule.clean(noisy, told, times), schedule.noise(noisy, told, times), times)
    torch.testing.assert_close(again, noisy)


def test_another_voice_is_the_same_sound_with_other_frequencies() -> None:
    time = np.arange(16_000) / 16_000

    def loudest(encoder: LogMelEncoder, hertz: float) -> int:
        tone = np.sin(2 * np.pi * hertz * time).astype(np.float32) * 0.5
        return int(encoder.window(tone, 5, 6)[0, 0, : encoder.bands].argmax())

    plain = LogMelEncoder()
    for hertz in (400.0, 1000.0, 2500.0):
        assert loudest(plain.with_vtlp(1.2), hertz) == loudest(plain, 1.2 * hertz)
        assert loudest(plain.with_vtlp(0.8), hertz) == loudest(plain, 0.8 * hertz)
    sound = speech_like(1.0)
    assert torch.equal(plain.with_vtlp(1.2).with_vtlp(1 / 1.2).window(sound, 0, 25), plain.window(sound, 0, 25))
    assert torch.equal(plain.with_vtlp(1.0).window(sound, 0, 25), plain.window(sound, 0, 25))


def test_an_encoder_is_saved_with_its_voice(tmp_path: Path) -> None:
    other, sound = LogMelEncoder(bands=8, steps=2).with_vtlp(1.2), speech_like(1.0)
    other.save(tmp_path)
    assert torch.equal(load_audio_encoder(tmp_path).window(sound, 0, 25), other.window(sound, 0, 25))


def test_samples_hear_one_of_the_voices() -> None:
    records = MovingSquares(clips=1)
    one = LatentClips(records, build_autoencoder(TINY), MEL, window=1, downsample=8)
    two = LatentClips(records, build_autoencoder(TINY), MEL, window=1, downsample=8, vtlp_factors=(1.0, 1.2))
    other = LatentClips(records, build_autoencoder(TINY), MEL, window=1, downsample=8, vtlp_factors=(1.2,))
    plan = stage(self_forcing=0.0, clips=1)
    found = {0: 0, 1: 0}
    for step in range(40):
        a, b, c = (x.batch(plan, frames=4, motion_frames=2, seed=0, step=step).audio for x in (one, two, other))
        assert a is not None
        assert b is not None
        assert c is not None
        assert torch.equal(b, a) or torch.equal(b, c)
        found[int(torch.equal(b, c))] += 1
    assert min(found.values()) > 8


def test_an_encoder_without_other_voices_says_so() -> None:
    class Fixed:
        fps, layers, width = 25.0, 1, 16

        def window(self, samples: np.ndarray, first: int, last: int) -> torch.Tensor:
            return torch.zeros(last - first, 1, 16)

        def save(self, folder: object) -> None: ...

    with pytest.raises(ValueError, match=r"expected vtlp_factors: \[1\] for a Fixed, found the factor 1.1"):
        LatentClips(MovingSquares(), build_autoencoder(TINY), Fixed(), window=1, downsample=8, vtlp_factors=(1.0, 1.1))
