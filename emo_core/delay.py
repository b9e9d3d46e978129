"""Audio moved along its own timeline."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Sample = TypeVar("Sample", bound=np.generic)


def delayed(samples: NDArray[Sample], shift: int) -> NDArray[Sample]:
    """The audio ``shift`` samples later (earlier when negative), as long as before; silence fills the gap.

    Args:
        samples: Mono, ``[n]``.
        shift: Samples.

    Returns:
        A new array of the same length and dtype.

    >>> delayed(np.arange(1, 5), 1).tolist(), delayed(np.arange(1, 5), -3).tolist()
    ([0, 1, 2, 3], [4, 0, 0, 0])
    """
    silence = np.zeros(min(abs(shift), len(samples)), samples.dtype)
    if shift >= 0:
        return np.concatenate([silence, samples[: len(samples) - len(silence)]])
    return np.concatenate([samples[len(silence) :], silence])
