"""Small networks trained by several processes: the same weights as from one, and one set of checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from emo_models.training.checkpoints import complete_checkpoints
from emo_models.training.loop import Loop, LoopConfig
from emo_models.training.muon import MuonAdamW
from emo_models.training.network import NetworkTrainee, adamw
from emo_models.training.workers import Workers

ROWS = 6


@given(n=st.integers(1, 40), count=st.integers(1, 12))
def test_every_row_is_somebodys_and_nobody_has_none(n: int, count: int) -> None:
    shares = [Workers(rank=rank, count=count).share(n) for rank in range(count)]
    assert {row for share in shares for row in share} == set(range(n))
    assert all(len(share) for share in shares)
    if count <= n:
        assert sum(len(share) for share in shares) == n


@given(costs=st.lists(st.integers(1, 100), max_size=30), count=st.integers(1, 6))
def test_every_piece_of_work_is_one_process_s_and_nobody_has_much_more(costs: list[int], count: int) -> None:
    parts = [Workers(rank=rank, count=count).partition(costs) for rank in range(count)]
    assert sorted(piece for mine in parts for piece in mine) == list(range(len(costs)))
    loads = [sum(costs[piece] for piece in mine) for mine in parts]
    assert max(loads) - min(loads) <= max(costs, default=0)


def test_alone_nothing_is_exchanged() -> None:
    tensors = [torch.tensor([1.0, 2.0]), torch.tensor(3.0)]
    Workers().average(tensors)
    Workers().wait()
    assert Workers().agree("mine") == "mine"
    assert [tensor.tolist() for tensor in tensors] == [[1.0, 2.0], 3.0]


class Measuring(nn.Module):
    """A layer with weights, and a norm that measures what comes out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + 0 * self.norm(self.layer(x))


def train(out: Path, workers: Workers) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = Measuring()

    def loss_of(step: int) -> Tensor:
        images = torch.randn(ROWS, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        return (model(images[list(workers.share(ROWS))]) - 1).square().mean()

    trainee = NetworkTrainee(
        model, loss_of, adamw(model), rate=lambda step: 0.01, grad_clip=1.0, ema=0.9, workers=workers
    )
    settings = LoopConfig(name="t", steps=4, checkpoint_every=2)
    Loop(trainee, settings, out / "checkpoints", report=lambda line: None, workers=workers).run()
    trainee.finish()
    return model.state_dict()


def muon_steps(workers: Workers) -> list[list[list[float]]]:
    """Weights after two steps of Muon with gradients that all processes have."""
    draw = torch.Generator().manual_seed(0)
    layers = [nn.Parameter(torch.randn(shape, generator=draw)) for shape in ((6, 4), (6, 4), (3, 30), (5, 5))]
    optimizer = MuonAdamW([{"params": layers, "matrices": True}], lr=0.1, workers=workers)
    for _ in range(2):
        for layer in layers:
            layer.grad = torch.randn(layer.shape, generator=draw)
        optimizer.step()
    return [layer.tolist() for layer in layers]


def in_a_process_of_two(folder: Path) -> None:
    """What torchrun starts twice; see the end of the file."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    workers = Workers(rank=rank, count=2)
    weights = train(folder / ("out" if rank == 0 else "nobody-writes-here"), workers)
    agreed = workers.agree(f"of {rank}")
    muon = muon_steps(workers)
    workers.wait()
    answer = {"weights": {name: value.tolist() for name, value in weights.items()}, "agreed": agreed, "muon": muon}
    (folder / f"rank-{rank}.json").write_text(json.dumps(answer))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, __file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2))
    assert first["agreed"] == second["agreed"] == "of 0"
    assert first["weights"] == second["weights"], "the networks drifted apart"
    assert first["muon"] == second["muon"] == muon_steps(Workers())
    alone = train(tmp_path / "alone", Workers())
    for name in ("layer.weight", "layer.bias", "norm.running_mean"):
        torch.testing.assert_close(torch.tensor(first["weights"][name]), alone[name], atol=1e-5, rtol=1e-4)
    # Measured within shares of three pictures.
    torch.testing.assert_close(
        torch.tensor(first["weights"]["norm.running_var"]), alone["norm.running_var"], atol=0, rtol=0.05
    )
    assert [path.name for path in complete_checkpoints(tmp_path / "out" / "checkpoints")] == [
        "step-00000002",
        "step-00000004",
    ]
    assert not (tmp_path / "nobody-writes-here").exists()


if __name__ == "__main__":
    in_a_process_of_two(Path(sys.argv[1]))
