"""Our networks take every official file: names and shapes as listed from the reference implementations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from emo_metrics.networks.deep3d import Deep3d
from emo_metrics.networks.i3d import I3d
from emo_metrics.networks.inception_fid import InceptionFid
from emo_metrics.networks.lpips_trunks import Lpips
from emo_metrics.networks.s3fd import S3fd
from emo_metrics.networks.syncnet import SyncNet

LISTS = Path(__file__).parent / "official_names"

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "pt_inception-2015-12-05-6726825d.pth": InceptionFid,
    "i3d_pretrained_400.pt": I3d,
    "syncnet_v2.model": SyncNet,
    "sfd_face.pth": S3fd,
    "alexnet-owt-7be5be79.pth": lambda: Lpips("alex"),
    "vgg16-397923af.pth": lambda: Lpips("vgg"),
    "epoch_20.pth.net_recon": Deep3d,
}


def _shapes(state: dict[str, torch.Tensor]) -> dict[str, str]:
    return {
        name: "x".join(map(str, value.shape)) or "scalar"
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }


def _listed(name: str) -> dict[str, str]:
    lines = (LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {key: shape for key, shape in (line.split() for line in lines) if not key.startswith("classifier.")}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_names_and_shapes_of_the_official_file(name: str) -> None:
    with torch.device("meta"):
        ours = _shapes(NETWORKS[name]().state_dict())
    # The linear heads of LPIPS are in a file of their own.
    assert {key: shape for key, shape in ours.items() if not key.startswith("heads.")} == _listed(name)


def test_lists_are_not_empty() -> None:
    assert {path.stem for path in LISTS.glob("*.txt")} == set(NETWORKS)
    assert min(len(_listed(name)) for name in NETWORKS) >= 10


@pytest.mark.reference
def test_lists_are_those_of_the_reference_packages() -> None:
    i3d = pytest.importorskip("cdfvd.third_party.i3d.pytorch_i3d")
    syncnet = pytest.importorskip("syncnet_python.SyncNetModel")
    nets = pytest.importorskip("syncnet_python.detectors.s3fd.nets")
    with torch.device("meta"):
        assert _shapes(i3d.InceptionI3d(400, in_channels=3).state_dict()) == _listed("i3d_pretrained_400.pt")
        assert _shapes(syncnet.S().state_dict()) == _listed("syncnet_v2.model")
        assert _shapes(nets.S3FDNet(device="cpu").state_dict()) == _listed("sfd_face.pth")
