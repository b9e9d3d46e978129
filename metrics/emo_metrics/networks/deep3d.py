"""Deep3DFaceRecon: one face image to 257 coefficients of a 3D face (Deng et al. 2019, arXiv 1903.08527).

The module takes the entry ``net_recon`` of the official checkpoint ``epoch_20.pth`` by its own names.
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
from emo_metrics.networks.folding import fold_batch_norms
from emo_metrics.networks.weight_files import load_weights, read_tensors

PARTS: Final = {"identity": 80, "expression": 64, "texture": 80, "angle": 3, "light": 27, "shift": 2, "depth": 1}
EXPRESSION: Final = slice(80, 144)
SIDE: Final = 224
_RESCALE: Final = 102.0
_FIVE_OF_68: Final = ((36, 39), (42, 45), (30,), (48,), (54,))
"""Eye corners, nose tip and mouth corners among the 68 template points."""


class _Residual(nn.Module):
    """Bottleneck block of ResNet-50 with the stride in its 3 x 3 convolution."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample: nn.Module | None = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))
        else:
            self.downsample = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[n, inputs, h, w]`` to ``[n, 4 width, h / stride, w / stride]``."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class _Trunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for place, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
            blocks = []
            for index in range(count):
                blocks.append(_Residual(inputs, width, 2 if index == 0 and place > 1 else 1))
                inputs = 4 * width
            self.add_module(f"layer{place}", nn.Sequential(*blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        for place in (1, 2, 3, 4):
            x = self.get_submodule(f"layer{place}")(x)
        return F.adaptive_avg_pool2d(x, 1)


class Deep3d(nn.Module):
    """ResNet-50 with one linear layer for each group of coefficients."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _Trunk()
        self.final_layers = nn.ModuleList(nn.Conv2d(2048, width, 1) for width in PARTS.values())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coefficients of aligned faces.

        Args:
            x: ``float32 RGB [n, 3, 224, 224]`` in [0, 1].

        Returns:
            ``float32 [n, 257]``, in the order of ``PARTS``.
        """
        pooled = self.backbone(x)
        return torch.cat([layer(pooled) for layer in self.final_layers], dim=1).flatten(1)


@lru_cache(maxsize=2)
def load_deep3d(path: Path, device: str) -> Deep3d:
    """The network with the weights of ``epoch_20.pth``, in evaluation mode.

    Raises:
        ValueError: when the file is not that network.
    """
    network = Deep3d()
    load_weights(network, read_tensors(path, key="net_recon"), source=path.name)
    network = network.eval().requires_grad_(False)
    fold_batch_norms(network)
    return network.to(device)


def template_points(path: Path) -> NDArray[np.float64]:
    """Five points of the template face ``[5, 3]`` from ``similarity_Lm3D_all.mat``: eyes, nose, mouth corners.

    Raises:
        ValueError: when the file does not hold 68 points.
    """
    import scipy.io

    points = np.asarray(scipy.io.loadmat(str(path)).get("lm"), dtype=np.float64)
    if points.shape != (68, 3):
        raise ValueError(f"{path.name}: expected 68 points in an entry 'lm', found {points.shape}")
    return np.stack([points[list(group)].mean(axis=0) for group in _FIVE_OF_68])


def scale_and_shift(five: NDArray[np.floating], template: NDArray[np.floating]) -> tuple[float, float, float]:
    """The scaled orthographic camera that brings the template nearest to five image points.

    Args:
        five: ``[5, 2]``, x to the right and y up.
        template: ``[5, 3]``.

    Returns:
        The mean length of the two rows of the camera, and the image position (x, y) of the template's origin.
    """
    design = np.concatenate([np.asarray(template, dtype=np.float64), np.ones((5, 1))], axis=1)
    solution, *_ = np.linalg.lstsq(design, np.asarray(five, dtype=np.float64), rcond=None)
    lengths = np.linalg.norm(solution[:3], axis=0)
    return float(lengths.mean()), float(solution[3, 0]), float(solution[3, 1])


def align_face(frame: FrameArray, five: NDArray[np.floating], template: NDArray[np.floating]) -> FrameArray:
    """The face as the network was trained on it.

    The whole frame is scaled with PIL's bicubic filter so that the template has 102 pixels per unit, then 224 x 224
    pixels around the template's origin are cut; what lies outside of the frame is black.

    Args:
        frame: ``uint8 RGB [H, W, 3]``.
        five: ``[5, 2]`` in pixels, y down: the eyes (left and right in the image), nose, mouth corners.
        template: From ``template_points``.

    Returns:
        ``uint8 RGB [224, 224, 3]``.
    """
    from PIL import Image

    height, width = frame.shape[:2]
    points = np.asarray(five, dtype=np.float64).copy()
    points[:, 1] = height - 1 - points[:, 1]
    length, x, y = scale_and_shift(points, template)
    scale = _RESCALE / length
    new_width, new_height = int(width * scale), int(height * scale)
    left = int(new_width / 2 - SIDE / 2 + (x - width / 2) * scale)
    top = int(new_height / 2 - SIDE / 2 + (height / 2 - y) * scale)
    image = Image.fromarray(np.ascontiguousarray(frame)).resize(
        (new_width, new_height), resample=Image.Resampling.BICUBIC
    )
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)), dtype=np.uint8)
