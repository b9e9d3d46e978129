"""Randomness with a name: every generator is derived from (seed, purpose, clip), never from global state.

So a clip depends on its seed only, not on the order, the batch, the worker or the resume point.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive_seed(seed: int, purpose: str, clip: str = "") -> int:
    """A 63-bit seed from the run's seed, the purpose and the clip id.

    >>> derive_seed(0, "noise", "clip-1") == derive_seed(0, "noise", "clip-1")
    True
    >>> derive_seed(0, "noise", "clip-1") == derive_seed(0, "noise", "clip-2")
    False
    """
    return hash_seed(seed, purpose, clip) >> 1


def hash_seed(*parts: object) -> int:
    """A 64-bit seed from the SHA-256 of the parts' text; the order of the parts counts.

    >>> hash_seed(0, "noise", 1) == hash_seed(0, "noise", 11)
    False
    """
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def numpy_generator(seed: int, purpose: str, clip: str = "") -> np.random.Generator:
    """A PCG64 generator of NumPy for (seed, purpose, clip)."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(derive_seed(seed, purpose, clip)))


def torch_generator(seed: int, purpose: str, clip: str = "") -> torch.Generator:
    """A CPU generator of torch for (seed, purpose, clip); noise is drawn on the CPU so that devices agree."""
    import torch

    return torch.Generator(device="cpu").manual_seed(derive_seed(seed, purpose, clip))
