"""The noise that each segment of a video starts from: a function of the seed and the segment's number, nothing else."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from emo_core.rng import hash_seed

SegmentNoise = Literal["independent", "shared", "reflected"]
"""How the noise of a video's segments is related; see `segment_noise`."""


def segment_noise(seed: int, segment: int, *, shape: tuple[int, ...], kind: SegmentNoise = "independent") -> Tensor:
    """Standard normal noise of one segment, ``float32 [f, ...]``; values within a segment are independent.

    Noise leaves its mark in the frames, so that frames from different noise differ. Segments have

    - ``"independent"`` noise each, as in the paper: the mark changes at every segment boundary;
    - ``"reflected"`` noise: the first segment's frames forwards and backwards in turn. The frames on both sides of a
      boundary bear the same mark, but a whole video has one sample of noise, which decides, say, whether a face blinks;
    - ``"shared"`` noise: their own in the middle and, more and more towards a boundary, what they share with the
      segment beyond it. The mark stays, and every segment has a sample of its own.

    Args:
        seed: Of the video.
        segment: Its number in the video, from 0.
        shape: ``(f, ...)``.
        kind: One of the three.
    """
    if kind == "reflected":
        first = torch.randn(shape, generator=segment_generator(seed, 0))
        return first.flip(0) if segment % 2 else first
    own = torch.randn(shape, generator=segment_generator(seed, segment))
    if kind == "independent":
        return own
    # A boundary's noise counts from the boundary, backwards into the segment before and forwards into the one after.
    before, after = (
        torch.randn(shape, generator=segment_generator(seed, boundary, purpose="emo-border-noise"))
        for boundary in (segment, segment + 1)
    )
    frames = (-1,) + (1,) * (len(shape) - 1)
    shared = boundary_share(shape[0]).view(frames)
    nearer = torch.where((torch.arange(shape[0]) < shape[0] / 2).view(frames), before, after.flip(0))
    return (1 - shared.square()).sqrt() * own + shared * nearer


def boundary_share(frames: int) -> Tensor:
    """How much of each frame's noise comes from the nearer boundary, ``[frames]``; all of it at the boundary.

    >>> [round(float(share), 2) for share in boundary_share(6)]
    [1.0, 0.87, 0.5, 0.5, 0.87, 1.0]
    """
    place = torch.arange(frames)
    distance = torch.minimum(place, frames - 1 - place)
    return torch.cos(torch.pi / 2 * distance / (frames / 2))


def segment_generator(seed: int, segment: int, *, purpose: str = "emo-noise") -> torch.Generator:
    """The CPU generator of one segment's noise: a function of seed, segment and purpose alone."""
    return torch.Generator(device="cpu").manual_seed(hash_seed(purpose, seed, segment) >> 1)
