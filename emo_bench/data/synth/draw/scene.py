"""What is around the head: the background, computed once, and neck, shoulders and clothes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emo_bench.data.synth.draw.canvas import Canvas, Window, coverage, line
from emo_bench.data.synth.draw.head import CENTRE_Y, HEAD_SHARE, View, axis_depth
from emo_bench.data.synth.draw.light import Light
from emo_bench.data.synth.exact import F32, Draws, bump, clamp, layered_noise, mix, smoothstep
from emo_bench.data.synth.identity import Colour, Identity
from emo_bench.data.synth.state import FrameState


def bake_background(who: Identity, size: int) -> F32:
    """The background of an identity, ``float32 [3, size, size]`` in [0, 1]."""
    ramp = ((np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
    x = np.ascontiguousarray(np.broadcast_to(ramp[None, :], (size, size)))
    y = np.ascontiguousarray(np.broadcast_to(ramp[:, None], (size, size)))
    light = 1.0 if who.light_x > 0 else -1.0
    glow = bump(np.sqrt(x * x + (y + 0.2) * (y + 0.2) + 1e-4), 0.0, 1.5)
    level = mix(0.62, 1.05, glow) * (1.0 + 0.12 * light * x)
    planes = [level * c for c in who.wall_colour]
    draws = Draws(f"background/{who.index}")
    if who.background == "bokeh":
        planes = _bokeh(planes, x, y, draws)
    elif who.background == "window":
        planes = _window(planes, x, y, -light)
    elif who.background == "gradient":
        low = who.cloth_accent
        planes = [mix(p, c * 0.9 + 0.1, smoothstep(-0.9, 1.1, y) * 0.65) for p, c in zip(planes, low, strict=True)]
    elif who.background == "wall":
        seam = bump((x * 2.2 + 0.3) - np.floor(x * 2.2 + 0.3) - 0.5, 0.0, 0.035)
        planes = [p * (1.0 - 0.13 * seam) for p in planes]
    elif who.background == "shelf":
        planes = _shelf(planes, x, y, draws)
    if who.style in ("photo", "painting", "cg"):
        cloud = (layered_noise(x * 2.1 + 5.0, y * 2.1, who.hair_seed + 61) - 0.5) * 0.10
        planes = [p * (1.0 + cloud) for p in planes]
    vignette = 1.0 - 0.20 * smoothstep(0.7, 1.5, np.sqrt(x * x + y * y))
    return np.asarray(clamp(np.stack([p * vignette for p in planes])), np.float32)


def _bokeh(planes: list[F32], x: F32, y: F32, draws: Draws) -> list[F32]:
    planes = [p * 0.45 for p in planes]
    for i in range(18):
        cx, cy = draws.between(f"x{i}", -1.1, 1.1), draws.between(f"y{i}", -1.1, 0.7)
        radius = draws.between(f"r{i}", 0.07, 0.24)
        warm = draws.uniform(f"w{i}")
        d = np.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy) + 1e-5)
        disc = smoothstep(radius, radius * 0.88, d) * (0.55 + 0.45 * smoothstep(0.4 * radius, radius, d))
        colour = (1.0, mix(0.62, 0.92, warm), mix(0.35, 0.95, warm))
        strength = draws.between(f"s{i}", 0.10, 0.34)
        planes = [p + disc * strength * c for p, c in zip(planes, colour, strict=True)]
    return planes


def _window(planes: list[F32], x: F32, y: F32, side: float) -> list[F32]:
    """A bright window out of focus on the side of the key lamp's opposite."""
    u = x * side
    pane = smoothstep(0.05, 0.16, u) * smoothstep(1.05, 0.94, u) * smoothstep(-1.0, -0.9, y) * smoothstep(0.55, 0.45, y)
    bars = bump(u, 0.55, 0.03) + bump(y, -0.25, 0.03)
    pane = pane * clamp(1.0 - 0.8 * bars)
    sky = (0.86, 0.93, 1.0)
    green = smoothstep(-0.1, 0.5, y)
    out = [mix(s, g, green * 0.7) for s, g in zip(sky, (0.60, 0.72, 0.52), strict=True)]
    return [mix(p * 0.8, o, pane * 0.85) for p, o in zip(planes, out, strict=True)]


