"""Noise of a video's segments: what it depends on, how it hangs together, and that it stays standard normal."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
import torch

from emo_models.emo.extensions.segment_noise import SegmentNoise, boundary_share, segment_noise

SHAPE = (12, 4, 32, 32)


@pytest.mark.parametrize("kind", get_args(SegmentNoise))
def test_noise_depends_on_seed_and_segment(kind: SegmentNoise) -> None:
    one = segment_noise(5, 1, shape=SHAPE, kind=kind)
    assert torch.equal(one, segment_noise(5, 1, shape=SHAPE, kind=kind))
    for seed, segment in ((6, 1), (5, 2)):
        assert not torch.equal(one, segment_noise(seed, segment, shape=SHAPE, kind=kind))


@pytest.mark.parametrize("kind", ["shared", "reflected"])
@pytest.mark.parametrize("frames", [12, 5])
def test_frames_on_both_sides_of_a_boundary_bear_the_same_noise(kind: SegmentNoise, frames: int) -> None:
    segments = [segment_noise(5, segment, shape=(frames, 2, 4, 4), kind=kind) for segment in range(4)]
    for before, after in itertools.pairwise(segments):
        assert torch.equal(before[-1], after[0])
        assert not torch.equal(before, after)


@pytest.mark.parametrize("kind", get_args(SegmentNoise))
@pytest.mark.parametrize("segment", [0, 3])
def test_noise_is_standard_normal_and_its_frames_are_independent(kind: SegmentNoise, segment: int) -> None:
    noise = segment_noise(1, segment, shape=SHAPE, kind=kind).flatten(1)
    together = noise @ noise.T / noise.shape[1]
    torch.testing.assert_close(together, torch.eye(SHAPE[0]), atol=0.07, rtol=0)
    assert abs(float(noise.mean())) < 0.02


def test_shared_noise_fades_with_the_distance_from_the_boundary() -> None:
    first, second = (segment_noise(1, segment, shape=SHAPE, kind="shared").flatten(1) for segment in (0, 1))
    alike = [float(a @ b / len(a)) for a, b in zip(first.flip(0), second, strict=True)]
    for distance in range(6):
        assert alike[distance] == pytest.approx(float(boundary_share(12)[distance]) ** 2, abs=0.07)
    assert max(map(abs, alike[6:])) < 0.07


def test_reflected_segments_are_the_first_one_forwards_and_backwards() -> None:
    first = segment_noise(3, 0, shape=SHAPE)
    assert torch.equal(segment_noise(3, 1, shape=SHAPE, kind="reflected"), first.flip(0))
    assert torch.equal(segment_noise(3, 6, shape=SHAPE, kind="reflected"), first)
