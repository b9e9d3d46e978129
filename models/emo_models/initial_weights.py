"""First weights of new networks, which depend on a seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Networks that are built inside, on the CPU, get weights that depend on ``seed`` alone.

    The state of torch's global generators, those of GPUs too, is afterwards what it was before.

    >>> with initial_weights(3):
    ...     first = torch.nn.Linear(2, 2).weight
    >>> with initial_weights(3):
    ...     bool((torch.nn.Linear(2, 2).weight == first).all())
    True
    """
    with torch.random.fork_rng(devices=[]):
        # ``torch.manual_seed`` would also set the generators of GPUs, which nothing sets back here.
        torch.default_generator.manual_seed(seed)
        yield
