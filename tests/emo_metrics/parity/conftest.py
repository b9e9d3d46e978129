"""Seeded random weights in the official file formats, given to the reference implementations and to ours alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

ASSETS = Path(__file__).resolve().parents[3] / ".." / "shared" / "assets"


def randomise(network: nn.Module, seed: int) -> nn.Module:
    """Random weights under which signals neither vanish nor explode, so that outputs differ between inputs."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0.0, (2.0 / fan_in) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0.0, 0.1, generator=generator)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.weight.data.uniform_(0.8, 1.2, generator=generator)
            module.bias.data.normal_(0.0, 0.1, generator=generator)
            module.running_mean.normal_(0.0, 0.1, generator=generator)
            module.running_var.uniform_(0.7, 1.3, generator=generator)
    return network.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def smooth_frames(count: int) -> np.ndarray:
    """Smooth coloured frames with edges, ``uint8 RGB [count, 200, 240, 3]``."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:200, 0:240]
    result = np.empty((count, 200, 240, 3), dtype=np.uint8)
    for i in range(count):
        a, b, c = rng.uniform(0.01, 0.2, size=3)
        wave = np.stack([np.sin(a * x + i), np.cos(b * y), np.sin(c * (x + y))], axis=2)
        disc = ((x - 120) ** 2 + (y - 90 - i) ** 2 < (40 + 2 * i) ** 2)[..., None]
        noise = rng.normal(scale=8.0, size=wave.shape)
        result[i] = np.clip(128 + 80 * wave + 40 * disc + noise, 0, 255)
    return result


@pytest.fixture(scope="session")
def frames() -> np.ndarray:
    return smooth_frames(8)


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from emo_metrics.networks.inception_fid import InceptionFid

    path = tmp_path_factory.mktemp("weights") / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(randomise(InceptionFid(), 0).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def i3d_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from emo_metrics.networks.i3d import I3d

    path = tmp_path_factory.mktemp("weights") / "i3d_pretrained_400.pt"
    torch.save(randomise(I3d(), 1).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def sync_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from emo_metrics.extractors.sync_windows import DETECTOR, SYNCNET
    from emo_metrics.networks.s3fd import S3fd
    from emo_metrics.networks.syncnet import SyncNet

    folder = tmp_path_factory.mktemp("weights")
    syncnet, detector = randomise(SyncNet(), 2), randomise(S3fd(), 3)
    assert isinstance(detector, S3fd)
    # The first layer sees 0..255; offsets of boxes stay small, and scores spread over the whole range.
    syncnet.netcnnlip[0].weight.data.div_(128.0)
    detector.vgg[0].weight.data.div_(64.0)
    for head in detector.loc:
        head.weight.data.mul_(0.02)
    for norm in (detector.L2Norm3_3, detector.L2Norm4_3, detector.L2Norm5_3):
        norm.weight.data.fill_(60.0)
    torch.save(syncnet.state_dict(), folder / SYNCNET)
    torch.save(detector.state_dict(), folder / DETECTOR)
    return {SYNCNET: folder / SYNCNET, DETECTOR: folder / DETECTOR}
