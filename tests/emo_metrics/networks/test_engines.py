"""OpenVINO computes what PyTorch does, to 1e-4 of the largest output, or is refused."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from emo_metrics.networks.engines import PARITY, is_installed, require_parity, with_engine
from emo_metrics.networks.folding import fold_batch_norms
from emo_metrics.networks.i3d import I3d
from emo_metrics.networks.inception_fid import InceptionFid
from emo_metrics.networks.inference import exact_inference
from emo_metrics.networks.lpips_trunks import Lpips
from emo_metrics.networks.signal_stack import signal_stack

needs_openvino = pytest.mark.skipif(not is_installed("openvino"), reason="openvino is not installed")


def _random(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            module.weight.data.normal_(0.0, (2.0 / module.weight[0].numel()) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_var.uniform_(0.7, 1.3, generator=generator)
    return fold_batch_norms(network.eval().requires_grad_(False))


def _inputs(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _lpips() -> nn.Module:
    network = Lpips("alex")
    for head in network.heads:
        head.weight.data.abs_()  # as the published heads, so that a distance is not a difference of large numbers
    return network


@needs_openvino
@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        (InceptionFid, lambda n: (_inputs(n, 3, 299, 299),)),
        (I3d, lambda n: (_inputs(n, 3, 16, 224, 224),)),
        (_lpips, lambda n: (_inputs(n, 3, 96, 80), _inputs(n, 3, 96, 80, seed=2))),
    ],
)
def test_openvino_agrees_with_pytorch(
    build: Callable[[], nn.Module], inputs: Callable[[int], tuple[torch.Tensor, ...]]
) -> None:
    network = _random(build())
    fast = with_engine(network, "openvino")
    with exact_inference():
        for count in (2, 1):  # the last batch of a clip is smaller
            found, truth = fast(*inputs(count)), network(*inputs(count))
            assert found.dtype == torch.float32
            assert found.shape == truth.shape
            assert float((found - truth).abs().max()) <= PARITY * float(truth.abs().max())


@needs_openvino
def test_frames_of_another_size_are_computed_too() -> None:
    network = _random(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    fast = with_engine(network, "openvino")
    with exact_inference():
        for shape in ((2, 3, 16, 12), (1, 3, 16, 12), (2, 3, 20, 24), (2, 3, 16, 12)):
            assert torch.allclose(fast(_inputs(*shape)), network(_inputs(*shape)), atol=1e-5)


@needs_openvino
def test_signals_are_handled_where_they_were_before() -> None:
    """OpenVINO's own stack for them is freed with the network; a signal would then end the process."""
    network = _random(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    fast = with_engine(network, "openvino")
    before = signal_stack()
    assert before
    for shape in ((2, 3, 16, 12), (2, 3, 20, 24)):
        fast(_inputs(*shape))
        assert signal_stack() == before
    with pytest.raises(KeyboardInterrupt):
        _interrupted()


def _interrupted() -> None:
    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(1)
    finally:
        signal.signal(signal.SIGUSR1, before)


@needs_openvino
def test_a_network_that_openvino_computes_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network, other = (nn.Conv2d(3, 4, 3).eval().requires_grad_(False) for _ in range(2))
    fast = with_engine(network, "openvino")
    compiled = with_engine(other, "openvino")
    with exact_inference():
        compiled(_inputs(1, 3, 8, 8))
        monkeypatch.setattr(
            "emo_metrics.networks.engines.compiled_network", lambda *_: next(iter(compiled._compiled.values()))
        )
        with pytest.raises(RuntimeError, match="differs from PyTorch"):
            fast(_inputs(1, 3, 8, 8))


def test_parity_is_relative_to_the_largest_output_and_refuses_what_is_no_number() -> None:
    truth = torch.tensor([[1000.0, 0.0]])
    require_parity(truth + 0.05, truth, name="network")
    for found in (truth + 0.2, truth * float("nan"), truth[0]):
        with pytest.raises(RuntimeError, match="network"):
            require_parity(found, truth, name="network")


def test_pytorch_is_the_network_itself() -> None:
    network = nn.Conv2d(3, 4, 3)
    assert with_engine(network, "torch") is network
