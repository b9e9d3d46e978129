"""SyncNet: mouth windows and audio windows to vectors that are near when they belong together.

Chung and Zisserman 2016, "Out of time". The module takes the state dict ``syncnet_v2.model`` by its own names.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import torch
from torch import nn

from emo_metrics.networks.folding import fold_batch_norms
from emo_metrics.networks.weight_files import load_weights, read_tensors

EMBEDDING: Final = 1024
WINDOW: Final = 5
"""Video frames in a window; a window of audio has four times as many cepstra."""


def _sound_layers() -> nn.Sequential:
    def unit(inputs: int, outputs: int, size: int | tuple[int, int], padding: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, size, padding=padding), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *unit(1, 64, 3, 1),
        nn.MaxPool2d(1, stride=1),
        *unit(64, 192, 3, 1),
        nn.MaxPool2d(3, stride=(1, 2)),
        *unit(192, 384, 3, 1),
        *unit(384, 256, 3, 1),
        *unit(256, 256, 3, 1),
        nn.MaxPool2d(3, stride=2),
        *unit(256, 512, (5, 4), 0),
    )


def _mouth_layers() -> nn.Sequential:
    def unit(inputs: int, outputs: int, size: tuple[int, int, int], stride: int, padding: int) -> list[nn.Module]:
        convolution = nn.Conv3d(inputs, outputs, size, stride=(1, stride, stride), padding=(0, padding, padding))
        return [convolution, nn.BatchNorm3d(outputs), nn.ReLU()]

    def pool(padding: int = 0) -> nn.Module:
        return nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, padding, padding))

    return nn.Sequential(
        *unit(3, 96, (WINDOW, 7, 7), 2, 0),
        pool(),
        *unit(96, 256, (1, 5, 5), 2, 1),
        pool(padding=1),
        *unit(256, 256, (1, 3, 3), 1, 1),
        *unit(256, 256, (1, 3, 3), 1, 1),
        *unit(256, 256, (1, 3, 3), 1, 1),
        pool(),
        *unit(256, 512, (1, 6, 6), 1, 0),
    )


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING))


class SyncNet(nn.Module):
    """The two towers."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = _sound_layers()
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = _mouth_layers()

    def mouth(self, frames: torch.Tensor) -> torch.Tensor:
        """Embeddings of every window of 5 consecutive frames.

        Only the first layer looks across time, so a run over t frames is the same as t − 4 runs over windows.

        Args:
            frames: ``float32 BGR [t, 3, 224, 224]`` in 0..255, not normalised.

        Returns:
            ``float32 [t - 4, 1024]``.
        """
        middle = self.netcnnlip(frames.transpose(0, 1)[None])[0, :, :, 0, 0]
        result: torch.Tensor = self.netfclip(middle.transpose(0, 1))
        return result

    def sound(self, cepstra: torch.Tensor) -> torch.Tensor:
        """Embeddings of windows of audio.

        Args:
            cepstra: ``float32 [n, 1, 13, 20]``.

        Returns:
            ``float32 [n, 1024]``.
        """
        result: torch.Tensor = self.netfcaud(self.netcnnaud(cepstra).flatten(1))
        return result

    forward = mouth


@lru_cache(maxsize=2)
def load_syncnet(path: Path, device: str) -> SyncNet:
    """The network with the weights of ``syncnet_v2.model``, in evaluation mode.

    Raises:
        ValueError: when the file is not that network.
    """
    network = SyncNet()
    load_weights(network, read_tensors(path), source=path.name)
    network = network.eval().requires_grad_(False)
    fold_batch_norms(network)
    return network.to(device)
