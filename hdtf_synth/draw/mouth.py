"""The mouth: lips, teeth, tongue and the dark between them, and the geometry that the truth files report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdtf_synth.draw.canvas import Canvas, Window, coverage, line
from hdtf_synth.draw.face import FaceMap
from hdtf_synth.draw.head import View, lower_jaw, point_on_skull
from hdtf_synth.exact import F32, Real, bump, clamp, mix, smoothstep
from hdtf_synth.identity import Identity
from hdtf_synth.state import FrameState


@dataclass(frozen=True)
class MouthShape:
    """The lips' edges as curves over the mouth's width; lengths in head units.

    Attributes:
        middle: Height of the line where the lips meet, downwards from the head's centre, jaw lowered.
        half_width: From the middle to a corner.
        gap_up: How far the upper lip's inner edge lies above ``middle``.
        gap_down: How far the lower lip's inner edge lies below it.
        upper: Thickness of the upper lip.
        lower: Thickness of the lower lip.
        round: 0 for an almond, 1 for an ellipse.
        bow: Depth of the cupid's bow.
        lift_left: How far the person's left corner is raised.
        lift_right: The same on the right.
        tongue: 0 low, 1 at the upper teeth.
        tuck: 0 free, 1 lower lip under the upper teeth.
    """

    middle: float
    half_width: float
    gap_up: float
    gap_down: float
    upper: float
    lower: float
    round: float
    bow: float
    lift_left: float
    lift_right: float
    tongue: float
    tuck: float

    @property
    def opening(self) -> float:
        """Height of the opening between the lips in the middle."""
        return self.gap_up + self.gap_down

    def base(self, t: Real) -> Real:
        """The line between the lips at t in [-1, 1] across the mouth."""
        lift = mix(self.lift_right, self.lift_left, clamp(t * 0.5 + 0.5))
        return self.middle - lift * t * t

    def edges(self, t: Real) -> tuple[Real, Real, Real, Real]:
        """Heights of upper outer, upper inner, lower inner and lower outer edge at t."""
        square = clamp(1.0 - t * t)
        arch = mix(square, np.sqrt(square), 0.25 + 0.75 * self.round)
        base = self.base(t)
        upper_inner = base - self.gap_up * arch
        lower_inner = base + self.gap_down * arch
        bow = 1.0 - self.bow * 0.5 * bump(t, 0.0, 0.17)
        upper = upper_inner - self.upper * mix(square, np.sqrt(square), 0.35) * bow
        lower = lower_inner + self.lower * mix(square, np.sqrt(square), 0.55)
        return upper, upper_inner, lower_inner, lower


def mouth_shape(who: Identity, state: FrameState) -> MouthShape:
    """The mouth of an identity in a frame."""
    smile = 0.5 * (state.smile_left + state.smile_right)
    free = 1.0 - state.lips_pressed
    gap = (0.27 * state.jaw_open + 0.035 * state.mouth_funnel) * free
    up = 0.26 * gap + 0.030 * state.upper_lip_up * free
    down = 0.74 * gap + (0.035 * state.lower_lip_down) * free
    down = down * (1.0 - 0.75 * state.lip_tuck)
    narrow = 1.0 - 0.40 * state.mouth_pucker - 0.24 * state.mouth_funnel - 0.07 * state.jaw_open
    thin = 1.0 - 0.40 * state.lips_pressed - 0.14 * state.mouth_stretch - 0.14 * smile
    full = thin * (1.0 + 0.30 * state.mouth_pucker + 0.12 * state.mouth_funnel)
    return MouthShape(
        middle=who.mouth_y + 0.012 * state.jaw_open - 0.012 * smile,
        half_width=who.mouth_width * (narrow + 0.17 * state.mouth_stretch + 0.15 * smile),
        gap_up=up,
        gap_down=down,
        upper=who.lip_upper * full,
        lower=who.lip_lower * full * (1.0 - 0.55 * state.lip_tuck),
        round=clamp(state.mouth_pucker + 0.9 * state.mouth_funnel + 0.25 * state.jaw_open),
        bow=who.lip_bow * (1.0 - 0.5 * smile),
        lift_left=0.014 + 0.072 * state.smile_left - 0.05 * state.mouth_frown,
        lift_right=0.014 + 0.072 * state.smile_right - 0.05 * state.mouth_frown,
        tongue=state.tongue_up,
        tuck=state.lip_tuck,
    )


def mouth_window(who: Identity, view: View, shape: MouthShape, face: FaceMap) -> Window:
    """Pixels that the mouth can touch."""
    X, _, Z = point_on_skull(who, 0.0, who.mouth_y)
    centre = shape.middle + 0.5 * shape.gap_down
    return view.window(X, centre, Z, 1.35 * shape.half_width + 0.08, 0.20 + 0.6 * shape.opening + 0.1).within(
        face.window
    )


def draw_mouth(canvas: Canvas, who: Identity, view: View, face: FaceMap, state: FrameState) -> None:
    """Paints the mouth on the face."""
    shape = mouth_shape(who, state)
    window = mouth_window(who, view, shape, face)
    if window.empty:
        return
    X, rest_Y, cover, lit = face.part(window)
    Y = lower_jaw(rest_Y, view.jaw)
    t = X * (1.0 / shape.half_width)
    edges = shape.edges(t)
    if who.style != "anime":
        _draw_lips(canvas, who, view, window, Y, t, edges, (cover, lit), shape)
    _draw_inside(canvas, who, view, window, X, Y, edges, (cover, lit), shape)
    _draw_lines(canvas, who, view, window, Y, t, edges, cover, shape)


def _draw_lips(
    canvas: Canvas,
    who: Identity,
    view: View,
    window: Window,
    Y: F32,
    t: F32,
    edges: tuple[F32, F32, F32, F32],
    light: tuple[F32, F32],
    shape: MouthShape,
) -> None:
    upper, upper_inner, lower_inner, lower = edges
    cover, lit = light
    mask = coverage(np.maximum(upper - Y, Y - lower) * view.unit * 0.9) * cover * smoothstep(1.04, 0.97, np.abs(t))
    on_lower = smoothstep(-0.35, 0.35, (Y - 0.5 * (upper_inner + lower_inner)) * view.unit)
    down_upper = clamp((Y - upper) * (1.0 / (shape.upper + 0.01)))
    down_lower = clamp((Y - lower_inner) * (1.0 / (shape.lower + 0.01)))
    shade = mix(0.90 - 0.20 * down_upper, 1.06 - 0.34 * down_lower * down_lower, on_lower)
    shade = shade * (0.42 + 0.62 * lit) * (1.0 - 0.12 * t * t)
    gloss = {"photo": 0.22, "cg": 0.42, "painting": 0.14}.get(who.style, 0.08)
    shine = (
        bump(down_lower, 0.36, 0.20) * bump(t, 0.18 * (1.0 if who.light_x > 0 else -1.0), 0.30) * on_lower * gloss * lit
    )
    colour = np.stack([shade * channel + shine for channel in who.lip_colour])
    canvas.paint(window, mask * (0.88 if who.style == "photo" else 0.95), np.minimum(colour, 1.0))


def _draw_inside(
    canvas: Canvas,
    who: Identity,
    view: View,
    window: Window,
    X: F32,
    Y: F32,
    edges: tuple[F32, F32, F32, F32],
    light: tuple[F32, F32],
    shape: MouthShape,
) -> None:
    if shape.opening * view.unit < 0.15:
        return
    _, upper_inner, lower_inner, _ = edges
    cover, lit = light
    unit = view.unit
    mask = coverage(np.maximum(upper_inner - Y, Y - lower_inner) * unit) * cover
    mask = mask * clamp((lower_inner - upper_inner) * unit)
    height = np.maximum(lower_inner - upper_inner, 0.01)
    down = clamp((Y - upper_inner) / height)
    flat = who.style == "anime"
    dark = (0.50, 0.16, 0.18) if flat else (0.17, 0.045, 0.05)
    canvas.paint(window, mask, dark)
    tongue_y = mix(shape.middle + shape.gap_down - 0.015, shape.middle + 0.03, shape.tongue)
    dx, dy = X * (1.0 / 0.17), (Y - tongue_y) * (1.0 / 0.075)
    radius = np.sqrt(dx * dx + dy * dy + 1e-4)
    tongue = coverage((radius - 1.0) * (0.075 * unit)) * mask
    glow = clamp(1.1 - 0.5 * radius) * (1.0 if flat else 0.55 + 0.4 * lit)
    pink = (0.92, 0.50, 0.50) if flat else (0.72, 0.30, 0.30)
    canvas.paint(window, tongue, np.asarray(np.stack([glow * c for c in pink]), np.float32))
    _draw_teeth(canvas, who, view, window, X, Y, (mask, lit, down), shape)
    if not flat:
        canvas.shade(window, mask * smoothstep(0.35, 0.0, down) * 0.55, 0.35)


def _draw_teeth(
    canvas: Canvas,
    who: Identity,
    view: View,
    window: Window,
    X: F32,
    Y: F32,
    light: tuple[F32, F32, F32],
    shape: MouthShape,
) -> None:
    mask, lit, _ = light
    unit = view.unit
    aside = clamp(1.0 - X * X * (1.0 / 0.060))
    edge = shape.middle + 0.024 - 0.055 * X * X * 4.0
    upper = coverage((Y - edge) * unit) * mask
    tooth = X * (1.0 / 0.062)
    notch = np.abs(tooth - np.floor(tooth) - 0.5) * 2.0
    seam = smoothstep(0.80, 1.0, notch) * 0.16
    level = (0.50 + 0.50 * lit) * (0.35 + 0.65 * aside) * (1.0 - seam)
    white = np.stack([level * 0.98, level * 0.95, level * 0.90])
    if who.style == "anime":
        canvas.paint(window, upper * smoothstep(0.03, 0.08, shape.opening), (0.99, 0.98, 0.97))
        return
    canvas.paint(window, upper * (0.25 + 0.75 * aside), np.asarray(white, np.float32))
    low_edge = shape.middle + shape.gap_down - 0.014 + 0.05 * X * X * 4.0
    lower = coverage((low_edge - Y) * unit) * mask * smoothstep(0.05, 0.12, shape.gap_down) * (1.0 - shape.tongue)
    canvas.paint(window, lower * aside * 0.75, np.asarray(white * 0.82, np.float32))


def _draw_lines(
    canvas: Canvas,
    who: Identity,
    view: View,
    window: Window,
    Y: F32,
    t: F32,
    edges: tuple[F32, F32, F32, F32],
    cover: F32,
    shape: MouthShape,
) -> None:
    upper, upper_inner, lower_inner, lower = edges
    unit = view.unit
    within = smoothstep(1.06, 0.98, np.abs(t)) * cover
    middle = 0.5 * (upper_inner + lower_inner)
    closed = clamp(1.0 - (lower_inner - upper_inner) * unit * 0.7)
    width = max(0.30, 0.0085 * unit)
    between = line((Y - middle) * unit, width) * within * closed
    red, green, blue = (c * 0.30 for c in who.lip_colour)
    canvas.paint(window, between * 0.80, (0.36, 0.16, 0.16) if who.style == "anime" else (red, green, blue))
    corners = bump(np.abs(t), 1.0, 0.12) * bump((Y - shape.base(t)) * unit, 0.0, 0.03 * unit) * cover
    if who.style != "anime":
        canvas.shade(window, np.asarray(corners * 0.45, np.float32), 0.55)
        under = bump((Y - lower) * unit, 0.030 * unit, 0.03 * unit) * smoothstep(1.0, 0.4, np.abs(t)) * cover
        canvas.shade(window, np.asarray(under * 0.22, np.float32), 0.62)
    opened = 1.0 - closed
    canvas.draw_ink(window, between * 0.9)
    canvas.draw_ink(window, line((Y - upper_inner) * unit, width) * within * opened * 0.95)
    canvas.draw_ink(window, line((Y - lower_inner) * unit, width) * within * opened * 0.85)
    if who.style == "anime":
        hint = line((Y - lower) * unit, width) * smoothstep(0.5, 0.2, np.abs(t)) * cover
        canvas.draw_ink(window, hint * 0.45)
    else:
        canvas.draw_ink(window, line((Y - upper) * unit, width * 0.7) * within * 0.45)
        canvas.draw_ink(window, line((Y - lower) * unit, width * 0.8) * smoothstep(0.95, 0.5, np.abs(t)) * cover * 0.55)
