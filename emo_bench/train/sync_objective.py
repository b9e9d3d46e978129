"""Training objective of the sync network: to find, for every mouth, its own audio among the audio around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from emo_bench.train.face_objective import varied
from emo_metrics.synth.face_network import FRAME_SIDE, crops, placement_of
from emo_metrics.synth.layers import to_square
from emo_metrics.synth.mouth_crops import mouth_placement, mouths
from emo_metrics.synth.sound_windows import cepstra_of
from emo_metrics.synth.sync_network import CONTEXT, PER_FRAME, SyncNetwork
from emo_models.training.clips import TrainingClip

_MARGIN = 1.4
_KEPT = 64


class SyncObjective(nn.Module):
    """Contrastive loss over the windows of a clip (InfoNCE both ways), and against the audio of other clips.

    Args:
        network: What learns.
        clips: Training clips of equal length, with their audio in step.
        batch: Clips a step.
    """

    def __init__(self, network: SyncNetwork, clips: Sequence[TrainingClip], batch: int) -> None:
        super().__init__()
        self.network = network
        self._batch = batch
        self._length = min(len(clip.frames) for clip in clips)
        self._kept = [_wide_mouths(clip) for clip in clips]
        self._sound = [cepstra_of(clip.audio, len(clip.frames)) for clip in clips]

    def forward(self, generator: torch.Generator) -> torch.Tensor:
        """The loss of one step."""
        chosen = torch.randperm(len(self._kept), generator=generator)[: self._batch]
        length = self._length
        images = torch.stack([self._view(int(clip), generator) for clip in chosen])
        audio = torch.stack([self._sound[int(clip)][:, : PER_FRAME * length] for clip in chosen])
        gain = torch.randn(len(chosen), 1, generator=generator)
        audio[:, 0] = audio[:, 0] + gain
        audio = audio + 0.5 * torch.randn(len(chosen), audio.shape[1], 1, generator=generator)
        mouth, voice = self.network.mouth(images), self.network.sound(audio)
        similar = torch.exp(self.network.sharpness) * mouth @ voice.transpose(1, 2)
        own = torch.arange(length - 2 * CONTEXT).expand(len(chosen), -1)
        across = torch.exp(self.network.sharpness) * torch.einsum("awd,bwd->wab", mouth[:, ::6], voice[:, ::6])
        other = torch.arange(len(chosen)).expand(len(across), -1)
        return (
            F.cross_entropy(similar.transpose(1, 2), own)
            + F.cross_entropy(similar, own)
            + 0.5 * F.cross_entropy(across.transpose(1, 2), other)
        )

    def _view(self, clip: int, generator: torch.Generator) -> torch.Tensor:
        """Mouth crops as a slightly wrong landmark network would cut them."""
        kept = self._kept[clip][: self._length].float() / 255.0
        steady, quick = torch.randn(4, generator=generator), torch.randn(len(kept), 4, generator=generator)
        place = torch.tensor([0.5, 0.5, -float(np.log(_MARGIN)), 0.0]).repeat(len(kept), 1)
        place = place + steady * torch.tensor([0.02, 0.02, 0.06, 0.05]) + quick * torch.tensor([0.01, 0.01, 0.01, 0.01])
        return varied(mouths(kept, place), generator, groups=1)


def _wide_mouths(clip: TrainingClip) -> torch.Tensor:
    """Squares around the mouth, larger than the network's by a margin: ``uint8 [T, 3, 64, 64]``."""
    frames = to_square(np.array(clip.frames), FRAME_SIDE)
    points = torch.from_numpy(clip.labels["landmarks68"].astype(np.float32)) / clip.frames.shape[1]
    place = mouth_placement(points, placement_of(points))
    place[:, 2] += float(np.log(_MARGIN))
    return (crops(frames, place, side=_KEPT) * 255).round().to(torch.uint8)