def _shelf(planes: list[F32], x: F32, y: F32, draws: Draws) -> list[F32]:
    row = (y + 1.2) * 1.6
    deck = bump(row - np.floor(row), 0.06, 0.05)
    colours = ((0.55, 0.25, 0.22), (0.25, 0.36, 0.45), (0.72, 0.62, 0.42), (0.30, 0.42, 0.32), (0.75, 0.72, 0.68))
    place = -1.05
    books: list[F32] = [p * 0.55 for p in planes]
    for i in range(26):
        width = draws.between(f"b{i}", 0.06, 0.12)
        tall = draws.between(f"t{i}", 0.55, 0.85)
        colour = draws.choice(f"c{i}", colours)
        shape = smoothstep(place, place + 0.02, x) * smoothstep(place + width, place + width - 0.02, x)
        shape = shape * smoothstep(1.0 - tall - 0.05, 1.0 - tall + 0.05, row - np.floor(row)) * 0.65
        books = [mix(p, c * 0.85, shape) for p, c in zip(books, colour, strict=True)]
        place += width
        if place > 1.05:
            break
    return [mix(p, w * 0.5, deck) for p, w in zip(books, (0.55, 0.42, 0.30), strict=True)]


@dataclass(frozen=True)
class Body:
    """Where the body stands: coordinates of the window's pixels in head units around the head's resting place."""

    window: Window
    x: F32
    y: F32
    unit: float


def _body(state: FrameState, size: int) -> Body:
    unit = HEAD_SHARE * size
    top = int((CENTRE_Y + 0.40 * HEAD_SHARE) * size)
    window = Window(top, size, 0, size)
    px = (np.arange(size, dtype=np.float32) + 0.5 - 0.5 * size) * (1.0 / unit) - 0.30 * state.x
    py = (np.arange(top, size, dtype=np.float32) + 0.5 - CENTRE_Y * size) * (1.0 / unit) - 0.25 * state.y
    x = np.ascontiguousarray(np.broadcast_to(px[None, :], (size - top, size))).astype(np.float32)
    y = np.ascontiguousarray(np.broadcast_to(py[:, None], (size - top, size))).astype(np.float32)
    return Body(window, x, y, unit)


