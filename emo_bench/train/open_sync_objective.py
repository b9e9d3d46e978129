"""Training objective of the open sync network: to find each mouth's own audio among the audio around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from emo_bench.train.distortions import damaged_frames
from emo_metrics.contract import FrameArray
from emo_metrics.sync_open.audio import PER_FRAME, log_mel, mel_filters, power_spectra, speech_rows
from emo_metrics.sync_open.mouths import LIP_POINTS, SIDE, lip_outlines, mouth_squares
from emo_metrics.sync_open.network import CONTEXT, OpenSyncNetwork

_WIDE: Final = 64
_MIRRORED: Final = (
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
    *(8, 33),
)
"""The point that takes the place of each of ``LIP_POINTS`` in a mirror."""
_LAGS: Final = 12
_DAMAGE: Final = ("blur", "noise", "blocks", "small")


@dataclass(frozen=True, eq=False)
class SpeakingMouth:
    """What a clip has for the sync network.

    Attributes:
        squares: ``uint8 [T, 64, 64]``, wider than the network's by a margin.
        outlines: ``float32 [T, 44]``.
        spectra: ``float16 [4 T, 257]``, power relative to the loudest row.
        speech: ``bool [T]``, whether anybody speaks.
        person: Who.
        digest: Of the clip's file.
        weight: How often a labelled clip is chosen relative to others.
    """

    squares: NDArray[np.uint8]
    outlines: NDArray[np.float32]
    spectra: NDArray[np.float16]
    speech: NDArray[np.bool_]
    person: str = ""
    digest: str = ""
    weight: float = 1.0


def speaking_mouth(
    frames: FrameArray,
    points: NDArray[np.floating],
    audio: NDArray[np.float32],
    *,
    person: str = "",
    digest: str = "",
    weight: float = 1.0,
) -> SpeakingMouth:
    """Cuts the mouth out of a clip's frames and takes the spectra of its audio.

    Args:
        frames: ``uint8 RGB [T, H, W, 3]`` at 25 frames a second.
        points: ``[T, 68, 2]`` in pixels.
        audio: Mono, 16 kHz.
        person: Who speaks.
        digest: Of the clip's file.
        weight: How often a labelled clip is chosen relative to others.
    """
    spectra = power_spectra(audio, len(frames))
    speech = speech_rows(spectra).reshape(-1, PER_FRAME).mean(axis=1) >= 0.5
    relative = spectra / max(float(spectra.max()), 1e-12)
    return SpeakingMouth(
        squares=mouth_squares(frames, points, side=_WIDE, share=_WIDE / SIDE),
        outlines=lip_outlines(points),
        spectra=np.sqrt(relative).astype(np.float16),
        speech=speech,
        person=person,
        digest=digest,
        weight=weight,
    )


class OpenSyncObjective(nn.Module):
    """Windows against all windows of their clip, both ways; whole clips against shifts of their audio; and clips apart.

    Args:
        network: What learns.
        talking: Clips of real people, chosen by person: the cube root of how much there is of them.
        labelled: Other clips, chosen by their weights.
        batch: Clips a step.
        frames: Their length; shorter clips are left out.
        labelled_share: Share of ``labelled`` in a step.
    """

    def __init__(
        self,
        network: OpenSyncNetwork,
        talking: Sequence[SpeakingMouth],
        labelled: Sequence[SpeakingMouth],
        *,
        batch: int,
        frames: int,
        labelled_share: float,
    ) -> None:
        super().__init__()
        self.network = network
        self._batch, self._frames = batch, frames
        real, others = ([clip for clip in clips if len(clip.squares) >= frames] for clips in (talking, labelled))
        self._clips = [*real, *others]
        self._weights = _weights_of(real, others, labelled_share)

    def forward(self, generator: torch.Generator) -> torch.Tensor:
        """The loss of one step."""
        chosen = torch.multinomial(self._weights, self._batch, replacement=True, generator=generator)
        views = [self._view(self._clips[int(index)], generator) for index in chosen]
        squares, outlines, bands, speech = (torch.stack(part) for part in zip(*views, strict=True))
        shown = torch.ones(self._batch, 2)
        fate = torch.rand(self._batch, generator=generator)
        shown[fate < 0.2, 0] = 0.0
        shown[fate > 0.75, 1] = 0.0
        mouth, voice = self.network.mouth(squares, outlines, shown=shown), self.network.sound(bands)
        sharpness = torch.exp(self.network.sharpness)
        similar = mouth @ voice.transpose(1, 2)
        spoken = speech[:, CONTEXT : len(speech[0]) - CONTEXT].float() * 0.9 + 0.1
        windows = _windows_loss(sharpness * similar, spoken)
        lags = _lag_loss(2 * sharpness * similar, spoken)
        across = sharpness * torch.einsum("awd,bwd->wab", mouth[:, ::6], voice[:, ::6])
        own = torch.arange(self._batch).expand(len(across), -1)
        apart = F.cross_entropy(across.transpose(1, 2), own)
        return windows + lags + 0.3 * apart

    def _view(self, clip: SpeakingMouth, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """A stretch of a clip as other landmarks, another camera, another voice and another room would give it."""
        length = self._frames
        start = int(torch.randint(0, len(clip.squares) - length + 1, (), generator=generator))
        part = slice(start, start + length)
        mirrored = bool(torch.rand((), generator=generator) < 0.5)
        squares = _varied_squares(torch.from_numpy(clip.squares[part]).float() / 255.0, mirrored, generator)
        outlines = _varied_outlines(torch.from_numpy(clip.outlines[part]), mirrored, generator)
        bands = _varied_bands(clip.spectra, start, length, generator)
        return squares, outlines, bands, torch.from_numpy(clip.speech[part])


def _weights_of(real: Sequence[SpeakingMouth], others: Sequence[SpeakingMouth], share: float) -> torch.Tensor:
    """How often each clip is chosen."""
    share = (share if real else 1.0) if others else 0.0
    amount: dict[str, float] = {}
    for clip in real:
        amount[clip.person] = amount.get(clip.person, 0.0) + len(clip.squares)
    weights = [len(clip.squares) * amount[clip.person] ** (1 / 3 - 1) for clip in real]
    total, all_others = sum(weights), sum(clip.weight for clip in others)
    rest = [share * clip.weight / all_others for clip in others]
    return torch.tensor([(1 - share) * weight / total for weight in weights] + rest)


def _windows_loss(similar: torch.Tensor, spoken: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each window against all windows of the clip, both ways; neighbours count for a little."""
    count = similar.shape[1]
    wanted = 0.7 * torch.eye(count) + 0.15 * (torch.eye(count).roll(1, 0) + torch.eye(count).roll(-1, 0))
    wanted[0, -1] = wanted[-1, 0] = 0.0
    wanted = wanted / wanted.sum(dim=1, keepdim=True)
    rows = -(wanted * F.log_softmax(similar, dim=2)).sum(dim=2)
    columns = -(wanted * F.log_softmax(similar, dim=1)).sum(dim=1)
    return ((rows + columns) * spoken).sum() / spoken.sum()


