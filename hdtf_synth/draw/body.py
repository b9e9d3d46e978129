"""Neck, shoulders and clothes: the clothes are painted once for an identity and then only shifted with the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdtf_synth.draw.canvas import Canvas, Window, coverage, line
from hdtf_synth.draw.head import CENTRE_Y, HEAD_SHARE, View, axis_depth
from hdtf_synth.draw.light import Light
from hdtf_synth.exact import F32, bump, clamp, layered_noise, mix, smoothstep
from hdtf_synth.identity import Colour, Identity
from hdtf_synth.state import FrameState

_MARGIN = 0.05
"""How far clothes are painted beyond the picture, as a share of its side, so that they can be shifted."""


@dataclass(frozen=True)
class Layer:
    """A painted layer that can be laid over a picture at any shift: ``float32 [5, h, w]``, colour, cover and ink.

    Colours are multiplied by the cover, so that blending neighbours is right at the edges.
    """

    values: F32
    margin: int

    def lay_over(self, canvas: Canvas, window: Window, shift_x: float, shift_y: float) -> None:
        """Paints the layer, shifted by a fraction of pixels, over the window."""
        limit = self.margin - 1.0
        x, y = clamp(shift_x, -limit, limit), clamp(shift_y, -limit, limit)
        left, top = int(np.floor(-x)), int(np.floor(-y))
        fx, fy = float(-x - left), float(-y - top)
        height, width = window.bottom - window.top, window.right - window.left
        row, column = top + self.margin, left + self.margin
        part = self.values[:, row : row + height + 1, column : column + width + 1]
        part = part[:, :, :-1] + (part[:, :, 1:] - part[:, :, :-1]) * fx
        part = part[:, :-1] + (part[:, 1:] - part[:, :-1]) * fy
        rows, columns = window.slices
        open_ = 1.0 - part[3]
        canvas.rgb[:, rows, columns] *= open_
        canvas.rgb[:, rows, columns] += part[:3]
        canvas.hide_ink(window, part[3])
        canvas.draw_ink(window, part[4])


@dataclass(frozen=True)
class Outfit:
    """The two layers of clothes: what the neck hides, and what hides the neck."""

    window: Window
    behind: Layer | None
    front: Layer


def bake_outfit(who: Identity, light: Light, size: int) -> Outfit:
    """Paints an identity's clothes."""
    top = int((CENTRE_Y + 0.60 * HEAD_SHARE) * size)
    margin = int(_MARGIN * size) + 2
    tailor = _Tailor(who, light, size, top, margin)
    return Outfit(Window(top, size, 0, size), tailor.behind(), tailor.front())


def body_shift(state: FrameState, size: int) -> tuple[float, float]:
    """How far the shoulders follow the head, in pixels."""
    unit = HEAD_SHARE * size
    return 0.30 * state.x * unit, 0.25 * state.y * unit


def draw_neck(canvas: Canvas, who: Identity, view: View, light: Light, state: FrameState) -> None:
    """Paints the neck, bent between head and chest, with the chin's shadow."""
    size = canvas.size
    unit = HEAD_SHARE * size
    shift_x, shift_y = body_shift(state, size)
    reach = 1.45 * who.neck * unit
    top = int((CENTRE_Y + 0.50 * HEAD_SHARE) * size)
    head_x, head_y = view.project(0.0, 0.55, axis_depth(0.55) - 0.18)
    foot = 0.5 * size + shift_x
    left = max(int(min(head_x, foot) - reach), 0)
    window = Window(top, size, left, min(int(max(head_x, foot) + reach) + 1, size))
    px = (np.arange(window.left, window.right, dtype=np.float32) + 0.5 - foot) * (1.0 / unit)
    py = (np.arange(top, size, dtype=np.float32) + 0.5 - CENTRE_Y * size - shift_y) * (1.0 / unit)
    x, y = px[None, :], py[:, None]
    top_x, top_y = (head_x - foot) / unit, (head_y - CENTRE_Y * size - shift_y) / unit
    along = clamp((y - top_y) * (1.0 / (1.36 - top_y)))
    centre = mix(top_x, 0.0, along * along * (3.0 - 2.0 * along))
    half = who.neck * (1.0 + 0.10 * (along - 0.5) * (along - 0.5) + 0.45 * smoothstep(0.80, 1.25, along))
    u = (x - centre) / half
    distance = (np.abs(u) - 1.0) * half * unit
    cover = coverage(distance)
    nz = np.sqrt(clamp(1.0 - u * u))
    chin = smoothstep(1.32, 0.98, y - 0.12 * view.jaw - 0.5 * view.pitch[0])
    cast = chin * smoothstep(1.4, 0.2, np.abs(u + 0.4 * light.direction[0]))
    tendon = bump(np.abs(u), 0.36, 0.14) * smoothstep(1.0, 1.3, y)
    hollow = clamp(1.0 - 0.52 * cast - 0.07 * tendon)
    ny = np.zeros_like(u)
    lit = light.diffuse(u, ny, nz) * hollow
    if who.style == "anime":
        lit = smoothstep(0.5, 0.45, cast) * 0.9
    tone = mix(0.97, 1.0, 0.0) if who.style == "sketch" else 1.0
    albedo = np.stack([np.full_like(u, mix(c, tone, 0.45 if who.style == "sketch" else 0.0)) for c in who.skin])
    colour = light.skin(albedo, u, ny, np.maximum(nz, 0.1), lit, hollow, albedo[0] * 0.15)
    canvas.hide_ink(window, cover)
    canvas.paint(window, cover, colour)
    width = max(0.35, 0.011 * unit)
    canvas.draw_ink(window, line(distance, width) * 0.85)


