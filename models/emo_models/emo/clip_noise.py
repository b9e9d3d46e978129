"""The noise that each clip of a video starts from: a function of the seed and the clip's number, nothing else."""

from __future__ import annotations

import hashlib
from typing import Literal

import torch
from torch import Tensor

ClipNoise = Literal["own", "joined", "mirrored"]
"""How the noise of a video's clips hangs together; see `clip_noise`."""


def clip_noise(seed: int, clip: int, *, shape: tuple[int, ...], kind: ClipNoise = "own") -> Tensor:
    """Standard normal noise of one clip, ``float32 [f, ...]``; values within a clip are independent of each other.

    Noise leaves its mark in the picture, so that frames which bear different noise differ. Clips have

    - ``"own"`` noise each, as in the paper: the mark changes at every border;
    - ``"mirrored"``: the first clip's frames forwards and backwards in turn. The frames on both sides of a border bear
      the same mark, but the dice are thrown once for a whole video: whether a face blinks, say;
    - ``"joined"``: their own in the middle and, more and more towards a border, what they share with the clip beyond
      it. The mark stays, and every clip throws its own dice.

    Args:
        seed: Of the video.
        clip: Its number in the video, from 0.
        shape: ``(f, ...)``.
        kind: One of the three.
    """
    if kind == "mirrored":
        first = torch.randn(shape, generator=clip_generator(seed, 0))
        return first.flip(0) if clip % 2 else first
    own = torch.randn(shape, generator=clip_generator(seed, clip))
    if kind == "own":
        return own
    # A border's frames of noise count from the border, backwards into the clip before and forwards into the one after.
    before, after = (
        torch.randn(shape, generator=clip_generator(seed, border, purpose="emo-border-noise"))
        for border in (clip, clip + 1)
    )
    frames = (-1,) + (1,) * (len(shape) - 1)
    shared = border_share(shape[0]).view(frames)
    nearer = torch.where((torch.arange(shape[0]) < shape[0] / 2).view(frames), before, after.flip(0))
    return (1 - shared.square()).sqrt() * own + shared * nearer


def border_share(frames: int) -> Tensor:
    """How much of each frame's noise a joined clip has from its nearer border, ``[frames]``; all of it at the border.

    >>> [round(float(share), 2) for share in border_share(6)]
    [1.0, 0.87, 0.5, 0.5, 0.87, 1.0]
    """
    place = torch.arange(frames)
    distance = torch.minimum(place, frames - 1 - place)
    return torch.cos(torch.pi / 2 * distance / (frames / 2))


def clip_generator(seed: int, clip: int, *, purpose: str = "emo-noise") -> torch.Generator:
    """The CPU generator of one clip's noise: a function of seed, clip and purpose alone."""
    digest = hashlib.sha256(f"{purpose}\x1f{seed}\x1f{clip}".encode()).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
