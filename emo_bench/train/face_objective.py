"""Training objectives of the face locator and the face reader of the synth family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from emo_bench.train.distortions import FRAME_KINDS, damaged_frames
from emo_metrics.synth.face_network import (
    FRAME_SIDE,
    LOCATE_SIDE,
    FaceLocator,
    FaceReader,
    crops,
    placement_of,
    points_to_crop,
)
from emo_metrics.synth.layers import to_square
from emo_models.training.clips import TrainingClip

_POSED_SHARE: Final = 0.6


@dataclass(frozen=True, eq=False)
class FaceSamples:
    """All frames of the training clips and what they show.

    Attributes:
        clips: Where the frames lie.
        where: ``int64 [N, 2]``: clip and frame of each sample.
        points: ``float32 [N, 68, 2]`` in shares of the frame.
        expression: ``float32 [N, 26]``.
        pose: ``float32 [N, 3]``: yaw, pitch, roll in degrees.
        mouth: ``float32 [N, 3]``: opening, width, rounding.
        identity: ``int64 [N]``.
        n_identities: How many there are.
    """

    clips: Sequence[TrainingClip]
    where: torch.Tensor
    points: torch.Tensor
    expression: torch.Tensor
    pose: torch.Tensor
    mouth: torch.Tensor
    identity: torch.Tensor
    n_identities: int

    def frames(self, index: torch.Tensor) -> torch.Tensor:
        """``float32 [n, 3, 128, 128]`` in [0, 1], as the networks get frames of any size in use."""
        rows = [self.clips[int(c)].frames[int(t)] for c, t in self.where[index]]
        return to_square(np.stack(rows), FRAME_SIDE)


def face_samples(clips: Sequence[TrainingClip]) -> FaceSamples:
    """Joins the labels of clips."""

    def joined(name: str) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([clip.labels[name] for clip in clips]).astype(np.float32))

    names = sorted({clip.identity for clip in clips})
    sizes = np.concatenate([np.full(len(clip.frames), clip.frames.shape[1]) for clip in clips]).astype(np.float32)
    mouth = [joined("mouth_opening"), joined("mouth_width"), joined("mouth_rounding")]
    return FaceSamples(
        clips=clips,
        where=torch.tensor([(c, t) for c, clip in enumerate(clips) for t in range(len(clip.frames))]),
        points=joined("landmarks68") / torch.from_numpy(sizes)[:, None, None],
        expression=joined("expression"),
        pose=joined("pose")[:, :3],
        mouth=torch.stack(mouth, dim=1),
        identity=torch.tensor([names.index(clip.identity) for clip in clips for _ in clip.frames]),
        n_identities=len(names),
    )


def pick(count: int, batch: int, generator: torch.Generator) -> torch.Tensor:
    """``batch`` random indices below ``count``."""
    return torch.randint(0, count, (batch,), generator=generator)


def varied(x: torch.Tensor, generator: torch.Generator, *, groups: int = 8) -> torch.Tensor:
    """Brightness and contrast of every image vary; about half of them are mildly damaged."""
    n = len(x)
    gain = 1 + 0.2 * torch.randn(n, 1, 1, 1, generator=generator)
    shade = 0.08 * torch.randn(n, 3, 1, 1, generator=generator)
    x = ((x - 0.5) * gain + 0.5 + shade).clamp(0, 1)
    parts = []
    for part in x.chunk(groups):
        strength = float(torch.rand((), generator=generator)) * 0.6
        kind = int(torch.randint(0, 2 * len(FRAME_KINDS), (), generator=generator))
        parts.append(damaged_frames(part, FRAME_KINDS[kind], strength, generator) if kind < len(FRAME_KINDS) else part)
    return torch.cat(parts)


class LocatorObjective(nn.Module):
    """Loss of the locator: frames moved, turned and scaled; some without a face."""

    def __init__(self, network: FaceLocator, samples: FaceSamples, batch: int) -> None:
        super().__init__()
        self.network = network
        self._samples, self._batch = samples, batch

    def forward(self, generator: torch.Generator) -> torch.Tensor:
        """The loss of one step."""
        index = pick(len(self._samples.where), self._batch, generator)
        view = torch.randn(self._batch, 4, generator=generator) * torch.tensor([0.07, 0.07, 0.16, 0.10])
        view = view + torch.tensor([0.5, 0.5, 0.0, 0.0])
        x = crops(self._samples.frames(index), view, side=LOCATE_SIDE)
        wanted = placement_of((points_to_crop(self._samples.points[index], view) + 1) / 2)
        empty = torch.rand(self._batch, generator=generator) < 0.25
        x = torch.where(empty[:, None, None, None], _without_face(x, wanted, generator), varied(x, generator))
        place, presence = self.network(x)
        error = F.smooth_l1_loss(place * 10, wanted * 10, reduction="none", beta=0.3).sum(dim=1)
        loss = F.binary_cross_entropy_with_logits(presence, (~empty).float())
        # The mean over no sample is no number.
        return loss if bool(empty.all()) else error[~empty].mean() + loss


def _without_face(x: torch.Tensor, place: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images without a face: the face covered by something else, or nothing but noise, patches or one colour."""
    n, _, height, width = x.shape
    flat = torch.rand(n, 3, 1, 1, generator=generator).expand_as(x)
    rough = F.interpolate(torch.rand(n, 3, 8, 8, generator=generator), size=(height, width), mode="bilinear")
    contrast = torch.rand(n, 1, 1, 1, generator=generator)
    noise = flat + contrast * (torch.rand(x.shape, generator=generator) - 0.5)
    noise = noise.clamp(0, 1)
    rough = flat + contrast * (rough - 0.5)
    other = crops(x, torch.tensor([[0.15, 0.15, -1.2, 0.0]]).repeat(n, 1), side=height)
    choices = torch.stack([flat, rough, noise, other, torch.zeros_like(x)])
    chosen = choices[torch.randint(0, len(choices), (n,), generator=generator), torch.arange(n)]
    grid_y, grid_x = torch.meshgrid(
        (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
    )
    radius = torch.exp(place[:, 2]) * 0.55
    away = (grid_x - place[:, 0, None, None]) ** 2 + (grid_y - place[:, 1, None, None]) ** 2
    covered = torch.where((away < radius[:, None, None] ** 2)[:, None], chosen, x)
    whole = torch.rand(n, 1, 1, 1, generator=generator) < 0.4
    return torch.where(whole, chosen, covered)


class ReaderObjective(nn.Module):
    """Loss of the reader; holds the identities' directions, which are not shipped.

    Args:
        network: What learns.
        samples: Frames of clips first, then portraits in random states.
        batch: Frames a step; a bit more than half of them are portraits when there are any.
        n_portraits: How many samples at the end are portraits.
    """

    def __init__(self, network: FaceReader, samples: FaceSamples, batch: int, n_portraits: int = 0) -> None:
        super().__init__()
        # This order of memory makes the convolutions about a fifth faster.
        self.network = network.to(memory_format=torch.channels_last)
        self._portraits = n_portraits
        self.people = nn.Parameter(torch.randn(samples.n_identities, 64))
        self._samples, self._batch = samples, batch
        self._spread = samples.expression.std(dim=0).clamp(min=0.05)
        self._places = placement_of(samples.points)
        self._weights = torch.ones(68)
        self._weights[36:] = 2.0

    def forward(self, generator: torch.Generator) -> torch.Tensor:
        """The loss of one step."""
        samples = self._samples
        clip_frames = len(samples.where) - self._portraits
        index = pick(clip_frames, self._batch, generator)
        if self._portraits:
            posed = clip_frames + pick(self._portraits, self._batch, generator)
            index = torch.where(torch.rand(self._batch, generator=generator) < _POSED_SHARE, posed, index)
        noise = torch.randn(self._batch, 4, generator=generator)
        true_place = self._places[index]
        side = torch.exp(true_place[:, 2:3])
        place = true_place + noise * torch.cat([0.03 * side, 0.03 * side, 0 * side + 0.06, 0 * side + 0.06], dim=1)
        seen = varied(crops(samples.frames(index), place), generator)
        reading = self.network(seen.contiguous(memory_format=torch.channels_last))
        wanted_points = points_to_crop(samples.points[index], place)
        pose = samples.pose[index].clone()
        pose[:, 2] -= torch.rad2deg(place[:, 3])
        scale = torch.tensor([0.05, 0.08, 0.2])
        expression = F.smooth_l1_loss(
            reading.expression / self._spread, samples.expression[index] / self._spread, beta=0.5
        )
        points = ((reading.points - wanted_points).abs().sum(dim=2) * self._weights).mean()
        mouth = F.smooth_l1_loss(reading.mouth / scale, samples.mouth[index] / scale, beta=0.5)
        pose_loss = F.smooth_l1_loss(reading.pose, pose / 10, beta=0.1)
        cosines = reading.identity @ F.normalize(self.people, dim=1).T
        margin = 0.25 * F.one_hot(samples.identity[index], samples.n_identities)
        identity = F.cross_entropy(16.0 * (cosines - margin), samples.identity[index])
        total: torch.Tensor = 4 * expression + 4 * points + mouth + pose_loss + 0.3 * identity
        return total