class _Tailor:
    """Paints clothes into layers."""

    def __init__(self, who: Identity, light: Light, size: int, top: int, margin: int) -> None:
        self.who, self.light, self.margin = who, light, margin
        self.unit = unit = HEAD_SHARE * size
        px = (np.arange(-margin, size + margin + 1, dtype=np.float32) + 0.5 - 0.5 * size) * (1.0 / unit)
        py = (np.arange(top - margin, size + margin + 1, dtype=np.float32) + 0.5 - CENTRE_Y * size) * (1.0 / unit)
        shape = (len(py), len(px))
        self.x = np.ascontiguousarray(np.broadcast_to(px[None, :], shape)).astype(np.float32)
        self.y = np.ascontiguousarray(np.broadcast_to(py[:, None], shape)).astype(np.float32)
        self.values = np.zeros((5, *shape), np.float32)
        side = np.abs(self.x) * (1.0 / who.shoulders)
        slope = 0.10 * side + 0.30 * smoothstep(0.25, 1.5, side) + 0.8 * smoothstep(1.35, 1.75, side)
        self.shoulder = np.asarray((self.y - 1.16 - slope) * unit * 0.92, np.float32)
        folds = layered_noise(self.x * 3.0 + 3.0, self.y * 2.0, who.hair_seed + 77, layers=2) - 0.5
        lit = 0.66 + 0.28 * light.direction[0] * self.x + 0.35 * folds - 0.25 * smoothstep(1.25, 1.8, self.y)
        self.cloth_light = np.asarray(light.cloth(clamp(lit)), np.float32)

    def behind(self) -> Layer | None:
        """The inside of collars and hoods."""
        who = self.who
        if who.clothes not in ("shirt", "suit", "hoodie"):
            return None
        wide, tall, y = (0.74, 0.34, 1.16) if who.clothes == "hoodie" else (0.47, 0.20, 1.17)
        dx, dy = self.x * (1.0 / wide), (self.y - y) * (1.0 / tall)
        distance = (np.sqrt(dx * dx + dy * dy + 1e-4) - 1.0) * (tall * self.unit)
        colour = who.cloth_accent if who.clothes == "suit" else who.cloth_colour
        self._cloth(distance, _pale(colour) if who.clothes == "suit" else colour, 0.62)
        return self._take()

    def _take(self) -> Layer:
        values = self.values
        self.values = np.zeros_like(values)
        return Layer(values, self.margin)

    def front(self) -> Layer:
        """Shoulders and clothes over the foot of the neck."""
        who, x, y, unit = self.who, self.x, self.y, self.unit
        side = np.abs(x)
        neckline = self._neckline()
        distance = np.maximum(-self.shoulder, neckline)
        kind = who.clothes
        self._cloth(distance, who.cloth_colour, 1.0)
        if kind in ("tee", "vneck"):
            band = np.abs(neckline + 0.035 * unit) - 0.030 * unit
            self._cloth(np.maximum(band, distance), who.cloth_colour, 0.84)
        elif kind == "shirt":
            self._cloth(np.maximum(side - 0.045, 1.40 - y) * unit, who.cloth_colour, 0.90)
            self._collar(who.cloth_colour)
        elif kind == "suit":
            shirt = (side - (1.80 - y) * 0.58) * unit * 0.85
            self._cloth(np.maximum(shirt, distance), _pale(who.cloth_accent), 1.05)
            tie = side - mix(0.085, 0.065, smoothstep(1.38, 1.48, y)) - 0.06 * smoothstep(1.46, 1.8, y)
            self._cloth(np.maximum(tie, 1.36 - y) * unit, who.cloth_accent, 0.85)
            lapel = np.abs(side - (1.80 - y) * 0.58 - 0.10) - 0.10
            self._cloth(np.maximum(lapel * unit * 0.8, distance), who.cloth_colour, 1.18)
            self._collar(_pale(who.cloth_accent))
        elif kind == "hoodie":
            rim = np.abs(neckline + 0.10 * unit) - 0.10 * unit
            rim = np.maximum(rim, (1.19 - y) * unit * 0.8)
            self._cloth(np.maximum(rim, -self.shoulder - 0.22 * unit), who.cloth_colour, 1.12)
            for sign in (-1.0, 1.0):
                cord = np.maximum(np.abs(x - sign * 0.17 - sign * 0.03 * (y - 1.5)) - 0.016, 1.50 - y)
                self._cloth(cord * unit, (0.93, 0.92, 0.90), 1.0)
        elif kind == "turtleneck":
            half = who.neck + 0.05
            box = np.maximum(side - half - 0.08 * smoothstep(1.2, 1.4, y), 1.09 - 0.07 * x * x - y)
            box = np.maximum(box, y - 1.34 - 0.05 * (1.0 - x * x))
            self._cloth(box * unit, who.cloth_colour, 0.98, curve=half)
        return self._take()

    def _neckline(self) -> F32:
        """Signed distance in pixels, positive where skin shows above the collar."""
        x, y = self.x, self.y
        unit, kind = self.unit, self.who.clothes
        wide = self.who.neck + 0.10
        if kind == "vneck":
            return np.asarray(-(y - 1.68 + np.abs(x) * 1.05) * unit * 0.7, np.float32)
        deep = {"tee": 0.20, "shirt": 0.17, "suit": 0.16, "hoodie": 0.24, "turtleneck": 0.06}[kind]
        dx, dy = x * (1.0 / wide), (y - 1.22) * (1.0 / deep)
        return np.asarray((1.0 - np.sqrt(dx * dx + dy * dy + 1e-4)) * unit * deep, np.float32)

    def _collar(self, colour: Colour) -> None:
        side = np.abs(self.x)
        wing = np.maximum(
            np.abs(side - 0.30 - (1.30 - self.y) * 0.35) - 0.14, np.abs(self.y - 1.30 - 0.06 * side) - 0.15
        )
        point = (self.y - 1.52 + (side - 0.20) * 0.9) * 0.7
        distance = np.asarray(np.maximum(wing, point) * self.unit, np.float32)
        self._cloth(distance, colour, 1.10)

    def _cloth(self, distance: F32, colour: Colour, level: float, curve: float = 0.0) -> None:
        cover = coverage(distance)
        shade = self.cloth_light * level
        if curve > 0:
            u = self.x * (1.0 / curve)
            shade = shade * (0.62 + 0.42 * np.sqrt(clamp(1.0 - u * u)))
        shade = shade * (1.0 - 0.20 * smoothstep(-0.05 * self.unit, 0.0, distance))
        for channel in range(3):
            # Colours are kept multiplied by the cover.
            plane = self.values[channel]
            plane += (np.minimum(shade * colour[channel], 1.0) - plane) * cover
        self.values[3] += (1.0 - self.values[3]) * cover
        self.values[4] *= 1.0 - cover
        width = max(0.35, 0.010 * self.unit)
        np.maximum(self.values[4], line(distance + width, width) * 0.85, out=self.values[4])


def _pale(colour: Colour) -> Colour:
    return (0.72 + 0.25 * colour[0], 0.72 + 0.25 * colour[1], 0.74 + 0.25 * colour[2])
