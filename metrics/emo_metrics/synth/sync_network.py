"""The network behind lip sync of the synth family: mouth and audio around a frame as points on one sphere."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from emo_metrics.synth.layers import conv, over_time

HEIGHT: Final = 32
WIDTH: Final = 48
CONTEXT: Final = 4
"""Frames before and after the one that a window belongs to: a window has 9 frames, 0.36 s at 25 fps."""
EMBEDDING: Final = 96
WIDTHS: Final = (128, 128)
"""Channels of the layers over time."""
CEPSTRA: Final = 13
PER_FRAME: Final = 4
"""Cepstral frames a video frame."""


class SyncNetwork(nn.Module):
    """Embeds mouths and audio; both convolve over time without padding, so that no window sees beyond its frames."""

    def __init__(self) -> None:
        super().__init__()
        self.frame = nn.Sequential(
            conv(3, 24, stride=2),
            conv(24, 48, stride=2),
            conv(48, 64, stride=2),
            nn.Flatten(),
            nn.Linear(64 * 24, 96),
            nn.ReLU(),
        )
        self.mouth_time = over_time(96, widths=WIDTHS, outputs=EMBEDDING)
        self.cepstra = nn.Sequential(
            nn.BatchNorm1d(CEPSTRA),
            nn.Conv1d(CEPSTRA, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(64, 96, PER_FRAME, PER_FRAME),
            nn.ReLU(),
        )
        self.sound_time = over_time(96, widths=WIDTHS, outputs=EMBEDDING)
        self.sharpness = nn.Parameter(torch.tensor(2.3))

    def mouth(self, crops: torch.Tensor) -> torch.Tensor:
        """Mouths of clips.

        Args:
            crops: ``float32 [clips, frames, 3, 32, 48]`` in [0, 1].

        Returns:
            ``[clips, frames - 8, 96]``, unit rows.
        """
        clips, frames = crops.shape[:2]
        each = self.frame(crops.flatten(0, 1) * 2 - 1).view(clips, frames, -1)
        return F.normalize(self.mouth_time(each.transpose(1, 2)).float(), dim=1).transpose(1, 2)

    def sound(self, cepstra: torch.Tensor) -> torch.Tensor:
        """Audio of clips.

        Args:
            cepstra: ``float32 [clips, 13, 4 * frames]``.

        Returns:
            ``[clips, frames - 8, 96]``, unit rows.
        """
        return F.normalize(self.sound_time(self.cepstra(cepstra)).float(), dim=1).transpose(1, 2)
