"""Muon for matrices and convolutions, AdamW for everything else, as one optimizer.

Muon (Jordan et al. 2024) replaces the gradient's momentum by the nearest matrix whose singular values are all one, so
that rare directions move as far as frequent ones. PyTorch's own takes matrices only; half of this network's weights are
convolutions. Updates are scaled to the size that AdamW's have (Liu et al. 2025, "Muon is scalable for LLM training",
section 2.2), so one learning rate serves both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from emo_models.training.workers import ALONE, Workers

# Of Jordan et al.: the quintic whose slope at zero is steepest while everything in (0, 1] ends near 1.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
WIDE = 1.5
"""From so many times wider than high on, five polynomials at once are less work than one after the other."""
ADAMW_SIZE = 0.2
"""Root mean square of AdamW's updates in practice, relative to the learning rate."""


class MuonAdamW(torch.optim.Optimizer):
    """The two optimizers side by side.

    Args:
        groups: As for every optimizer; a group with ``matrices=True`` goes through Muon, the others through AdamW.
        lr: Learning rate of both.
        weight_decay: Decoupled, of both.
        momentum: Of Muon (Nesterov's).
        betas: Of AdamW.
        eps: Of AdamW.
        workers: Processes with the same weights and gradients; each computes its share of Muon's updates.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        workers: Workers = ALONE,
    ) -> None:
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas, "eps": eps, "matrices": False
        }  # fmt: skip
        super().__init__(groups, defaults)
        self.workers = workers

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As every optimizer's; PyTorch leaves the counts of steps where they are, and a fused step wants them near."""
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():
            if "step" in state:
                state["step"] = state["step"].to(parameter.device)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every weight that has a gradient."""
        if closure is not None:
            raise ValueError("expected no closure: gradients are made before the step")
        for group in self.param_groups:
            ready = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["matrices"]:
                self._muon(ready, group)
            else:
                self._adamw(ready, group)

    def _muon(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        ahead = []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
            gradient = parameter.grad
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            ahead.append(torch.lerp(gradient, state["momentum"], group["momentum"]).flatten(1))  # type: ignore[arg-type]
        for parameter, update in zip(parameters, self._orthogonal(ahead), strict=True):
            size = group["lr"] * ADAMW_SIZE * max(update.shape) ** 0.5
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.sub_(size * update.reshape(parameter.shape).to(parameter.dtype))

    def _orthogonal(self, matrices: list[Tensor]) -> list[Tensor]:
        """`orthogonal` of each; matrices of one shape go through the products together."""
        same: dict[torch.Size, list[int]] = defaultdict(list)
        for place in self.workers.partition([min(m.shape) * m.numel() for m in matrices]):
            same[matrices[place].shape].append(place)
        made: list[Tensor | None] = [None] * len(matrices)
        for places in same.values():
            for place, update in zip(places, orthogonal(torch.stack([matrices[p] for p in places])), strict=True):
                made[place] = update
        return self.workers.exchange(made, matrices)

    def _adamw(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        if not parameters:
            return
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        first, second = group["betas"]
        adamw(
            list(parameters),
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            foreach=False,
            fused=True,
            amsgrad=False,
            beta1=first,
            beta2=second,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def split_matrices(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each group as two: weights with two dimensions or more for Muon, and the rest; empty ones are left out."""
    split = []
    for group in groups:
        for matrices in (True, False):
            chosen = [parameter for parameter in group["params"] if (parameter.dim() > 1) == matrices]
            if chosen:
                split.append({**group, "params": chosen, "matrices": matrices})
    return split


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices with all singular values near one (0.7 to 1.2), by five steps of Newton and Schulz.

    Each step multiplies a matrix by a polynomial of its product with itself. Of a matrix much wider than high that
    product is small, and so all five polynomials are multiplied there and the matrix meets them once: for the
    convolutions of EMO a third of the work. Computed in float32, since products square what is rounded.

    Args:
        matrices: ``[count, rows, columns]``.

    Returns:
        The same shape, float32.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.transpose(1, 2) if tall else matrices).float()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    x = _at_once(x) if x.shape[2] > WIDE * x.shape[1] else _step_by_step(x)
    return x.transpose(1, 2) if tall else x


def _step_by_step(x: Tensor) -> Tensor:
    for _ in range(ITERATIONS):
        x = _polynomial(x @ x.transpose(1, 2)) @ x
    return x


def _at_once(x: Tensor) -> Tensor:
    gram = x @ x.transpose(1, 2)
    product = _polynomial(gram)
    factor = product
    for _ in range(ITERATIONS - 1):
        # Polynomials of one matrix commute, so the next step's product needs no transpose.
        gram = factor @ gram @ factor
        factor = _polynomial(gram)
        product = factor @ product
    return product @ x


def _polynomial(gram: Tensor) -> Tensor:
    a, b, c = QUINTIC
    made = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    made.diagonal(dim1=1, dim2=2).add_(a)
    return made
