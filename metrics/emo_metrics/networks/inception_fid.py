"""The Inception network of the Fréchet Inception Distance, as the TensorFlow graph of 2015-12-05 computes it.

One network takes the official state dict ``pt_inception-2015-12-05-6726825d.pth`` (names as in torchvision). It differs
from torchvision's Inception v3 in its pooling branches: averages leave the zero padding out of their count, and the
last block takes a maximum instead of an average, because the graph does so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import nn

from emo_metrics.networks.engines import TORCH, Engine, with_engine
from emo_metrics.networks.folding import fold_batch_norms
from emo_metrics.networks.weight_files import load_weights, read_tensors

FEATURES: Final = 2048
SIDE: Final = 299
_CLASSES: Final = 1008

Pool = Literal["average", "maximum"]
_Size = int | tuple[int, int]


class ConvNormRelu(nn.Module):
    """Convolution without bias, batch norm with epsilon 1e-3, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: _Size, stride: int = 1, padding: _Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[n, inputs, h, w]`` to ``[n, outputs, h', w']``."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


_Step = str | tuple[str, str]
"""A layer by name, or two layers side by side whose outputs are joined."""


class Mixed(nn.Module):
    """Parallel branches whose outputs are joined along the channels.

    Args:
        layers: Layer name -> arguments of ``ConvNormRelu``.
        branches: For each branch its steps in order.
        pool: What the pooling branch does, with stride 1 and a projection named ``branch_pool``; None means a maximum
            with stride 2 and no projection.
    """

    def __init__(
        self,
        layers: Mapping[str, tuple[int, int, _Size, int, _Size]],
        branches: Sequence[Sequence[_Step]],
        pool: Pool | None,
    ) -> None:
        super().__init__()
        for name, (inputs, outputs, size, stride, padding) in layers.items():
            self.add_module(name, ConvNormRelu(inputs, outputs, size, stride, padding))
        self._branches = tuple(tuple(steps) for steps in branches)
        self._pool = pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[n, c, h, w]`` to ``[n, c', h', w']``."""
        parts = [self._branch(x, steps) for steps in self._branches]
        return torch.cat([*parts, self._pooled(x)], dim=1)

    def _branch(self, x: torch.Tensor, steps: Sequence[_Step]) -> torch.Tensor:
        for step in steps:
            x = self._layer(step, x) if isinstance(step, str) else torch.cat([self._layer(s, x) for s in step], dim=1)
        return x

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        if self._pool is None:
            return F.max_pool2d(x, 3, stride=2)
        if self._pool == "average":
            return self._layer("branch_pool", F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))
        return self._layer("branch_pool", F.max_pool2d(x, 3, stride=1, padding=1))

    def _layer(self, name: str, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.get_submodule(name)(x)
        return result


def _block_35(inputs: int, pooled: int) -> Mixed:
    """35 x 35 blocks Mixed_5b to 5d."""
    return Mixed(
        {
            "branch1x1": (inputs, 64, 1, 1, 0),
            "branch5x5_1": (inputs, 48, 1, 1, 0),
            "branch5x5_2": (48, 64, 5, 1, 2),
            "branch3x3dbl_1": (inputs, 64, 1, 1, 0),
            "branch3x3dbl_2": (64, 96, 3, 1, 1),
            "branch3x3dbl_3": (96, 96, 3, 1, 1),
            "branch_pool": (inputs, pooled, 1, 1, 0),
        },
        [["branch1x1"], ["branch5x5_1", "branch5x5_2"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]],
        "average",
    )


def _shrink_35(inputs: int) -> Mixed:
    """Mixed_6a: 35 x 35 to 17 x 17."""
    return Mixed(
        {
            "branch3x3": (inputs, 384, 3, 2, 0),
            "branch3x3dbl_1": (inputs, 64, 1, 1, 0),
            "branch3x3dbl_2": (64, 96, 3, 1, 1),
            "branch3x3dbl_3": (96, 96, 3, 2, 0),
        },
        [["branch3x3"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]],
        None,
    )


def _block_17(inner: int) -> Mixed:
    """17 x 17 blocks Mixed_6b to 6e; wide and tall kernels in turn."""
    wide: _Size = (1, 7)
    tall: _Size = (7, 1)
    return Mixed(
        {
            "branch1x1": (768, 192, 1, 1, 0),
            "branch7x7_1": (768, inner, 1, 1, 0),
            "branch7x7_2": (inner, inner, wide, 1, (0, 3)),
            "branch7x7_3": (inner, 192, tall, 1, (3, 0)),
            "branch7x7dbl_1": (768, inner, 1, 1, 0),
            "branch7x7dbl_2": (inner, inner, tall, 1, (3, 0)),
            "branch7x7dbl_3": (inner, inner, wide, 1, (0, 3)),
            "branch7x7dbl_4": (inner, inner, tall, 1, (3, 0)),
            "branch7x7dbl_5": (inner, 192, wide, 1, (0, 3)),
            "branch_pool": (768, 192, 1, 1, 0),
        },
        [["branch1x1"], [f"branch7x7_{i}" for i in (1, 2, 3)], [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)]],
        "average",
    )


