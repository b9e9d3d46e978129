"""Eyelids as a condition: how far the eyes are closed in each frame, beside the embedded time of that frame.

An extension. The paper leaves blinks to the noise. A blink cannot be told from the audio, so a small network that is
sampled in few steps generates the mean over all possible moments, which is open eyes. Here blinks are planned
beforehand, from the seed, and the network is told when they are due. Open eyes contribute exactly nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SECONDS = (0.06, 0.11, 0.09)
"""How long lids fall, stay down and rise: as blinks are labelled that training sees, because weights learn their shape;
slower ones, asked for once, made weights of many steps close the lids hardly at all."""
_ROOM = 1 - 0.25
"""A blink starts within this share of its turn, so that two never start closer than a quarter of the mean interval."""
_PAUSE = 0.1
"""Seconds between two blinks at least, where turns are short."""
MOST_PER_MINUTE = 60.0
_NEVER = 1e-6
"""Blinks a minute; one in two years. Of rarer ones not even the mean interval need be a finite number."""
USUAL_PER_MINUTE = 17.0
"""Of adults at rest (Bentivoglio et al. 1997)."""


GAIN = 10.0
"""The closure is a number up to 1 among hundreds of others; so faint a mark would be learnt from too slowly."""


def beside_time(embedded: Tensor, closure: Tensor | None, *, window: int) -> Tensor:
    """The embedded time of each frame, followed by the closure of the eyes around it; of open eyes that is zeros.

    Args:
        embedded: ``[b * f, width]``.
        closure: ``[b, f, 2m + 1]`` from 0 (open) to 1; ``None`` means open.
        window: m.

    Returns:
        ``[b * f, width + 2m + 1]``.
    """
    if closure is None:
        beside = embedded.new_zeros(len(embedded), 2 * window + 1)
    else:
        beside = GAIN * closure.flatten(0, 1).to(embedded.dtype)
    return torch.cat([embedded, beside], 1)


def widened(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights without the condition for a model with it, ``wanted``: what reads the closure begins with zeros."""
    added = {}
    for name, value in state.items():
        missing = wanted[name].shape[-1] - value.shape[-1] if value.dim() == 2 else 0
        added[name] = torch.nn.functional.pad(value, (0, missing)) if missing else value
    return added


def planned_closure(first: int, last: int, *, seed: int, per_minute: float, fps: float) -> NDArray[np.float32]:
    """How far the eyes are closed in the frames ``first`` to ``last - 1`` of a video, ``float32``, 0 (open) to 1.

    Time is divided into turns of the mean interval with one blink each, at a moment that depends on (seed, turn) alone,
    so that any stretch of a video of any length can be asked for. Frames before 0 have open eyes.

    Args:
        first: First frame, may be negative.
        last: One past the last.
        seed: Decides when.
        per_minute: Blinks a minute, at most 60; 0 plans none.
        fps: Frames a second.

    Raises:
        ValueError: The rate is out of range.

    >>> int((planned_closure(0, 1500, seed=0, per_minute=20, fps=25) == 1).sum() > 20)
    1
    """
    if not 0 <= per_minute <= MOST_PER_MINUTE:
        raise ValueError(f"expected 0 to {MOST_PER_MINUTE:g} blinks a minute, found {per_minute:g}")
    times = np.arange(first, last) / fps
    closure = np.zeros(len(times))
    if per_minute < _NEVER or not len(times):
        return closure.astype(np.float32)
    turn = 60 / per_minute
    room = min(_ROOM * turn, turn - sum(SECONDS) - _PAUSE)
    for index in range(max(int(times[0] // turn) - 1, 0), max(int(times[-1] // turn) + 1, 0)):
        start = index * turn + room * np.random.default_rng((seed, index)).random()
        # From frame to frame every blink looks the same, as in the labels.
        closure = np.maximum(closure, _one_blink(times - (round(start * fps) - 0.5) / fps))
    return np.where(times < 0, 0.0, closure).astype(np.float32)


def around_each_frame(closure: NDArray[np.float32], *, window: int) -> Tensor:
    """``closure [f + 2m]`` -> ``float32 [f, 2m + 1]``: each frame's with its m neighbours on each side."""
    return torch.from_numpy(np.asarray(closure, np.float32)).unfold(0, 2 * window + 1, 1)


def _one_blink(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Closure at ``times`` in seconds since the start of a blink."""
    down, shut, up = SECONDS
    return np.clip(np.minimum(times / down, (down + shut + up - times) / up), 0.0, 1.0)
