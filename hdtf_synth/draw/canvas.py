"""A picture under construction: colour planes, a plane of ink lines, and rectangular windows into both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdtf_synth.exact import F32, clamp

Paint = F32 | tuple[float, float, float]


@dataclass(frozen=True)
class Window:
    """Rows and columns of a rectangle of pixels, end exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def empty(self) -> bool:
        """True when no pixel lies inside."""
        return self.bottom <= self.top or self.right <= self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """For indexing planes ``[H, W]``."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def inside(self, outer: Window) -> tuple[slice, slice]:
        """For indexing arrays that cover ``outer``."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )

    def within(self, outer: Window) -> Window:
        """The part of this window that lies in ``outer``."""
        return Window(
            max(self.top, outer.top),
            max(min(self.bottom, outer.bottom), max(self.top, outer.top)),
            max(self.left, outer.left),
            max(min(self.right, outer.right), max(self.left, outer.left)),
        )


def window_around(x: float, y: float, reach_x: float, reach_y: float, size: int) -> Window:
    """The pixels within ``reach_x`` and ``reach_y`` of a point, limited to a picture of ``size``."""
    full = Window(0, size, 0, size)
    top, left = int(np.floor(y - reach_y)), int(np.floor(x - reach_x))
    return Window(top, int(np.floor(y + reach_y)) + 2, left, int(np.floor(x + reach_x)) + 2).within(full)


def _three(values: tuple[float, float, float]) -> F32:
    """Three numbers as ``[3, 1, 1]``."""
    return np.asarray(values, np.float32)[:, None, None]


class Canvas:
    """Colour planes ``rgb`` ``float32 [3, H, W]`` and line strength ``ink`` ``float32 [H, W]``."""

    def __init__(self, rgb: F32) -> None:
        self.rgb = rgb
        self.size = rgb.shape[1]
        self.ink = np.zeros(rgb.shape[1:], np.float32)

    def paint(self, window: Window, cover: F32, colour: Paint) -> None:
        """Lays ``colour`` (one colour, or planes ``[3, h, w]``) over the window where ``cover`` ``[h, w]`` is 1."""
        rows, columns = window.slices
        part = self.rgb[:, rows, columns]
        planes = _three(colour) if isinstance(colour, tuple) else colour
        change = planes - part
        change *= cover
        part += change

    def shade(self, window: Window, cover: F32, factor: tuple[float, float, float] | float) -> None:
        """Multiplies the window's colours by ``factor`` where ``cover`` is 1."""
        rows, columns = window.slices
        if isinstance(factor, float):
            self.rgb[:, rows, columns] *= 1.0 + (factor - 1.0) * cover
        else:
            change = _three((factor[0] - 1.0, factor[1] - 1.0, factor[2] - 1.0)) * cover
            change += 1.0
            self.rgb[:, rows, columns] *= change

    def hide_ink(self, window: Window, cover: F32) -> None:
        """Removes lines that a new layer covers."""
        self.ink[window.slices] *= 1.0 - cover

    def draw_ink(self, window: Window, strength: F32) -> None:
        """Adds lines; where two meet the stronger one counts."""
        plane = self.ink[window.slices]
        np.maximum(plane, strength, out=plane)


def coverage(distance: F32) -> F32:
    """How much of a pixel is inside, from its signed distance in pixels to the edge (negative inside)."""
    return np.asarray(clamp(0.5 - distance), np.float32)


def line(distance: F32, half_width: float) -> F32:
    """Coverage of a line of that half-width, both in pixels; lines thinner than a pixel get paler."""
    return np.asarray(clamp(half_width + 0.5 - np.abs(distance), 0.0, min(1.0, 2.0 * half_width)), np.float32)
