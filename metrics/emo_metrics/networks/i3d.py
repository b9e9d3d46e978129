"""I3D: the video network behind the Fréchet Video Distance (Carreira and Zisserman 2017, arXiv 1705.07750).

The module takes the state dict ``i3d_pretrained_400.pt`` by its own names. What FVD reads are the 400 logits averaged
over time, not the 1024 pooled features.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from emo_metrics.networks.engines import TORCH, Engine, with_engine
from emo_metrics.networks.folding import fold_batch_norms
from emo_metrics.networks.weight_files import load_weights, read_tensors

CLASSES: Final = 400
SIDE: Final = 224
_Triple = tuple[int, int, int]


def _pad_same(x: torch.Tensor, size: _Triple, stride: _Triple) -> torch.Tensor:
    """Zero padding as TensorFlow's 'SAME': the odd pixel goes to the end."""
    padding: list[int] = []
    for length, kernel, step in zip(x.shape[2:], size, stride, strict=True):
        whole = max(kernel - step, 0) if length % step == 0 else max(kernel - length % step, 0)
        padding = [whole // 2, whole - whole // 2, *padding]
    return F.pad(x, padding)


class ConvUnit(nn.Module):
    """Convolution with 'SAME' padding, then batch norm and ReLU unless it is the classifier."""

    def __init__(
        self, inputs: int, outputs: int, size: _Triple, stride: _Triple = (1, 1, 1), *, plain: bool = False
    ) -> None:
        super().__init__()
        self._size, self._stride, self._plain = size, stride, plain
        self.conv3d = nn.Conv3d(inputs, outputs, size, stride=stride, bias=plain)
        if not plain:
            self.bn = nn.BatchNorm3d(outputs, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[n, inputs, t, h, w]`` to ``[n, outputs, t', h', w']``."""
        x = self.conv3d(_pad_same(x, self._size, self._stride))
        return x if self._plain else F.relu(self.bn(x), inplace=True)


class PoolSame(nn.Module):
    """Maximum with 'SAME' padding; the padding is zero, not minus infinity, as in the network's TensorFlow original."""

    def __init__(self, size: _Triple, stride: _Triple) -> None:
        super().__init__()
        self._size, self._stride = size, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[n, c, t, h, w]`` to ``[n, c, t', h', w']``."""
        return F.max_pool3d(_pad_same(x, self._size, self._stride), self._size, self._stride)


class Inception3d(nn.Module):
    """Four parallel branches; ``widths`` are those of b0, b1a, b1b, b2a, b2b and b3b."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, three = (1, 1, 1), (3, 3, 3)
        self.b0 = ConvUnit(inputs, widths[0], one)
        self.b1a = ConvUnit(inputs, widths[1], one)
        self.b1b = ConvUnit(widths[1], widths[2], three)
        self.b2a = ConvUnit(inputs, widths[3], one)
        self.b2b = ConvUnit(widths[3], widths[4], three)
        self.b3a = PoolSame(three, one)
        self.b3b = ConvUnit(inputs, widths[5], one)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[n, inputs, t, h, w]`` to ``[n, sum of widths 0, 2, 4, 5, t, h, w]``."""
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], dim=1)


_MIXED: Final = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}


class I3d(nn.Module):
    """Videos to 400 logits; at least 10 frames, since time shrinks eightfold before a window of two."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = ConvUnit(3, 64, (7, 7, 7), (2, 2, 2))
        self.MaxPool3d_2a_3x3 = PoolSame((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = ConvUnit(64, 64, (1, 1, 1))
        self.Conv3d_2c_3x3 = ConvUnit(64, 192, (3, 3, 3))
        self.MaxPool3d_3a_3x3 = PoolSame((1, 3, 3), (1, 2, 2))
        self.MaxPool3d_4a_3x3 = PoolSame((3, 3, 3), (2, 2, 2))
        self.MaxPool3d_5a_2x2 = PoolSame((2, 2, 2), (2, 2, 2))
        for name, (inputs, widths) in _MIXED.items():
            self.add_module(f"Mixed_{name}", Inception3d(inputs, widths))
        self.logits = ConvUnit(1024, CLASSES, (1, 1, 1), plain=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits averaged over time.

        Args:
            x: ``float32 [n, 3, t, 224, 224]`` in [-1, 1], t at least 9.

        Returns:
            ``float32 [n, 400]``.
        """
        x = x.contiguous(memory_format=torch.channels_last_3d)
        x = self.MaxPool3d_2a_3x3(self.Conv3d_1a_7x7(x))
        x = self.MaxPool3d_3a_3x3(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)))
        for name in _MIXED:
            if name in ("4b", "5b"):
                x = self.get_submodule("MaxPool3d_4a_3x3" if name == "4b" else "MaxPool3d_5a_2x2")(x)
            x = self.get_submodule(f"Mixed_{name}")(x)
        x = self.logits(F.avg_pool3d(x, (2, 7, 7), stride=1))
        return x.mean(dim=(2, 3, 4))


TENSORFLOW_EPSILON: Final = 1e-3
"""Of the batch norms of the network's original; the PyTorch port has 1e-5."""


@lru_cache(maxsize=2)
def load_i3d(path: Path, device: str, *, epsilon: float = 1e-5, engine: Engine = TORCH) -> nn.Module:
    """The network with the weights of ``i3d_pretrained_400.pt``, in evaluation mode.

    Args:
        path: That file, or a safetensors file with its names.
        device: Of the network.
        epsilon: Of the batch norms that the file belongs to.
        engine: What computes it.

    Raises:
        ValueError: when the file is not that network.
    """
    network = I3d()
    load_weights(network, read_tensors(path), source=path.name)
    network = network.eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eps = epsilon
    fold_batch_norms(network)
    return with_engine(network.to(device).to(memory_format=torch.channels_last_3d), engine)
