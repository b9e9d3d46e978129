"""Two small networks for a face: where it is in the frame, and what it does and whose it is in an upright crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from emo_metrics.synth.layers import conv, smaller

FRAME_SIDE: Final = 128
"""Frames are brought to this size first."""
LOCATE_SIDE: Final = 64
CROP_SIDE: Final = 72
EXPRESSIONS: Final = 26
IDENTITY: Final = 64
_CENTRE_DOWN: Final = 0.9
_SIDE_PER_JAW: Final = 2.6


class FaceLocator(nn.Module):
    """From frames to the place of the face and a logit of whether there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            conv(3, 16, stride=2), conv(16, 32, stride=2), conv(32, 64, stride=2), conv(64, 96, stride=2)
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(96 * 16, 96), nn.ReLU(), nn.Linear(96, 5))

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Places and presence.

        Args:
            frames: ``float32 [n, 3, 128, 128]`` in [0, 1].

        Returns:
            ``[n, 4]`` (see ``placement_of``) and logits ``[n]``, positive for a face.
        """
        raw = self.head(self.trunk(smaller(frames, LOCATE_SIDE) * 2 - 1)).float()
        start = torch.tensor([0.5, 0.5, -0.7, 0.0], device=raw.device)
        return start + raw[:, :4], raw[:, 4]


def placement_of(points: torch.Tensor) -> torch.Tensor:
    """Where the upright square around a face lies, from its 68 points.

    Args:
        points: ``[n, 68, 2]``, iBUG order, in shares of the frame's width and height.

    Returns:
        ``[n, 4]``: centre x and y, natural logarithm of the side, all in shares of the frame; angle in radians,
        clockwise in the image.
    """
    left, right = points[:, 36:42].mean(dim=1), points[:, 42:48].mean(dim=1)
    across = right - left
    angle = torch.atan2(across[:, 1], across[:, 0])
    eyes = (left + right) / 2
    centre = eyes + _CENTRE_DOWN * (points[:, 31:36].mean(dim=1) - eyes)
    jaw = torch.linalg.vector_norm(points[:, :17] - centre[:, None], dim=2).mean(dim=1)
    return torch.cat([centre, torch.log(_SIDE_PER_JAW * jaw)[:, None], angle[:, None]], dim=1)


def _axes(placement: torch.Tensor) -> torch.Tensor:
    """``[n, 2, 2]``: maps crop coordinates in [-1, 1] to shares of the frame, before the centre is added."""
    half = torch.exp(placement[:, 2]) / 2
    cosine, sine = torch.cos(placement[:, 3]) * half, torch.sin(placement[:, 3]) * half
    return torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)


def crops(frames: torch.Tensor, placement: torch.Tensor, *, side: int = CROP_SIDE) -> torch.Tensor:
    """Upright squares cut bilinearly from frames ``[n, 3, 128, 128]``; black outside. ``[n, 3, side, side]``."""
    affine = torch.cat([2 * _axes(placement), (2 * placement[:, :2] - 1)[:, :, None]], dim=2)
    grid = F.affine_grid(affine, [len(frames), 3, side, side], align_corners=False)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def points_to_crop(points: torch.Tensor, placement: torch.Tensor) -> torch.Tensor:
    """Points ``[n, k, 2]`` in shares of the frame to crop coordinates in [-1, 1]."""
    seen: torch.Tensor = (points - placement[:, None, :2]) @ torch.linalg.inv(_axes(placement)).transpose(1, 2)
    return seen


def points_to_frame(points: torch.Tensor, placement: torch.Tensor) -> torch.Tensor:
    """The inverse of ``points_to_crop``."""
    return points @ _axes(placement).transpose(1, 2) + placement[:, None, :2]


@dataclass(frozen=True, kw_only=True)
class FaceReading:
    """What the reader says about crops.

    Attributes:
        expression: ``[n, 26]``, columns of HDTF-Synth's truth.
        pose: ``[n, 3]``, yaw, pitch, and roll relative to the crop, in degrees / 10.
        mouth: ``[n, 3]``, opening, width and rounding; opening and width in head units.
        points: ``[n, 68, 2]`` in crop coordinates.
        identity: ``[n, 64]``, unit rows.
    """

    expression: torch.Tensor
    pose: torch.Tensor
    mouth: torch.Tensor
    points: torch.Tensor
    identity: torch.Tensor


class FaceReader(nn.Module):
    """From upright crops to expression, pose, mouth, landmarks and identity."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            conv(3, 32, stride=2),
            conv(32, 32),
            conv(32, 64, stride=2),
            conv(64, 64),
            conv(64, 128, stride=2),
            conv(128, 128),
            conv(128, 192, stride=2),
            conv(192, 64, kernel=1),
            nn.Flatten(),
        )
        width = 64 * 25
        self.motion = nn.Sequential(nn.Linear(width, 256), nn.ReLU())
        self.expression = nn.Linear(256, EXPRESSIONS)
        self.pose = nn.Linear(256, 3)
        self.mouth = nn.Linear(256, 3)
        self.points = nn.Linear(256, 136)
        self.identity = nn.Sequential(nn.Linear(width, IDENTITY, bias=False), nn.BatchNorm1d(IDENTITY))

    def forward(self, crop: torch.Tensor) -> FaceReading:
        """Reads crops ``float32 [n, 3, 72, 72]`` in [0, 1]."""
        shared = self.trunk(crop * 2 - 1)
        motion = self.motion(shared)
        return FaceReading(
            expression=self.expression(motion).float(),
            pose=self.pose(motion).float(),
            mouth=self.mouth(motion).float(),
            points=self.points(motion).float().view(-1, 68, 2),
            identity=F.normalize(self.identity(shared).float(), dim=1),
        )
