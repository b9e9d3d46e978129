"""How networks are run for a measurement: no gradients, no shortened floats, no choice of algorithm by timing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_inference() -> Iterator[None]:
    """Inference with full float32 in convolutions, where a GPU would otherwise round inputs to 10 bits (TF32)."""
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        yield
