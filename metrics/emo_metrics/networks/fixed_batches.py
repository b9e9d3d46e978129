"""Which frames of a clip are used, and batches that depend on the clip only and never on how its frames arrive."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """Indices of ``min(count, most)`` of ``count`` items: the middles of equal parts.

    >>> evenly_spaced(10, 3).tolist(), evenly_spaced(2, 5).tolist()
    ([1, 5, 8], [0, 1])
    """
    taken = min(count, most)
    return (2 * np.arange(taken, dtype=np.int64) + 1) * count // (2 * taken) if taken else np.zeros(0, dtype=np.int64)


def window_starts(frames: int, length: int, most: int) -> list[int]:
    """First frames of evenly spaced windows that do not overlap; the first begins and the last ends with the clip.

    Args:
        frames: In the clip.
        length: Of a window.
        most: Number of windows at most.

    >>> window_starts(100, 16, 3), window_starts(20, 16, 3), window_starts(15, 16, 3)
    ([0, 42, 84], [2], [])
    """
    count = min(frames // length, most)
    if count <= 1:
        return [(frames - length) // 2] * count
    return [i * (frames - length) // (count - 1) for i in range(count)]


def once_while_equal(
    compute: Callable[[FrameArray], NDArray[np.float32]],
) -> Callable[[FrameArray], NDArray[np.float32]]:
    """The same function; called with what the previous call had, it returns the previous result again.

    Whole batches are compared, not rows: a row's last bit may depend on the size of its batch.
    """
    last: list[tuple[FrameArray, NDArray[np.float32]]] = []

    def call(batch: FrameArray) -> NDArray[np.float32]:
        if not last or not np.array_equal(last[0][0], batch):
            last[:] = [(batch, compute(batch))]
        return last[0][1]

    return call


class FixedBatches:
    """Collects rows and hands them on in batches of one size, so that the way they arrive cannot change a number.

    A batch equal to the one before it, as in a clip that stands still, is computed once.

    Args:
        size: Rows in a batch; only the last may be smaller.
        compute: From ``[n, ...]`` to features ``[n, d]``.
    """

    def __init__(self, size: int, compute: Callable[[FrameArray], NDArray[np.float32]]) -> None:
        self._size = size
        self._waiting: list[FrameArray] = []
        self._done: list[NDArray[np.float32]] = []
        self._compute = once_while_equal(compute)

    def add(self, row: FrameArray) -> None:
        """Adds one row ``[...]``; it is copied, since the caller may use its memory again."""
        self._waiting.append(row.copy())
        if len(self._waiting) == self._size:
            self._flush()

    def finish(self) -> NDArray[np.float32]:
        """All features in the order of the rows."""
        if self._waiting:
            self._flush()
        return np.concatenate(self._done) if self._done else np.zeros((0, 0), dtype=np.float32)

    def _flush(self) -> None:
        self._done.append(self._compute(np.stack(self._waiting)))
        self._waiting = []
