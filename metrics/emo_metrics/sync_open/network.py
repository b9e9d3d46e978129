"""The open sync network: mouth and audio around a frame as points on one sphere."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from emo_metrics.sync_open.audio import BANDS, PER_FRAME
from emo_metrics.sync_open.mouths import OUTLINE
from emo_metrics.synth.layers import conv, over_time

CONTEXT: Final = 6
"""Frames before and after the one that a window belongs to: a window has 13 frames, 0.52 s at 25 fps."""
EMBEDDING: Final = 96
WIDTHS: Final = (160, 160, 128)
"""Channels of the layers over time."""


class OpenSyncNetwork(nn.Module):
    """Embeds mouths and audio; both convolve over time without padding, so that no window sees beyond its frames."""

    def __init__(self) -> None:
        super().__init__()
        self.frame = nn.Sequential(
            conv(1, 16, stride=2),
            conv(16, 32, stride=2),
            conv(32, 48, stride=2),
            conv(48, 64, stride=2),
            nn.Flatten(),
            nn.Linear(64 * 9, 96),
            nn.ReLU(),
        )
        self.outline = nn.Sequential(nn.BatchNorm1d(OUTLINE), nn.Linear(OUTLINE, 96), nn.ReLU())
        self.mouth_time = over_time(192, widths=WIDTHS, outputs=EMBEDDING)
        self.bands = nn.Sequential(
            nn.BatchNorm1d(BANDS),
            nn.Conv1d(BANDS, 96, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(96, 128, PER_FRAME, PER_FRAME),
            nn.ReLU(),
        )
        self.sound_time = over_time(128, widths=WIDTHS, outputs=EMBEDDING)
        self.sharpness = nn.Parameter(torch.tensor(2.3))

    def mouth(
        self, squares: torch.Tensor, outlines: torch.Tensor, *, shown: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Mouths of clips.

        Args:
            squares: ``float32 [clips, frames, 48, 48]`` in [0, 1].
            outlines: ``float32 [clips, frames, 44]`` in face units.
            shown: ``[clips, 2]``, factors of what squares and outlines say, for training; both 1 when absent.

        Returns:
            ``[clips, frames - 12, 96]``, unit rows.
        """
        clips, frames = squares.shape[:2]
        x = squares.flatten(0, 1)[:, None]
        # Each square in its own brightness and contrast: light and skin say nothing about speech.
        x = (x - x.mean(dim=(2, 3), keepdim=True)) / (x.std(dim=(2, 3), keepdim=True) + 0.02)
        seen = self.frame(x).view(clips, frames, -1)
        traced = self.outline(outlines.flatten(0, 1)).view(clips, frames, -1)
        if shown is not None:
            seen, traced = seen * shown[:, None, :1], traced * shown[:, None, 1:]
        each = torch.cat([seen, traced], dim=2)
        return F.normalize(self.mouth_time(each.transpose(1, 2)).float(), dim=1).transpose(1, 2)

    def sound(self, bands: torch.Tensor) -> torch.Tensor:
        """Audio of clips.

        Args:
            bands: ``float32 [clips, 40, 4 * frames]``, of ``audio.log_mel``.

        Returns:
            ``[clips, frames - 12, 96]``, unit rows.
        """
        return F.normalize(self.sound_time(self.bands(bands)).float(), dim=1).transpose(1, 2)
