"""The networks of FID, FVD and LPIPS where their weights do not lie on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_device import DEVICE, FakeDevice
from torch import nn

from emo_metrics.extractors.inception_frames import WEIGHTS, InceptionPytorchFid
from emo_metrics.extractors.lpips_frames import LpipsAlexFrames
from emo_metrics.extractors.video_windows import STATE_DICT, I3dCd
from emo_metrics.networks.i3d import I3d
from emo_metrics.networks.inception_fid import InceptionFid
from emo_metrics.networks.lpips_trunks import Lpips

FRAMES = np.random.default_rng(0).integers(0, 256, (16, 40, 48, 3), dtype=np.uint8)


def _file(folder: Path, name: str, network: nn.Module) -> dict[str, Path]:
    torch.save(network.state_dict(), folder / name)
    return {name: folder / name}


def _inception(folder: Path, device: str) -> np.ndarray:
    return InceptionPytorchFid(_file(folder, WEIGHTS, InceptionFid()), device=device).features(FRAMES[:1])


def _i3d(folder: Path, device: str) -> np.ndarray:
    return I3dCd(_file(folder, STATE_DICT, I3d()), device=device).window_features(FRAMES)


def _lpips(folder: Path, device: str) -> np.ndarray:
    trunk = nn.Sequential()
    trunk.features = Lpips("alex").features
    (name,) = LpipsAlexFrames.weights
    return np.array(LpipsAlexFrames(_file(folder, name, trunk), device=device).distance(FRAMES[0], FRAMES[1]))


@pytest.mark.slow
@pytest.mark.parametrize("compute", [_inception, _i3d, _lpips])
def test_features_are_those_of_the_cpu(compute: Callable[[Path, str], np.ndarray], tmp_path: Path) -> None:
    torch.manual_seed(0)
    (tmp_path / "cpu").mkdir()
    here = compute(tmp_path / "cpu", "cpu")
    torch.manual_seed(0)
    (tmp_path / "far").mkdir()
    with FakeDevice():
        there = compute(tmp_path / "far", str(DEVICE))
    np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-6)
