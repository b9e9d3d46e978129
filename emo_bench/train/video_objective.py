"""Training objective of the video network: how time was damaged, how images were damaged, and how the face moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from emo_bench.train.distortions import FRAME_KINDS, TIME_KINDS, damaged_frames, damaged_time
from emo_metrics.synth.layers import to_square
from emo_metrics.synth.video_network import FEATURES, SIDE, WINDOW, VideoNetwork
from emo_models.training.clips import TrainingClip

MOTION = 9


class VideoObjective(nn.Module):
    """Loss of the video network; holds the heads, which are not shipped.

    Args:
        network: What learns.
        clips: Training clips of at least 16 frames.
        batch: Windows a step.
    """

    def __init__(self, network: VideoNetwork, clips: Sequence[TrainingClip], batch: int) -> None:
        super().__init__()
        self.network = network
        self.time = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, len(TIME_KINDS) + 1))
        self.damage = nn.Linear(FEATURES, len(FRAME_KINDS))
        self.motion = nn.Linear(FEATURES, MOTION)
        self._batch = batch
        self._frames = [(to_square(np.array(clip.frames), SIDE) * 255).round().to(torch.uint8) for clip in clips]
        self._clips = clips

    def forward(self, generator: torch.Generator) -> torch.Tensor:
        """The loss of one step."""
        windows, kinds, strengths, motions = [], [], [], []
        for _ in range(self._batch):
            window, kind, strength, motion = self._sample(generator)
            windows.append(window)
            kinds.append(kind)
            strengths.append(strength)
            motions.append(motion)
        features = self.network(torch.stack(windows))
        kind_of = torch.tensor(kinds)
        whole = kind_of == len(TIME_KINDS)
        loss = F.cross_entropy(self.time(features).float(), kind_of)
        loss = loss + 2 * F.smooth_l1_loss(self.damage(features).float(), torch.stack(strengths), beta=0.1)
        if bool(whole.any()):
            moved = self.motion(features).float()[whole]
            loss = loss + F.smooth_l1_loss(moved, torch.stack(motions)[whole], beta=0.3)
        return loss

    def _sample(self, generator: torch.Generator) -> tuple[torch.Tensor, int, torch.Tensor, torch.Tensor]:
        clip = int(torch.randint(0, len(self._frames), (), generator=generator))
        start = int(torch.randint(0, len(self._frames[clip]) - WINDOW + 1, (), generator=generator))
        x = self._frames[clip][start : start + WINDOW].float() / 255.0
        kind, draw = len(TIME_KINDS), torch.rand(4, generator=generator)
        if draw[0] < 0.7:
            kind = int(torch.randint(0, len(TIME_KINDS), (), generator=generator))
            x = damaged_time(x, TIME_KINDS[kind], 0.15 + 0.85 * float(draw[1]), generator)
        strengths = torch.zeros(len(FRAME_KINDS))
        if draw[2] < 0.4:
            damage = int(torch.randint(0, len(FRAME_KINDS), (), generator=generator))
            strengths[damage] = float(draw[3])
            x = damaged_frames(x, FRAME_KINDS[damage], 0.6 * float(draw[3]) ** 2, generator)
        motion = motion_summary(self._clips[clip], start)
        return x, kind, strengths, torch.from_numpy(motion)


def motion_summary(clip: TrainingClip, start: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """How a window moves, each number of the order of 1: means and spreads of pose, mouth and lids, and head speed."""
    part = slice(start, start + WINDOW)
    pose = clip.labels["pose"][part, :3]
    mouth = clip.labels["mouth_opening"][part]
    lids = clip.labels["blink"][part].mean(axis=1)
    speed = np.abs(np.diff(pose, axis=0)).mean()
    values = [*(pose.mean(axis=0) / 10), *(pose.std(axis=0) / 2), mouth.std() * 20, lids.std() * 4, speed]
    return np.asarray(values, dtype=np.float32)
