"""Training objective of the appearance network: who, which damage and how strong, and roughly what the face does."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from emo_bench.train.distortions import FRAME_KINDS, damaged_frames
from emo_bench.train.face_objective import FaceSamples, pick
from emo_metrics.synth.appearance_network import FEATURES, AppearanceNetwork

_GROUPS: Final = 8


class AppearanceObjective(nn.Module):
    """Loss of the appearance network; holds the heads, which are not shipped."""

    def __init__(self, network: AppearanceNetwork, samples: FaceSamples, batch: int) -> None:
        super().__init__()
        self.network = network
        self.people = nn.Linear(FEATURES, samples.n_identities)
        self.damage = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, len(FRAME_KINDS)))
        self.state = nn.Linear(FEATURES, 5)
        self._samples, self._batch = samples, batch

    def forward(self, generator: torch.Generator) -> torch.Tensor:
        """The loss of one step: groups of images, each whole or damaged in one way."""
        samples = self._samples
        index = pick(len(samples.where), self._batch, generator)
        parts, strengths = [], torch.zeros(self._batch, len(FRAME_KINDS))
        start = 0
        for part in samples.frames(index).chunk(_GROUPS):
            if float(torch.rand((), generator=generator)) < 0.7:
                kind = int(torch.randint(0, len(FRAME_KINDS), (), generator=generator))
                strength = float(torch.rand((), generator=generator)) ** 2
                strengths[start : start + len(part), kind] = strength**0.5
                part = damaged_frames(part, FRAME_KINDS[kind], strength, generator)
            parts.append(part)
            start += len(part)
        features = self.network(torch.cat(parts))
        whole = strengths.sum(dim=1) < 0.7
        state = torch.cat([samples.pose[index] / 10, samples.mouth[index, :2] * 5], dim=1)
        loss = (
            F.cross_entropy(self.people(features).float(), samples.identity[index]) * 0.3
            + F.smooth_l1_loss(self.damage(features).float(), strengths, beta=0.1) * 4
        )
        # The mean over no sample is no number.
        if bool(whole.any()):
            loss = loss + F.smooth_l1_loss(self.state(features).float()[whole], state[whole], beta=0.3)
        return loss
