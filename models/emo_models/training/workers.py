"""Processes that train one network together: each computes its share of a batch, and gradients are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Workers:
    """This process among those that train together; by default it is alone.

    Attributes:
        rank: Number of this process, from 0; the first one writes and reports.
        count: How many there are.
        device: Where tensors are exchanged; processes with GPUs exchange nothing on the CPU.
    """

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def share(self, n: int) -> range:
        """Which of ``n`` rows of a batch are this process's; where there are too few, some count twice.

        Processes count equally in `average`, so rows do only where ``n`` is a multiple of their number.

        >>> [list(Workers(rank=rank, count=2).share(5)) for rank in (0, 1)]
        [[0, 2, 4], [1, 3]]
        >>> [list(Workers(rank=rank, count=3).share(2)) for rank in (0, 1, 2)]
        [[0], [1], [0]]
        """
        return range(self.rank % n, n, min(self.count, n))

    def partition(self, costs: Sequence[float]) -> list[int]:
        """Which of the pieces of work are this process's: heaviest first, each to the process with the least so far.

        >>> [Workers(rank=rank, count=2).partition([1, 9, 5, 5]) for rank in (0, 1)]
        [[1, 0], [2, 3]]
        """
        loads, mine = [0.0] * self.count, []
        for piece in sorted(range(len(costs)), key=lambda piece: -costs[piece]):
            rank = loads.index(min(loads))
            loads[rank] += costs[piece]
            if rank == self.rank:
                mine.append(piece)
        return mine

    @torch.no_grad()
    def exchange(self, tensors: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
        """All of the tensors, of which each process has some and the others ``None``; shapes are those of ``like``."""
        parts = [torch.zeros_like(a) if b is None else b for a, b in zip(like, tensors, strict=True)]
        return self._total(parts)

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replaces floating-point tensors by their mean over all processes, in one exchange.

        Every process ends with the same bits, so networks that began equal stay equal.
        """
        if self.count == 1:
            return
        chosen = list(tensors)
        for tensor, total in zip(chosen, self._total(chosen), strict=True):
            tensor.copy_(total / self.count)

    def _total(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Sums over all processes, in one exchange."""
        if self.count == 1 or not tensors:
            return list(tensors)
        together = torch.cat([tensor.reshape(-1).float().to(self.device) for tensor in tensors])
        torch.distributed.all_reduce(together)
        totals = torch.split(together, [tensor.numel() for tensor in tensors])
        return [total.view(tensor.shape) for tensor, total in zip(tensors, totals, strict=True)]

    def agree(self, text: str) -> str:
        """The first process's text, on all of them."""
        texts = [text]
        if self.count > 1:
            torch.distributed.broadcast_object_list(texts, src=0, device=torch.device(self.device))
        return texts[0]

    def wait(self) -> None:
        """Until every process has come this far."""
        if self.count > 1:
            torch.distributed.barrier()


ALONE = Workers()
"""A process that trains by itself."""