def _shrink_17() -> Mixed:
    """Mixed_7a: 17 x 17 to 8 x 8."""
    return Mixed(
        {
            "branch3x3_1": (768, 192, 1, 1, 0),
            "branch3x3_2": (192, 320, 3, 2, 0),
            "branch7x7x3_1": (768, 192, 1, 1, 0),
            "branch7x7x3_2": (192, 192, (1, 7), 1, (0, 3)),
            "branch7x7x3_3": (192, 192, (7, 1), 1, (3, 0)),
            "branch7x7x3_4": (192, 192, 3, 2, 0),
        },
        [["branch3x3_1", "branch3x3_2"], [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)]],
        None,
    )


def _block_8(inputs: int, pool: Pool) -> Mixed:
    """8 x 8 blocks Mixed_7b and 7c; branches end in a wide and a tall kernel side by side."""
    wide: tuple[int, int, _Size, int, _Size] = (384, 384, (1, 3), 1, (0, 1))
    tall: tuple[int, int, _Size, int, _Size] = (384, 384, (3, 1), 1, (1, 0))
    return Mixed(
        {
            "branch1x1": (inputs, 320, 1, 1, 0),
            "branch3x3_1": (inputs, 384, 1, 1, 0),
            "branch3x3_2a": wide,
            "branch3x3_2b": tall,
            "branch3x3dbl_1": (inputs, 448, 1, 1, 0),
            "branch3x3dbl_2": (448, 384, 3, 1, 1),
            "branch3x3dbl_3a": wide,
            "branch3x3dbl_3b": tall,
            "branch_pool": (inputs, 192, 1, 1, 0),
        },
        [
            ["branch1x1"],
            ["branch3x3_1", ("branch3x3_2a", "branch3x3_2b")],
            ["branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")],
        ],
        pool,
    )


class InceptionFid(nn.Module):
    """Prepared images to pooled features.

    Args:
        classifier: Whether to hold the 1008-way classifier of the official file; no metric here reads it.
    """

    def __init__(self, *, classifier: bool = True) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNormRelu(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvNormRelu(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvNormRelu(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvNormRelu(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvNormRelu(80, 192, 3)
        self.Mixed_5b = _block_35(192, 32)
        self.Mixed_5c = _block_35(256, 64)
        self.Mixed_5d = _block_35(288, 64)
        self.Mixed_6a = _shrink_35(288)
        self.Mixed_6b = _block_17(128)
        self.Mixed_6c = _block_17(160)
        self.Mixed_6d = _block_17(160)
        self.Mixed_6e = _block_17(192)
        self.Mixed_7a = _shrink_17()
        self.Mixed_7b = _block_8(1280, "average")
        self.Mixed_7c = _block_8(2048, "maximum")
        if classifier:
            self.fc = nn.Linear(FEATURES, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of prepared images.

        Args:
            x: ``float32 [n, 3, 299, 299]``, scaled to about [-1, 1].

        Returns:
            ``float32 [n, 2048]``.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = self.get_submodule(f"Mixed_{name}")(x)
        return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)


@lru_cache(maxsize=2)
def load_inception(path: Path, device: str, *, engine: Engine = TORCH) -> nn.Module:
    """The network with the weights of the official file, in evaluation mode; the protocols in a process share it.

    Args:
        path: The official file, or a safetensors file of its tensors; the classifier may be left out of the latter.
        device: Of the network.
        engine: What computes it.

    Raises:
        ValueError: when the file is not that network.
    """
    tensors = read_tensors(path)
    network = InceptionFid(classifier="fc.weight" in tensors or path.suffix != ".safetensors")
    load_weights(network, tensors, source=path.name)
    network = network.eval().requires_grad_(False)
    fold_batch_norms(network)
    return with_engine(network.to(device).to(memory_format=torch.channels_last), engine)
