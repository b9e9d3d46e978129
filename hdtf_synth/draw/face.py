"""The lit skin of the face, the ears and the shadows that hair throws on the forehead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdtf_synth.draw.canvas import Canvas, Window, coverage, line, window_around
from hdtf_synth.draw.head import Surface, View, axis_depth, half_width, rotate_normal, surface
from hdtf_synth.draw.light import Light
from hdtf_synth.draw.skin import SkinMaps
from hdtf_synth.exact import F32, bump, clamp, smoothstep
from hdtf_synth.identity import Identity
from hdtf_synth.state import FrameState


@dataclass(frozen=True)
class FaceMap:
    """Which point of the face every pixel of a window shows, relief included.

    Attributes:
        window: Which pixels.
        X: Head coordinate of the visible point, ``[h, w]``.
        Y: The same, downwards, as on the resting face.
        cover: How much of the pixel the head covers.
        lit: Brightness of the key light there, for parts that are painted on the face later.
    """

    window: Window
    X: F32
    Y: F32
    cover: F32
    lit: F32

    def part(self, window: Window) -> tuple[F32, F32, F32, F32]:
        """X, Y, cover and lit of a smaller window."""
        slices = window.inside(self.window)
        return self.X[slices], self.Y[slices], self.cover[slices], self.lit[slices]


def head_window(view: View) -> Window:
    """All pixels that the head can touch."""
    return window_around(view.centre_x, view.centre_y + 0.08 * view.unit, 1.02 * view.unit, 1.26 * view.unit, view.size)


def draw_face(canvas: Canvas, who: Identity, view: View, light: Light, maps: SkinMaps, state: FrameState) -> FaceMap:
    """Paints the skin of the head and returns what the features are placed on."""
    window = head_window(view)
    seen = surface(who, view, window)
    X, Y, values = _through_relief(seen, view, maps)
    cover = coverage(seen.outline)
    smile = 0.5 * (state.smile_left + state.smile_right)
    raised = clamp(state.cheek_raise + 0.5 * smile)
    nx, ny, nz = _bumpy_normal(seen, view, values, X, Y, raised)
    lit = light.diffuse(nx, ny, nz)
    hollow = values[5]
    colour = light.skin(values[:3], nx, ny, nz, lit, hollow, values[6])
    canvas.hide_ink(window, cover)
    canvas.paint(window, cover, colour)
    width = max(0.35, 0.011 * view.unit)
    canvas.draw_ink(window, line(seen.outline + width, width) * 0.9)
    return FaceMap(window=window, X=X, Y=Y, cover=cover, lit=np.asarray(0.45 + 0.55 * lit * hollow, np.float32))


def _through_relief(seen: Surface, view: View, maps: SkinMaps) -> tuple[F32, F32, F32]:
    """Moves each pixel's point by the relief that stands in front of it, then looks the skin up."""
    shift_x = view.yaw[0] / view.yaw[1]
    shift_y = view.pitch[0] / view.pitch[1]
    X, Y = seen.X, seen.Y
    for _ in range(2):
        height = maps.height(X, Y)
        X = seen.X - height * shift_x
        Y = seen.Y - height * shift_y
    return X, Y, maps.sample(X, Y)


def _bumpy_normal(seen: Surface, view: View, values: F32, X: F32, Y: F32, raised: float) -> tuple[F32, F32, F32]:
    slope_x, slope_y = values[3], values[4]
    if raised > 0.01:
        apple = bump(np.abs(X), 0.40, 0.16) * bump(Y, 0.30, 0.13) * (0.55 * raised)
        slope_y = slope_y + apple * (0.30 - Y) * 6.0
    bx, by, bz = rotate_normal(-slope_x, -slope_y, np.ones_like(slope_x), view)
    rest_x, rest_y, rest_z = rotate_normal(
        np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32), view
    )
    nx = seen.normal[0] + (bx - rest_x)
    ny = seen.normal[1] + (by - rest_y)
    nz = np.maximum(seen.normal[2] + (bz - rest_z) * 0.5, 0.02)
    scale = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx * scale, ny * scale, nz * scale


def draw_ears(canvas: Canvas, who: Identity, view: View, light: Light) -> None:
    """Paints both ears; the face covers their inner halves."""
    for side in (-1.0, 1.0):
        y = 0.10
        width = half_width(who, y)
        X, Z = side * width * 0.985, axis_depth(y) - 0.10
        # The ear that turns towards the viewer shows its width.
        facing = clamp(0.55 - 0.9 * side * view.yaw[0], 0.25, 1.0)
        window = view.window(X, y, Z, 0.30, 0.36)
        if window.empty:
            continue
        _draw_ear(canvas, who, view, light, window, (side, X, y, Z, facing))


def _draw_ear(
    canvas: Canvas,
    who: Identity,
    view: View,
    light: Light,
    window: Window,
    place: tuple[float, float, float, float, float],
) -> None:
    side, X, Y, Z, facing = place
    sy, cy = view.yaw
    px, py = view.to_plane(window)
    centre_x = X * cy + Z * sy + side * 0.03
    centre_y = Y * view.pitch[1] + (Z * cy - X * sy) * view.pitch[0]
    u = (px - centre_x) * (1.0 / (0.05 + 0.09 * facing))
    v = (py - centre_y) * (1.0 / 0.20)
    u = u * (1.0 + 0.25 * v) + side * 0.2 * v
    radius = np.sqrt(u * u + v * v + 1e-4)
    distance = (radius - 1.0) * (0.11 * view.unit)
    cover = coverage(distance)
    inner = smoothstep(0.75, 0.35, radius) * smoothstep(-0.6, 0.3, v + 0.4)
    lit = light.side(side)
    shade = (0.72 + 0.28 * lit) * (1.0 - 0.32 * inner) * (1.0 - 0.15 * smoothstep(0.7, 1.0, radius))
    red, green, blue = light.tint(who.skin)
    colour = np.stack([shade * (red * 0.97), shade * (green * 0.86), shade * (blue * 0.84)])
    canvas.hide_ink(window, cover)
    canvas.paint(window, cover, np.asarray(colour, np.float32))
    width = max(0.35, 0.010 * view.unit)
    canvas.draw_ink(window, line(distance + width, width) * 0.85)
    canvas.draw_ink(
        window, cover * line((radius - 0.55) * (0.11 * view.unit), width * 0.7) * smoothstep(0.2, -0.6, v) * 0.6
    )
