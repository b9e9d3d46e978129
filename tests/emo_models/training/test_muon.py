"""Muon beside AdamW: equal to PyTorch's own where those exist, and resumable."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from emo_models.training.muon import MuonAdamW, _step_by_step, orthogonal, split_matrices


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.Flatten(), nn.Linear(8 * 16, 4))


def train(network: nn.Module, optimizers: list[torch.optim.Optimizer], steps: int, *, seed: int = 1) -> list[float]:
    draw = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(steps):
        x, y = torch.randn(16, 3, 4, 4, generator=draw), torch.randn(16, 4, generator=draw)
        loss = (network(x) - y).square().mean()
        network.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def two_kinds(network: nn.Module, **options: float) -> MuonAdamW:
    return MuonAdamW(split_matrices([{"params": list(network.parameters()), "lr_scale": 1.0}]), **options)


@pytest.mark.parametrize("shape", [(4, 6, 40), (2, 40, 6), (1, 16, 16)])
def test_orthogonal_has_singular_values_near_one_and_the_same_directions(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    made = orthogonal(matrices).float()
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    inner = u.transpose(1, 2) @ made @ vh.transpose(1, 2)
    singular = inner.diagonal(dim1=1, dim2=2)
    # The smallest directions of a square matrix may stay below: five steps lift 1e-2 to about 0.7, not 1e-4.
    assert singular.median() > 0.65
    assert singular.max() < 1.3
    assert (inner - torch.diag_embed(singular)).abs().max() < 0.1


@pytest.mark.parametrize("rank", [12, 3])
def test_five_polynomials_at_once_are_five_one_after_the_other(rank: int) -> None:
    """Also for a matrix with far more than is left in it: rounding must not make directions out of nothing."""
    draw = torch.Generator().manual_seed(0)
    sizes = torch.logspace(0, -4, rank)
    matrix = (torch.randn(1, 12, rank, generator=draw) * sizes) @ torch.randn(1, rank, 90, generator=draw)
    unit = matrix.double() / matrix.double().norm()
    made, expected = orthogonal(matrix).double(), _step_by_step(unit)
    assert (made - expected).norm() < 1e-3 * expected.norm()
    assert torch.equal(made.float().transpose(1, 2), orthogonal(matrix.transpose(1, 2)))


def test_a_matrix_of_zeros_stays_zero() -> None:
    assert not orthogonal(torch.zeros(2, 3, 5)).any()


def test_matrices_move_as_with_pytorchs_muon() -> None:
    ours, theirs = nn.Linear(12, 7, bias=False), nn.Linear(12, 7, bias=False)
    theirs.load_state_dict(ours.state_dict())
    began = ours.weight.detach().clone()
    settings = {"lr": 0.01, "weight_decay": 0.1, "momentum": 0.9}
    mine = two_kinds(ours, **settings)
    reference = torch.optim.Muon(theirs.parameters(), adjust_lr_fn="match_rms_adamw", **settings)
    draw = torch.Generator().manual_seed(0)
    for _ in range(4):
        gradient = torch.randn(7, 12, generator=draw)
        ours.weight.grad, theirs.weight.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()
    # PyTorch's rounds to bfloat16 on the way, ours does not.
    assert (ours.weight - theirs.weight).norm() < 0.03 * (theirs.weight - began).norm()


def test_everything_else_moves_as_with_adamw() -> None:
    ours = nn.GroupNorm(2, 8)
    theirs = copy.deepcopy(ours)
    x = torch.randn(4, 8, 3, generator=torch.Generator().manual_seed(0))
    mine = two_kinds(ours, lr=0.01, weight_decay=0.1)
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(5):
        for network, optimizer in ((ours, mine), (theirs, reference)):
            optimizer.zero_grad()
            network(x).pow(3).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), atol=1e-6, rtol=0)


def test_a_convolution_is_one_matrix_per_output_channel_and_its_memory_format_does_not_matter() -> None:
    plain = small_network()
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    losses = [train(network, [two_kinds(network, lr=0.02)], 6) for network in (plain, last)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


def test_it_learns() -> None:
    network = small_network()
    draw = torch.Generator().manual_seed(2)
    x, y = torch.randn(16, 3, 4, 4, generator=draw), torch.randn(16, 4, generator=draw)
    optimizer = two_kinds(network, lr=0.02)
    losses: list[Tensor] = []
    for _ in range(40):
        losses.append((network(x) - y).square().mean())
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.1 * losses[0]


def test_going_on_from_a_saved_state_gives_the_same_steps() -> None:
    whole = small_network()
    expected = [*train(whole, [optimizer := two_kinds(whole, lr=0.01)], 3), *train(whole, [optimizer], 3, seed=5)]
    first = small_network()
    begun = train(first, [optimizer := two_kinds(first, lr=0.01)], 3)
    second = small_network()
    second.load_state_dict(first.state_dict())
    resumed = two_kinds(second, lr=0.01)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert begun + train(second, [resumed], 3, seed=5) == expected


def test_groups_keep_their_settings_when_split() -> None:
    network = small_network()
    groups = split_matrices([{"params": list(network.parameters()), "lr_scale": 0.5}])
    assert [(group["matrices"], len(group["params"]), group["lr_scale"]) for group in groups] == [
        (True, 2, 0.5),
        (False, 4, 0.5),
    ]


def test_a_state_read_on_the_cpu_goes_to_where_the_weights_are() -> None:
    network = small_network()
    train(network, [optimizer := two_kinds(network, lr=0.01)], 2)
    # A device without values, which stands for a GPU; a fused step wants all of its numbers there.
    far = two_kinds(small_network().to("meta"), lr=0.01)
    far.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    devices = {
        name: {str(state[name].device) for state in far.state.values() if name in state}
        for name in ("step", "exp_avg", "momentum")
    }
    assert devices == {"step": {"meta"}, "exp_avg": {"meta"}, "momentum": {"meta"}}
