"""Faces of one image, whatever its size: searched as a whole, and again in overlapping tiles when no face is found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from emo_models.face_detector.network import FaceDetector, boxes_of

WEIGHTS = Path(__file__).parent / "weights"
THRESHOLD = 0.5
NEAR = 0.8
"""Boxes whose centres lie nearer than this share of their mean height are one face."""

CLOSER_LOOK = 2.4
"""Side, in heights of the box, of the square in which a found face is looked at again."""

MOST_FACES = 12
"""The surest so many faces are looked at again and told."""


@dataclass(frozen=True)
class FoundFace:
    """A face.

    Attributes:
        box: Left, top, right, bottom in pixels of the image; brow to chin, as YuNet's boxes.
        probability: How sure the network is, in [0, 1].
    """

    box: tuple[float, float, float, float]
    probability: float

    @property
    def height(self) -> float:
        """Brow to chin, in pixels."""
        return self.box[3] - self.box[1]

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, x and y."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def area(self) -> float:
        """Pixels inside the box."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


@cache
def shipped_detector() -> FaceDetector:
    """The network that ships with the package, loaded once per process."""
    network: FaceDetector = FaceDetector.from_pretrained(WEIGHTS, use_safetensors=True, local_files_only=True)
    return network.eval()


def find_faces(
    image: NDArray[np.uint8], *, network: FaceDetector | None = None, threshold: float = THRESHOLD
) -> list[FoundFace]:
    """Finds the faces of an image, the largest first.

    Args:
        image: ``uint8 RGB [H, W, 3]``, any size.
        network: The detector; the shipped one when absent.
        threshold: Least probability.

    Returns:
        Faces, none when there is none. The whole image is looked at first; only when it shows no face is it looked at
        in parts of half and a third of its size, in which small faces are larger.
    """
    net = network or shipped_detector()
    for parts in (1, 2, 3):
        found = _merged([face for part in _parts(image, parts) for face in _look(net, image, part, threshold)])
        if found:
            closer = [_closer(net, image, face, threshold) for face in found[:MOST_FACES]]
            return sorted(_merged([face for face in closer if face is not None]), key=lambda face: -face.area)
    return []


def _parts(image: NDArray[np.uint8], count: int) -> list[tuple[int, int, int, int]]:
    """Overlapping windows (left, top, width, height) that cover the image, ``count`` times smaller than it."""
    height, width = image.shape[:2]
    if count == 1:
        return [(0, 0, width, height)]
    w, h = -(-width // count), -(-height // count)
    steps = 2 * count - 1
    columns = [round(k * (width - w) / (steps - 1)) for k in range(steps)]
    rows = [round(k * (height - h) / (steps - 1)) for k in range(steps)]
    return [(x, y, w, h) for y in rows for x in columns]


@torch.inference_mode()
def _look(
    net: FaceDetector, image: NDArray[np.uint8], part: tuple[int, int, int, int], threshold: float
) -> list[FoundFace]:
    left, top, width, height = part
    view = np.ascontiguousarray(image[top : top + height, left : left + width])
    tensor, scale, x0, y0 = _to_square(torch.from_numpy(view), side=int(net.config.side))
    boxes, sure = boxes_of(net(tensor[None]), threshold=threshold)[0]
    found = []
    for box, probability in zip(boxes.tolist(), sure.tolist(), strict=True):
        x = [(value - x0) / scale + left for value in box[::2]]
        y = [(value - y0) / scale + top for value in box[1::2]]
        found.append(FoundFace((x[0], y[0], x[1], y[1]), float(probability)))
    return found


def _to_square(view: Tensor, *, side: int) -> tuple[Tensor, float, int, int]:
    """``uint8 [H, W, 3]`` to ``[3, side, side]`` in [-1, 1] with grey bars; scale and place of the image in it."""
    height, width = view.shape[:2]
    scale = side / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    image = view.permute(2, 0, 1)[None].float() / 127.5 - 1
    small = F.interpolate(image, size=(h, w), mode="bilinear", antialias=True, align_corners=False)[0]
    square = torch.zeros(3, side, side)
    x0, y0 = (side - w) // 2, (side - h) // 2
    square[:, y0 : y0 + h, x0 : x0 + w] = small
    return square, scale, x0, y0


def _closer(net: FaceDetector, image: NDArray[np.uint8], face: FoundFace, threshold: float) -> FoundFace | None:
    """The face as it looks from near; None when nothing is seen there any more."""
    height, width = image.shape[:2]
    x, y = face.centre
    side = max(16, round(CLOSER_LOOK * face.height))
    left, top = max(0, round(x - side / 2)), max(0, round(y - side / 2))
    part = (left, top, min(side, width - left), min(side, height - top))
    return max(
        (seen for seen in _look(net, image, part, threshold) if _same(seen, face)),
        key=lambda seen: seen.probability,
        default=None,
    )


def _merged(faces: list[FoundFace]) -> list[FoundFace]:
    """The surest of each group of boxes that lie on one face, the surest first."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda item: -item.probability):
        if not any(_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _same(a: FoundFace, b: FoundFace) -> bool:
    away = np.hypot(a.centre[0] - b.centre[0], a.centre[1] - b.centre[1])
    return bool(away < NEAR * (a.height + b.height) / 2)
