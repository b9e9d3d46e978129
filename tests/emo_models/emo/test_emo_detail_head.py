"""The detail head: fresh it changes nothing; what it learns; sizes; a pipeline keeps it and can go without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from emo_scenes import TINY, MovingSquares, awake_model, awake_refiner, speech_like

from emo_models.emo.building import build_autoencoder
from emo_models.emo.extensions.detail_head import DetailHead
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.pipeline import EMOPipeline, SamplingOptions
from emo_models.emo.schedulers import make_scheduler
from emo_models.emo.training.config import DetailTraining
from emo_models.emo.training.detail_training import as_given, detail_batch, train_detail
from emo_models.training.clips import TrainingClip

SMALL = {"width": 8, "blocks": 1}


def awake_head(seed: int = 0) -> DetailHead:
    torch.manual_seed(seed)
    head = DetailHead(**SMALL)
    with torch.no_grad():
        for parameter in head.parameters():
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape))
    return head.eval()


def images(size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(2, 3, size, size, generator=generator),
        torch.rand(2, 3, size, size, generator=generator),
        torch.rand(2, 1, size, size, generator=generator),
    )


def test_a_fresh_one_changes_nothing_at_any_size() -> None:
    for size in (32, 64, 96, 128):
        frames, warped, share = images(size)
        assert torch.equal(DetailHead(**SMALL).applied(frames, warped, share, small=32), frames)


def test_it_works_at_twice_the_size_and_leaves_small_frames_alone() -> None:
    head = awake_head()
    with torch.no_grad():
        frames, warped, share = images(32)
        assert torch.equal(head.applied(frames, warped, share, small=32), frames)
        for size in (48, 64, 100, 128):
            frames, warped, share = images(size)
            found = head.applied(frames, warped, share, small=32)
            assert found.shape == frames.shape
            assert not torch.equal(found, frames)


def re_enacted() -> TrainingClip:
    clip = MovingSquares(1, 8)[0]
    still = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    frames = np.repeat(still[None], 8, 0)
    frames[:, 60:80, 50:70] = (200, 40, 40)
    boxes = {name: 2 * getattr(clip, name) for name in ("mouth_boxes", "eye_boxes", "face_boxes")}
    return replace(clip, frames=frames, portrait=still, **boxes)


def test_it_learns_what_enlarging_blurs(tmp_path: Path) -> None:
    vae, refiner = build_autoencoder(TINY, seed=0), awake_refiner()
    torch.manual_seed(0)
    head = DetailHead(**SMALL)
    config = DetailTraining(steps=30, batch=2, lr=5e-3, warmup=2, ema=0.5, noise=0.0)
    clips = [re_enacted()]
    frames, portraits, _, noise, seed = detail_batch(clips, config, 999)
    given, warped, share = as_given(refiner, vae, frames, portraits, noise, seed)
    before = (given - frames).abs().mean()
    train_detail(head, refiner, vae, config, clips, tmp_path, report=lambda line: None)
    with torch.no_grad():
        after = (given + head(given, warped, share) - frames).abs().mean()
    assert after < 0.9 * before
    with pytest.raises(ValueError, match="re-enacted"):
        train_detail(head, refiner, vae, config, MovingSquares(), tmp_path, report=lambda line: None)


def test_frames_are_chosen_by_the_weights_of_their_clips() -> None:
    clip = re_enacted()
    rare = replace(clip, frames=np.zeros_like(clip.frames), weight=1e-9)
    frames = detail_batch([rare, clip], DetailTraining(batch=12), 0)[0]
    assert (frames.amax((1, 2, 3)) > -1).all()


def test_a_pipeline_keeps_it_and_uses_it_for_large_frames_only(tmp_path: Path) -> None:
    def pipeline(detail: DetailHead | None) -> EMOPipeline:
        return EMOPipeline(
            awake_model(),
            build_autoencoder(TINY, seed=0),
            make_scheduler(TINY.schedule),
            LogMelEncoder(fps=25.0, bands=8, steps=2),
            refiner=awake_refiner(),
            detail=detail,
        )

    portrait = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    pipeline(awake_head()).save_pretrained(tmp_path / "saved")
    kept, without = EMOPipeline.from_pretrained(tmp_path / "saved"), pipeline(None)
    assert kept.detail is not None

    def frames(one: EMOPipeline, size: int | None) -> np.ndarray:
        options = SamplingOptions(steps=1)
        return np.concatenate(list(one.animate(portrait, speech_like(0.2), 16_000, options=options, full_size=size)))

    np.testing.assert_array_equal(frames(kept, None), frames(without, None))
    assert not np.array_equal(frames(kept, 128), frames(without, 128))
    kept.detail = None
    np.testing.assert_array_equal(frames(kept, 128), frames(without, 128))