class Torso:
    """Draws shoulders, clothes and neck of one frame."""

    def __init__(self, canvas: Canvas, who: Identity, view: View, light: Light, state: FrameState) -> None:
        self.canvas, self.who, self.view, self.light = canvas, who, view, light
        self.body = _body(state, canvas.size)
        self.shift = 0.30 * state.x
        self.drop = 0.25 * state.y
        side = np.abs(self.body.x) * (1.0 / who.shoulders)
        slope = 0.10 * side + 0.30 * smoothstep(0.25, 1.5, side) + 0.8 * smoothstep(1.35, 1.75, side)
        self.shoulder = np.asarray((self.body.y - 1.20 - slope + 0.06) * self.body.unit * 0.92, np.float32)
        folds = layered_noise(self.body.x * 3.0 + 3.0, self.body.y * 2.0, who.hair_seed + 77, layers=2) - 0.5
        lit = 0.62 + 0.30 * light.direction[0] * self.body.x + 0.35 * folds - 0.25 * smoothstep(1.25, 1.8, self.body.y)
        self.cloth_light = np.asarray(light.cloth(clamp(lit)), np.float32)

    def draw_behind(self) -> None:
        """Paints what the neck hides: the inside of collars and hoods."""
        who, body = self.who, self.body
        if who.clothes in ("shirt", "suit", "hoodie"):
            wide, tall, y = (0.66, 0.30, 1.12) if who.clothes == "hoodie" else (0.45, 0.20, 1.14)
            dx, dy = body.x * (1.0 / wide), (body.y - y) * (1.0 / tall)
            distance = (np.sqrt(dx * dx + dy * dy + 1e-4) - 1.0) * (tall * body.unit)
            colour = who.cloth_colour if who.clothes == "hoodie" else _pale(who.cloth_accent)
            self._cloth(np.asarray(distance, np.float32), colour, 0.55)

    def draw_neck(self) -> None:
        """Paints the neck, bent between head and chest, with the chin's shadow."""
        who, view, body, light = self.who, self.view, self.body, self.light
        head_x, head_y = view.project(0.0, 0.55, axis_depth(0.55) - 0.18)
        top_x = (head_x - 0.5 * view.size) / body.unit - self.shift
        top_y = (head_y - CENTRE_Y * view.size) / body.unit - self.drop
        along = clamp((body.y - top_y) * (1.0 / (1.36 - top_y)))
        centre = mix(top_x, 0.0, along * along * (3.0 - 2.0 * along))
        half = who.neck * (1.0 + 0.08 * (along - 0.5) * (along - 0.5)) + 0.45 * smoothstep(0.80, 1.25, along) * who.neck
        u = (body.x - centre) / half
        distance = np.maximum((np.abs(u) - 1.0) * half, body.y - 1.75) * body.unit
        cover = coverage(np.asarray(distance, np.float32))
        nz = np.sqrt(clamp(1.0 - u * u))
        lit = light.diffuse(np.asarray(u, np.float32), np.zeros_like(u) + 0.05, np.asarray(nz, np.float32))
        chin = smoothstep(1.30, 0.98, body.y - 0.12 * view.jaw - 0.5 * view.pitch[0])
        tendon = bump(np.abs(u), 0.36, 0.14) * smoothstep(1.0, 1.3, body.y)
        # The shadow of the chin falls on the side away from the lamp.
        cast = chin * smoothstep(1.3, 0.2, np.abs(u + 0.4 * light.direction[0]))
        hollow = clamp(1.0 - 0.58 * cast - 0.08 * tendon)
        albedo = np.stack([np.full_like(body.x, c) for c in who.skin])
        normal = (np.asarray(u, np.float32), np.zeros_like(body.x), np.asarray(np.maximum(nz, 0.1), np.float32))
        lit = lit * hollow
        if who.style == "anime":
            lit = np.asarray(smoothstep(0.5, 0.45, cast), np.float32) * 0.9
        colour = light.skin(
            albedo, *normal, np.asarray(lit, np.float32), np.asarray(hollow, np.float32), albedo[0] * 0.15
        )
        self.canvas.hide_ink(body.window, cover)
        self.canvas.paint(body.window, cover, colour)
        width = max(0.35, 0.011 * body.unit)
        self.canvas.draw_ink(body.window, line(np.asarray(distance, np.float32), width) * 0.85)

    def draw_clothes(self) -> None:
        """Paints shoulders and clothes over the foot of the neck."""
        who, body = self.who, self.body
        x, y = body.x, body.y
        side = np.abs(x)
        neckline = self._neckline()
        distance = np.asarray(np.maximum(self.shoulder * -1.0, neckline), np.float32)
        kind = who.clothes
        self._cloth(distance, who.cloth_colour, 1.0)
        if kind == "tee" or kind == "vneck":
            band = np.asarray(np.abs(neckline + 0.035 * body.unit) - 0.030 * body.unit, np.float32)
            self._cloth(np.maximum(band, distance), who.cloth_colour, 0.82)
        elif kind == "shirt":
            self._collar(who.cloth_colour)
            placket = np.asarray((side - 0.045) * body.unit, np.float32)
            self._cloth(np.maximum(placket, (1.40 - y) * body.unit), who.cloth_colour, 0.90)
        elif kind == "suit":
            shirt = np.asarray((side - (1.78 - y) * 0.55) * body.unit * 0.85, np.float32)
            self._cloth(np.maximum(shirt, distance), _pale(who.cloth_accent), 1.05)
            self._collar(_pale(who.cloth_accent))
            knot = np.asarray(
                (side - mix(0.085, 0.07, smoothstep(1.38, 1.5, y)) - 0.03 * smoothstep(1.5, 1.8, y)) * body.unit,
                np.float32,
            )
            self._cloth(np.maximum(knot, (1.36 - y) * body.unit), who.cloth_accent, 0.85)
            lapel = np.asarray(np.abs(side - (1.78 - y) * 0.55 - 0.10) - 0.10, np.float32) * body.unit * 0.8
            self._cloth(np.maximum(lapel, distance), who.cloth_colour, 1.22)
        elif kind == "hoodie":
            rim = np.asarray(np.abs(neckline + 0.08 * body.unit) - 0.085 * body.unit, np.float32)
            self._cloth(np.maximum(rim, -self.shoulder - 0.3 * body.unit), who.cloth_colour, 1.16)
            for sign in (-1.0, 1.0):
                cord = np.asarray((np.abs(x - sign * 0.17) - 0.018) * body.unit, np.float32)
                self._cloth(np.maximum(cord, (1.46 - y) * body.unit), (0.93, 0.92, 0.90), 1.0)
        elif kind == "turtleneck":
            self._roll()

    def _neckline(self) -> F32:
        """Signed distance in pixels, positive where skin shows above the collar."""
        x, y = self.body.x, self.body.y
        unit, kind = self.body.unit, self.who.clothes
        wide = self.who.neck + 0.10
        if kind == "vneck":
            return np.asarray(-(y - 1.68 + np.abs(x) * 1.05) * unit * 0.7, np.float32)
        deep = {"tee": 0.20, "shirt": 0.17, "suit": 0.16, "hoodie": 0.17, "turtleneck": 0.06}[kind]
        dx, dy = x * (1.0 / wide), (y - 1.22) * (1.0 / deep)
        return np.asarray((1.0 - np.sqrt(dx * dx + dy * dy + 1e-4)) * unit * deep, np.float32)

    def _collar(self, colour: Colour) -> None:
        body = self.body
        side = np.abs(body.x)
        wing = np.maximum(
            np.abs(side - 0.30 - (1.30 - body.y) * 0.35) - 0.14, np.abs(body.y - 1.30 - 0.06 * side) - 0.15
        )
        point = (body.y - 1.52 + (side - 0.20) * 0.9) * 0.7
        distance = np.asarray(np.maximum(wing, point) * body.unit, np.float32)
        self._cloth(distance, colour, 1.10)

    def _roll(self) -> None:
        body, who = self.body, self.who
        half = who.neck + 0.06
        box = np.maximum(np.abs(body.x) - half, np.abs(body.y - 1.20 - 0.10 * (1.0 - body.x * body.x)) - 0.17)
        distance = np.asarray(box * body.unit, np.float32)
        self._cloth(distance, who.cloth_colour, 0.95, curve=half)

    def _cloth(self, distance: F32, colour: Colour, level: float, curve: float = 0.0) -> None:
        body = self.body
        cover = coverage(distance)
        shade = self.cloth_light * level
        if curve > 0:
            u = body.x * (1.0 / curve)
            shade = shade * (0.62 + 0.42 * np.sqrt(clamp(1.0 - u * u)))
        near = 1.0 - 0.22 * smoothstep(-0.05 * body.unit, 0.0, distance)
        shade = shade * near
        self.canvas.hide_ink(body.window, cover)
        self.canvas.paint(
            body.window, cover, np.asarray(np.minimum(np.stack([shade * c for c in colour]), 1.0), np.float32)
        )
        width = max(0.35, 0.010 * body.unit)
        self.canvas.draw_ink(body.window, line(distance + width, width) * 0.85)


def _pale(colour: Colour) -> Colour:
    return (0.72 + 0.25 * colour[0], 0.72 + 0.25 * colour[1], 0.74 + 0.25 * colour[2])
