"""The part of the frame used for lip sync."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from emo_metrics.synth.face_network import crops
from emo_metrics.synth.sync_network import HEIGHT, WIDTH

_SHARE: Final = 0.55
"""Width of the crop relative to the side of the face's square."""
_DOWN: Final = 0.06
"""How far the crop's centre lies below the corners of the mouth, relative to the side of the face's square."""


def mouth_placement(points: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """Where the square around the mouth lies: upright with the face, centred between the corners of the mouth.

    Args:
        points: ``[n, 68, 2]`` in shares of the frame.
        face: ``[n, 4]``, the face's square.

    Returns:
        ``[n, 4]``, as ``face_network.placement_of``.
    """
    side = torch.exp(face[:, 2:3])
    down = torch.cat([-torch.sin(face[:, 3:4]), torch.cos(face[:, 3:4])], dim=1)
    centre = (points[:, 48] + points[:, 54]) / 2 + _DOWN * side * down
    return torch.cat([centre, face[:, 2:3] + float(np.log(_SHARE)), face[:, 3:4]], dim=1)


def mouths(frames: torch.Tensor, placement: torch.Tensor) -> torch.Tensor:
    """The middle rows of the squares: ``float32 [n, 3, 32, 48]``."""
    top = (WIDTH - HEIGHT) // 2
    return crops(frames, placement, side=WIDTH)[:, :, top : top + HEIGHT]
