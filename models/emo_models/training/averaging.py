"""Exponential moving average of weights; samples are generated with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Averaged copy of a module's parameters and buffers.

    Args:
        model: Its present weights are the start.
        decay: Share of the old average that each step keeps; smaller in the first steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average towards the weights after optimizer step ``step`` of a stage (from 1).

        Counting begins anew in each stage: a short one would otherwise hardly show in the average.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        floats, targets = [], []
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                floats.append(self.tensors[name])
                targets.append(value.detach())
            else:
                self.tensors[name].copy_(value)
        torch._foreach_lerp_(floats, targets, 1 - decay)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over saved averages."""
        for name, value in tensors.items():
            self.tensors[name].copy_(value)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model with averaged weights; its own come back afterwards."""
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.tensors)
        try:
            yield
        finally:
            model.load_state_dict(own)
