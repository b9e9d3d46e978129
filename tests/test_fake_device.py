"""The fake device refuses what a GPU refuses, allows what it allows, and computes what the CPU does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from fake_device import DEVICE, FakeDevice, FarTensor
from torch import Tensor

NEAR = torch.arange(6.0).view(3, 2)
INDEX = torch.tensor([2, 0])


def put(into: Tensor, index: Tensor, values: Tensor) -> Tensor:
    into = into.clone()
    into[index] = values
    return into


@pytest.mark.parametrize(
    "mixed",
    [
        lambda far, index: far + NEAR,
        lambda far, index: far @ NEAR.T,
        lambda far, index: NEAR[index],
        lambda far, index: put(far, index, NEAR[:2]),
        lambda far, index: put(NEAR, INDEX, far[:2]),
        lambda far, index: put(NEAR, index, NEAR[:2]),
        lambda far, index: torch.cat([far, NEAR]),
        lambda far, index: torch.stack([far.sum(), NEAR.sum()]),
        lambda far, index: torch.nn.functional.layer_norm(far, (2,), NEAR[0]),
    ],
)
def test_mixing_devices_is_an_error(mixed: Callable[[Tensor, Tensor], Tensor]) -> None:
    with FakeDevice(), pytest.raises(RuntimeError, match="on one device"):
        mixed(NEAR.to(DEVICE), INDEX.to(DEVICE))


@pytest.mark.parametrize(
    "allowed",
    [
        lambda x, index: x * torch.tensor(3.0),
        lambda x, index: x[INDEX],
        lambda x, index: x[index],
        lambda x, index: put(x, INDEX, x[:2] + 1),
        lambda x, index: put(x, index, torch.tensor(7.0)),
        lambda x, index: torch.where(x > 2, x, 0.0),
        lambda x, index: torch.cat([x, x]).softmax(-1),
    ],
)
def test_what_a_gpu_allows_gives_the_cpus_numbers(allowed: Callable[[Tensor, Tensor], Tensor]) -> None:
    with FakeDevice():
        made = allowed(NEAR.to(DEVICE), INDEX.to(DEVICE))
        assert isinstance(made, FarTensor)
        assert made.device == DEVICE
        back = made.cpu()
    assert torch.equal(back, allowed(NEAR, INDEX))