def _lag_loss(similar: torch.Tensor, spoken: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the lag at which the whole clip fits best; one frame beside the true lag counts for a little."""
    curve = []
    for lag in range(-_LAGS, _LAGS + 1):
        fits = torch.diagonal(similar, offset=lag, dim1=1, dim2=2)
        weight = spoken[:, max(lag, 0) : max(lag, 0) + fits.shape[1]]
        curve.append((fits * weight).sum(dim=1) / weight.sum(dim=1))
    wanted = torch.zeros(2 * _LAGS + 1)
    wanted[_LAGS - 1 : _LAGS + 2] = torch.tensor([0.1, 0.8, 0.1])
    return -(wanted * F.log_softmax(torch.stack(curve, dim=1), dim=1)).sum(dim=1).mean()


def _varied_squares(squares: torch.Tensor, mirrored: bool, generator: torch.Generator) -> torch.Tensor:
    """``float32 [T, 64, 64]`` to ``[T, 48, 48]``: moved, turned, scaled, mirrored and mildly damaged."""
    count = len(squares)
    steady, quick = torch.randn(4, generator=generator), torch.randn(count, 4, generator=generator)
    spread = torch.tensor([0.05, 0.05, 0.08, 0.08])
    change = steady * spread + quick * torch.tensor([0.012, 0.012, 0.015, 0.015])
    size = (SIDE / _WIDE) * torch.exp(change[:, 2])
    cosine, sine = torch.cos(change[:, 3]) * size, torch.sin(change[:, 3]) * size
    flip = -1.0 if mirrored else 1.0
    affine = torch.stack(
        [
            torch.stack([cosine * flip, -sine, change[:, 0]], dim=1),
            torch.stack([sine * flip, cosine, change[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(affine, [count, 1, SIDE, SIDE], align_corners=False)
    x = F.grid_sample(squares[:, None], grid, mode="bilinear", padding_mode="border", align_corners=False)
    kind = int(torch.randint(0, 2 * len(_DAMAGE), (), generator=generator))
    if kind < len(_DAMAGE):
        strength = 0.5 * float(torch.rand((), generator=generator))
        x = damaged_frames(x, _DAMAGE[kind], strength, generator)
    return x[:, 0]


def _varied_outlines(outlines: torch.Tensor, mirrored: bool, generator: torch.Generator) -> torch.Tensor:
    points = outlines.view(len(outlines), len(LIP_POINTS), 2)
    if mirrored:
        order = [LIP_POINTS.index(point) for point in _MIRRORED]
        points = points[:, order] * torch.tensor([-1.0, 1.0])
    scale = 1 + 0.1 * torch.randn(2, generator=generator)
    steady = 0.01 * torch.randn(len(LIP_POINTS), 2, generator=generator)
    quick = 0.006 * torch.randn(points.shape, generator=generator)
    return (points * scale + steady + quick).reshape(len(outlines), -1)


def _varied_bands(spectra: NDArray[np.float16], start: int, length: int, generator: torch.Generator) -> torch.Tensor:
    """``float32 [40, 4 T]`` of a stretch, moved by up to 10 ms, with another vocal tract and noise."""
    move = int(torch.randint(-1, 2, (), generator=generator))
    first = PER_FRAME * start + move
    rows = np.clip(np.arange(first, first + PER_FRAME * length), 0, len(spectra) - 1)
    power = np.square(spectra[rows].astype(np.float32))
    stretch, noise, tilt = (float(value) for value in torch.rand(3, generator=generator))
    filters = mel_filters(0.84 + 0.34 * stretch)
    if noise < 0.6:
        level = float(power.mean()) * 10 ** (-(5 + 35 * noise / 0.6) / 10)
        shape = np.exp(-4 * tilt * np.arange(power.shape[1]) / power.shape[1]).astype(np.float32)
        grains = torch.empty(power.shape).exponential_(generator=generator).numpy()
        power = power + level * shape / shape.mean() * grains
    return torch.from_numpy(log_mel(power, filters))
