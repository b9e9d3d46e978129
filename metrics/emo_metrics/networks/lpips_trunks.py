"""LPIPS on AlexNet and VGG16 (Zhang et al. 2018, arXiv 1801.03924), version 0.1.

The trunks take torchvision's classification files; the linear heads come with the installed package ``lpips``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final, Literal

import torch
from torch import nn

from emo_metrics.networks.engines import TORCH, Engine, with_engine
from emo_metrics.networks.weight_files import load_weights, read_tensors, require_sha256

Trunk = Literal["alex", "vgg"]

_HEADS_SHA256: Final = {
    "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "vgg": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
}
_SHIFT: Final = (-0.030, -0.088, -0.188)
_SCALE: Final = (0.458, 0.448, 0.450)
_READ_AFTER: Final = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
"""Positions of the ReLUs whose outputs are compared."""


def _features(trunk: Trunk) -> nn.Sequential:
    if trunk == "alex":
        return nn.Sequential(
            *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        )
    layers: list[nn.Module] = []
    inputs = 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        inputs = width or inputs
    return nn.Sequential(*layers)


class Lpips(nn.Module):
    """Distances between pairs of images.

    Args:
        trunk: Which network.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.features = _features(trunk)
        self._read_after = _READ_AFTER[trunk]
        convolutions = [layer for layer in self.features if isinstance(layer, nn.Conv2d)]
        widths = [64, 128, 256, 512, 512] if trunk == "vgg" else [layer.out_channels for layer in convolutions]
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 1, bias=False) for width in widths)
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Distance of every pair, 0 for equal images.

        Args:
            a: ``float32 RGB [n, 3, H, W]`` in [-1, 1].
            b: The same.

        Returns:
            ``float32 [n]``.
        """
        parts = [
            head((_unit(x) - _unit(y)).square()).mean(dim=(1, 2, 3))
            for head, x, y in zip(self.heads, self._read(a), self._read(b), strict=True)
        ]
        total: torch.Tensor = sum(parts[1:], start=parts[0])
        return total

    def _read(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = (x - self.get_buffer("shift")) / self.get_buffer("scale")
        x = x.contiguous(memory_format=torch.channels_last)
        outputs = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self._read_after:
                outputs.append(x)
        return outputs


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


def heads_file(trunk: Trunk) -> Path:
    """The linear heads within the installed package ``lpips``, found without importing it.

    Raises:
        FileNotFoundError: when the package is not installed.
        ValueError: when the file has other bytes than those of version 0.1.
    """
    found = importlib.util.find_spec("lpips")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the package lpips is not installed; it holds the linear heads of LPIPS")
    path = Path(found.submodule_search_locations[0]) / "weights" / "v0.1" / f"{trunk}.pth"
    return require_sha256(path, _HEADS_SHA256[trunk])


def load_lpips(trunk: Trunk, trunk_file: Path, device: str, *, engine: Engine = TORCH) -> nn.Module:
    """LPIPS with the weights of torchvision's file, in evaluation mode.

    Args:
        trunk: Which network.
        trunk_file: ``alexnet-owt-7be5be79.pth`` or ``vgg16-397923af.pth``.
        device: Of the network.
        engine: What computes it.

    Raises:
        ValueError: when a file is not the expected one.
    """
    network = Lpips(trunk)
    wanted = {name: value for name, value in read_tensors(trunk_file).items() if not name.startswith("classifier.")}
    heads = read_tensors(heads_file(trunk))
    wanted |= {f"heads.{i}.weight": heads[f"lin{i}.model.1.weight"] for i in range(len(network.heads))}
    load_weights(network, wanted, source=trunk_file.name)
    network = network.eval().requires_grad_(False).to(device)
    return with_engine(network.to(memory_format=torch.channels_last), engine)
