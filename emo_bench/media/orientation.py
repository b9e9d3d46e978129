"""Rotation and mirroring that a container asks players to apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emo_bench.media.types import FrameArray


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """Quarter turns, then perhaps a mirror: all that display matrices of real files contain.

    Attributes:
        turns: Counter-clockwise quarter turns (0 to 3).
        mirror: Whether left and right are exchanged after turning.
    """

    turns: int = 0
    mirror: bool = False

    @classmethod
    def from_matrix(cls, matrix: Sequence[int] | None) -> Orientation:
        """From a, b, c, d of the display matrix: a stored pixel (x, y) goes to (a x + c y, b x + d y), y downwards.

        A turn by anything but a quarter is rounded to the nearest quarter.

        >>> Orientation.from_matrix([0, 65536, -65536, 0]).degrees
        90
        """
        if matrix is None:
            return UPRIGHT
        a, b, c, d = (float(number) for number in matrix)
        mirror = a * d - b * c < 0
        # Undo the mirror (negate the resulting x), then measure the turn of the x axis; y downwards makes it clockwise.
        angle = np.degrees(np.arctan2(b, -a if mirror else a))
        clockwise = round(angle / 90) % 4
        return cls(turns=-clockwise % 4, mirror=mirror)

    @property
    def degrees(self) -> int:
        """Clockwise rotation in degrees: 0, 90, 180 or 270."""
        return -self.turns % 4 * 90

    def upright_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height after turning; its own inverse."""
        return size if self.turns % 2 == 0 else (size[1], size[0])

    def apply(self, frames: FrameArray) -> FrameArray:
        """Frames ``uint8 [t, H, W, 3]`` made upright."""
        turned = np.rot90(frames, self.turns, axes=(1, 2))
        return np.ascontiguousarray(turned[:, :, ::-1] if self.mirror else turned)


UPRIGHT = Orientation()
"""Nothing to do."""
