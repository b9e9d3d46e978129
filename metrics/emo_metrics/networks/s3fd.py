"""S3FD: the face detector of SyncNet's pipeline (Zhang et al. 2017, arXiv 1708.05237).

The module takes the state dict ``sfd_face.pth`` by its own names; the file of face-alignment is another network.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from emo_metrics.contract import FrameArray
from emo_metrics.networks.inference import exact_inference
from emo_metrics.networks.weight_files import load_weights, read_tensors

SCALE: Final = 0.25
CONFIDENCE: Final = 0.9
_OVERLAP_FIRST: Final = 0.3
_OVERLAP_LAST: Final = 0.1
_MEAN_RGB: Final = (123.0, 117.0, 104.0)
_STEPS: Final = (4, 8, 16, 32, 64, 128)
_SIDES: Final = (16, 32, 64, 128, 256, 512)
_VARIANCES: Final = (0.1, 0.2)
_MOST_CANDIDATES: Final = 5000
_MOST_FACES: Final = 750


class ScaledNorm(nn.Module):
    """Length normalisation over the channels with a learnt scale for each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[n, c, h, w]`` to the same shape."""
        return self.weight[:, None, None] * (x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))


def _trunk() -> nn.ModuleList:
    layers: list[nn.Module] = []
    inputs = 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, -1, 512, 512, 512, 0, 512, 512, 512, 0):
        if width > 0:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        else:
            layers.append(nn.MaxPool2d(2, ceil_mode=width < 0))
    layers += [nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU(), nn.Conv2d(1024, 1024, 1), nn.ReLU()]
    return nn.ModuleList(layers)


_SOURCE_ENDS: Final = (16, 23, 30, 35)
"""Ends of the parts of the trunk whose outputs are looked at."""


class S3fd(nn.Module):
    """Images to scores and offsets of anchor boxes on six scales."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = _trunk()
        self.L2Norm3_3 = ScaledNorm(256)
        self.L2Norm4_3 = ScaledNorm(512)
        self.L2Norm5_3 = ScaledNorm(512)
        shapes = ((1024, 256, 1, 1, 0), (256, 512, 3, 2, 1), (512, 128, 1, 1, 0), (128, 256, 3, 2, 1))
        self.extras = nn.ModuleList(nn.Conv2d(i, o, k, stride=s, padding=p) for i, o, k, s, p in shapes)
        widths = (256, 512, 512, 1024, 512, 256)
        self.loc = nn.ModuleList(nn.Conv2d(width, 4, 3, padding=1) for width in widths)
        self.conf = nn.ModuleList(nn.Conv2d(width, 2 if i else 4, 3, padding=1) for i, width in enumerate(widths))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Face probability and decoded box of every anchor.

        Args:
            x: ``float32 RGB [n, 3, h, w]`` minus the mean colour.

        Returns:
            ``float32 [n, anchors]``, and boxes ``float32 [n, anchors, 4]`` (left, top, right, bottom) as shares of
            width and height.
        """
        scores, boxes = [], []
        height, width = x.shape[2:]
        for level, source in enumerate(self._sources(x)):
            logits = self.conf[level](source)
            if level == 0:
                # The finest scale has three background classes; the strongest counts.
                logits = torch.cat([logits[:, :3].amax(dim=1, keepdim=True), logits[:, 3:]], dim=1)
            offsets = self.loc[level](source).permute(0, 2, 3, 1).flatten(1, 2)
            anchors = _anchors(level, source.shape[2], source.shape[3], height, width).to(x.device)
            scores.append(logits.softmax(dim=1)[:, 1].flatten(1))
            boxes.append(_decoded(offsets, anchors))
        return torch.cat(scores, dim=1), torch.cat(boxes, dim=1)

    def _sources(self, x: torch.Tensor) -> list[torch.Tensor]:
        sources, start = [], 0
        norms = (self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3, nn.Identity())
        for end, norm in zip(_SOURCE_ENDS, norms, strict=True):
            for layer in self.vgg[start:end]:
                x = layer(x)
            sources.append(norm(x))
            start = end
        for index, layer in enumerate(self.extras):
            x = F.relu(layer(x))
            if index % 2:
                sources.append(x)
        return sources


def _anchors(level: int, rows: int, columns: int, height: int, width: int) -> torch.Tensor:
    """Centre and size of one anchor per cell, ``float32 [rows * columns, 4]``, as shares of width and height."""
    step, side = _STEPS[level], _SIDES[level]
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    centres = torch.stack([(x + 0.5) * step / width, (y + 0.5) * step / height], dim=-1).flatten(0, 1)
    size = torch.tensor([side / width, side / height]).expand_as(centres)
    return torch.cat([centres, size], dim=1).float()


def _decoded(offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    centre = anchors[:, :2] + offsets[..., :2] * _VARIANCES[0] * anchors[:, 2:]
    size = anchors[:, 2:] * torch.exp(offsets[..., 2:] * _VARIANCES[1])
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def suppress_overlaps(boxes: NDArray[np.float64], scores: NDArray[np.float64], overlap: float) -> NDArray[np.int64]:
    """Greedy suppression: indices of boxes kept, best score first; a later box may overlap a kept one by ``overlap``.

    Args:
        boxes: ``float64 [n, 4]``: left, top, right, bottom.
        scores: ``float64 [n]``.
        overlap: Largest allowed intersection over union.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(0.0, high - low), axis=1)
        waiting = rest[shared / (areas[best] + areas[rest] - shared) <= overlap]
    return np.array(kept, dtype=np.int64)


def detect_faces(network: S3fd, frames: FrameArray, device: str) -> list[NDArray[np.float64]]:
    """Faces of each frame, best first.

    Args:
        network: From ``load_s3fd``.
        frames: ``uint8 RGB [n, H, W, 3]``.
        device: Of the network.

    Returns:
        For each frame ``float64 [faces, 5]``: left, top, right, bottom in pixels, and the score.
    """
    import cv2

    height, width = frames.shape[1:3]
    small = np.stack(
        [cv2.resize(frame, dsize=(0, 0), fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LINEAR) for frame in frames]
    )
    x = torch.from_numpy(small).permute(0, 3, 1, 2).float() - torch.tensor(_MEAN_RGB)[:, None, None]
    with exact_inference():
        scores, boxes = network(x.to(device))
    size = torch.tensor([width, height, width, height], dtype=torch.float32)
    return [
        _best_faces(s.double().numpy(), (b * size).double().numpy())
        for s, b in zip(scores.cpu(), boxes.cpu(), strict=True)
    ]


def _best_faces(scores: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    # A box can only be suppressed by a better one, so the threshold may come before the suppression.
    sure = np.flatnonzero(scores > CONFIDENCE)
    sure = sure[np.argsort(-scores[sure], kind="stable")][:_MOST_CANDIDATES]
    first = sure[suppress_overlaps(boxes[sure], scores[sure], _OVERLAP_FIRST)][:_MOST_FACES]
    last = first[suppress_overlaps(boxes[first], scores[first], _OVERLAP_LAST)]
    return np.column_stack([boxes[last], scores[last]])


@lru_cache(maxsize=2)
def load_s3fd(path: Path, device: str) -> S3fd:
    """The network with the weights of ``sfd_face.pth``, in evaluation mode.

    Raises:
        ValueError: when the file is not that network.
    """
    network = S3fd()
    load_weights(network, read_tensors(path), source=path.name)
    return network.eval().requires_grad_(False).to(device)
