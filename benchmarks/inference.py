"""What each engine takes for the networks of FID, FVD and LPIPS, and how far it lies from PyTorch (docs/adr/0013).

Weights are seeded random values in the official shapes; times do not depend on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.parts import Row

Inputs = tuple[torch.Tensor, ...]


def networks() -> dict[str, tuple[nn.Module, Inputs, int]]:
    """By what is computed: the network as its extractor runs it, inputs, and how many are in the batch."""
    from emo_metrics.networks.i3d import I3d
    from emo_metrics.networks.inception_fid import InceptionFid
    from emo_metrics.networks.lpips_trunks import Lpips

    generator = torch.Generator().manual_seed(0)

    def pixels(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator) * 2 - 1

    flat, deep = torch.channels_last, torch.channels_last_3d
    return {
        "Inception, a frame": (_ready(InceptionFid()).to(memory_format=flat), (pixels(8, 3, 299, 299),), 8),
        "I3D, 16 frames": (_ready(I3d()).to(memory_format=deep), (pixels(1, 3, 16, 224, 224),), 1),
        "LPIPS alex, a pair of 256 x 256": (
            _ready(Lpips("alex")).to(memory_format=flat), (pixels(1, 3, 256, 256), pixels(1, 3, 256, 256)), 1
        ),
    }  # fmt: skip


def _ready(network: nn.Module) -> nn.Module:
    from emo_metrics.networks.folding import fold_batch_norms

    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            module.weight.data.normal_(0.0, (2.0 / module.weight[0].numel()) ** 0.5, generator=generator)
    if hasattr(network, "heads"):
        for head in network.heads:
            head.weight.data.abs_()  # as the published ones
    return fold_batch_norms(network.eval().requires_grad_(False))


def inference(folder: Path) -> list[Row]:
    """Processor milliseconds by network and engine, alternating; what the first use costs; the largest difference."""
    from emo_metrics.networks.engines import is_installed, with_engine
    from emo_metrics.networks.inference import exact_inference

    del folder
    rows = []
    for name, (network, inputs, count) in networks().items():
        if not is_installed("openvino"):
            best, _ = _best([lambda n=network, x=inputs: n(*x)])
            rows.append(Row("inference", f"{name}: torch", 1000 * best[0] / count, "processor ms"))
            continue
        fast = with_engine(network, "openvino")
        with exact_inference():
            began = time.process_time()
            fast(*inputs)
            first = time.process_time() - began
        best, (truth, found) = _best([lambda n=n, x=inputs: n(*x) for n in (network, fast)])
        difference = float((found - truth).abs().max() / truth.abs().max())
        rows += [
            Row("inference", f"{name}: torch", 1000 * best[0] / count, "processor ms"),
            Row("inference", f"{name}: openvino", 1000 * best[1] / count, "processor ms"),
            Row("inference", f"{name}: first use of openvino", first - best[1], "processor s more"),
            Row("inference", f"{name}: openvino / torch", best[1] / best[0]),
            Row("inference", f"{name}: largest difference", difference, "of the largest output"),
        ]
    return rows


def _best(actions: list[Callable[[], torch.Tensor]]) -> tuple[list[float], list[torch.Tensor]]:
    """The least processor seconds of each of three rounds, and what came out."""
    from emo_metrics.networks.inference import exact_inference

    best, outputs = [float("inf")] * len(actions), [torch.empty(0)] * len(actions)
    with exact_inference():
        for _ in range(3):
            for index, action in enumerate(actions):
                began = time.process_time()
                outputs[index] = action()
                best[index] = min(best[index], time.process_time() - began)
    return best, outputs
