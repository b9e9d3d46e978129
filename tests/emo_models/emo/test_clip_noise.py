"""Noise of a video's clips: what it depends on, how it hangs together, and that it stays standard normal."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
import torch

from emo_models.emo.clip_noise import ClipNoise, border_share, clip_noise

SHAPE = (12, 4, 32, 32)


@pytest.mark.parametrize("kind", get_args(ClipNoise))
def test_noise_depends_on_seed_and_clip(kind: ClipNoise) -> None:
    one = clip_noise(5, 1, shape=SHAPE, kind=kind)
    assert torch.equal(one, clip_noise(5, 1, shape=SHAPE, kind=kind))
    for seed, clip in ((6, 1), (5, 2)):
        assert not torch.equal(one, clip_noise(seed, clip, shape=SHAPE, kind=kind))


@pytest.mark.parametrize("kind", ["joined", "mirrored"])
@pytest.mark.parametrize("frames", [12, 5])
def test_frames_on_both_sides_of_a_border_bear_the_same_noise(kind: ClipNoise, frames: int) -> None:
    clips = [clip_noise(5, clip, shape=(frames, 2, 4, 4), kind=kind) for clip in range(4)]
    for before, after in itertools.pairwise(clips):
        assert torch.equal(before[-1], after[0])
        assert not torch.equal(before, after)


@pytest.mark.parametrize("kind", get_args(ClipNoise))
@pytest.mark.parametrize("clip", [0, 3])
def test_noise_is_standard_normal_and_its_frames_are_independent(kind: ClipNoise, clip: int) -> None:
    noise = clip_noise(1, clip, shape=SHAPE, kind=kind).flatten(1)
    together = noise @ noise.T / noise.shape[1]
    torch.testing.assert_close(together, torch.eye(SHAPE[0]), atol=0.07, rtol=0)
    assert abs(float(noise.mean())) < 0.02


def test_joined_clips_share_less_the_further_from_the_border() -> None:
    first, second = (clip_noise(1, clip, shape=SHAPE, kind="joined").flatten(1) for clip in (0, 1))
    alike = [float(a @ b / len(a)) for a, b in zip(first.flip(0), second, strict=True)]
    for distance in range(6):
        assert alike[distance] == pytest.approx(float(border_share(12)[distance]) ** 2, abs=0.07)
    assert max(map(abs, alike[6:])) < 0.07


def test_mirrored_clips_are_the_first_one_forwards_and_backwards() -> None:
    first = clip_noise(3, 0, shape=SHAPE)
    assert torch.equal(clip_noise(3, 1, shape=SHAPE, kind="mirrored"), first.flip(0))
    assert torch.equal(clip_noise(3, 6, shape=SHAPE, kind="mirrored"), first)
