"""Eyes, lids, lashes and brows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdtf_synth.draw.canvas import Canvas, Window, coverage, line
from hdtf_synth.draw.face import FaceMap
from hdtf_synth.draw.head import View, point_on_skull
from hdtf_synth.exact import F32, Real, bump, clamp, mix, smoothstep
from hdtf_synth.identity import Identity
from hdtf_synth.state import FrameState


@dataclass(frozen=True)
class EyeShape:
    """One eye; lengths in units of its half-width.

    Attributes:
        side: +1 for the eye on the picture's right (the person's left), -1 for the other.
        top: Height of the upper lid above the corner line; negative when closed.
        low: Depth of the lower lid below it.
        rest_top: Height of the upper lid when open.
        tilt: Slant; positive lifts the outer corner.
        square: 0 for an almond, 1 for a boxy eye.
    """

    side: float
    top: float
    low: float
    rest_top: float
    tilt: float
    square: float

    def arc(self, u: Real) -> Real:
        """Shape of a lid over u in [-1, 1]."""
        square = clamp(1.0 - u * u)
        return mix(square, np.sqrt(square), self.square) * (1.0 - 0.12 * u)

    def upper(self, u: Real) -> Real:
        """Height of the upper lid at u, downwards."""
        return -self.top * self.arc(u)

    def lower(self, u: Real) -> Real:
        """Height of the lower lid at u, downwards."""
        return self.low * self.arc(-u)


def eye_shape(who: Identity, state: FrameState, side: float) -> EyeShape:
    """The eye on one side of the picture."""
    left = side > 0
    blink = state.blink_left if left else state.blink_right
    wide = state.eye_wide_left if left else state.eye_wide_right
    squint = state.eye_squint_left if left else state.eye_squint_right
    top = who.eye_open * (0.64 + 0.20 * wide - 0.12 * squint + 0.06 * clamp(-state.look_y) - 0.14 * clamp(state.look_y))
    low = who.eye_open * (0.36 + 0.04 * wide - 0.14 * squint - 0.08 * state.cheek_raise)
    return EyeShape(
        side=side,
        top=mix(top, -0.80 * low, blink),
        low=low,
        rest_top=top,
        tilt=who.eye_tilt,
        square={"anime": 0.55, "cg": 0.35}.get(who.style, 0.18),
    )


def draw_eyes(canvas: Canvas, who: Identity, view: View, face: FaceMap, state: FrameState) -> None:
    """Paints both eyes and brows."""
    for side in (-1.0, 1.0):
        shape = eye_shape(who, state, side)
        point = point_on_skull(who, side * who.eye_x, who.eye_y)
        window = view.window(*point, 1.5 * who.eye_width, 1.35 * who.eye_width).within(face.window)
        if not window.empty:
            X, Y, cover, lit = face.part(window)
            u = (X - side * who.eye_x) * (side / who.eye_width)
            v = (Y - who.eye_y) * (1.0 / who.eye_width) + shape.tilt * u
            _draw_eye(canvas, who, view, window, (u, v, cover, lit), shape, state)
        _draw_brow(canvas, who, view, face, state, side)


def _draw_eye(
    canvas: Canvas,
    who: Identity,
    view: View,
    window: Window,
    places: tuple[F32, F32, F32, F32],
    shape: EyeShape,
    state: FrameState,
) -> None:
    u, v, cover, lit = places
    px = who.eye_width * view.unit
    upper, lower = shape.upper(u), shape.lower(u)
    _draw_lid(canvas, who, window, places, shape, px)
    # Lids are drawn across the slope of their arc, so distances are shortened a little.
    opened = coverage(np.maximum(upper - v, v - lower) * (px * 0.85)) * cover * clamp((lower - upper) * px)
    opened = opened * smoothstep(1.02, 0.98, np.abs(u))
    shadow = smoothstep(0.30, 0.0, v - upper)
    ball = (1.0 - 0.18 * u * u) * (1.0 - 0.34 * shadow) * (0.62 + 0.40 * lit)
    white = {"anime": (0.99, 0.98, 1.0), "cg": (0.97, 0.97, 0.97)}.get(who.style, (0.90, 0.88, 0.86))
    canvas.paint(window, opened, np.asarray(np.stack([np.minimum(ball * c, 1.0) for c in white]), np.float32))
    _draw_iris(canvas, who, window, (u, v, opened), shape, state, px)
    if who.style in ("photo", "painting", "cg"):
        tear = opened * bump(u, -0.92, 0.12)
        canvas.paint(window, np.asarray(tear * 0.7, np.float32), (0.78, 0.48, 0.44))
    _draw_lashes(canvas, who, window, places, shape, px)


def _draw_lid(
    canvas: Canvas, who: Identity, window: Window, places: tuple[F32, F32, F32, F32], shape: EyeShape, px: float
) -> None:
    u, v, cover, _ = places
    if who.style == "anime":
        return
    upper = shape.upper(u)
    # The lid's fold above the eye, and its own shade while it closes.
    fold = -(shape.rest_top + 0.17) * shape.arc(u * 0.93)
    depth = bump((v - fold) * px, 0.0, max(0.8, 0.075 * px)) * smoothstep(1.15, 0.8, np.abs(u)) * cover
    canvas.shade(window, np.asarray(depth * 0.34, np.float32), (0.50, 0.40, 0.38))
    lid = smoothstep(0.0, 0.08, v - fold) * smoothstep(0.02, -0.06, v - upper) * smoothstep(1.1, 0.9, np.abs(u)) * cover
    canvas.shade(window, np.asarray(lid * 0.5, np.float32), (0.92, 0.84, 0.82))
    bag = bump((v - shape.lower(u) - 0.16) * px, 0.0, max(0.8, 0.09 * px)) * smoothstep(1.1, 0.6, np.abs(u)) * cover
    canvas.shade(window, np.asarray(bag * (0.12 + 0.2 * who.age), np.float32), (0.66, 0.56, 0.56))


def _draw_iris(
    canvas: Canvas,
    who: Identity,
    window: Window,
    places: tuple[F32, F32, F32],
    shape: EyeShape,
    state: FrameState,
    px: float,
) -> None:
    u, v, opened = places
    wide, tall = {"anime": (0.50, 0.72), "cg": (0.55, 0.57)}.get(who.style, (0.47, 0.48))
    tall = tall * {"anime": who.eye_open}.get(who.style, 1.0)
    dx = (u - shape.side * state.look_x * 0.34) * (1.0 / wide)
    dy = (v - state.look_y * 0.22 + 0.10 * shape.rest_top) * (1.0 / tall)
    radius = np.sqrt(dx * dx + dy * dy + 1e-5)
    scale = wide * px
    mask = coverage((radius - 1.0) * scale) * opened
    red, green, blue = who.eye_colour
    if who.style == "anime":
        fade = clamp(0.50 + 0.42 * dy)
        colour = np.stack([c * (0.42 + 0.85 * fade) + 0.10 * fade for c in (red, green, blue)])
        limbus = smoothstep(0.78, 0.95, radius)
        colour = colour * (1.0 - 0.62 * limbus)
        pupil_r, pupil_c = 0.40, (red * 0.22, green * 0.22, blue * 0.26)
    else:
        fade = clamp(0.62 + 0.34 * dy)
        ring = bump(radius, 0.52, 0.16) * 0.18
        limbus = smoothstep(0.70, 1.0, radius)
        lift = 1.35 if who.style == "cg" else 1.12
        colour = np.stack(
            [(c * lift * (0.55 + 0.65 * fade) + ring * 0.7) * (1.0 - 0.60 * limbus) for c in (red, green, blue)]
        )
        pupil_r, pupil_c = 0.44, (0.02, 0.02, 0.02)
    lid_shadow = 1.0 - 0.42 * smoothstep(0.26, 0.0, v - shape.upper(u))
    canvas.paint(window, mask, np.asarray(np.minimum(colour * lid_shadow, 1.0), np.float32))
    pupil_y = 1.0 if who.style != "anime" else 0.75
    pr = np.sqrt(dx * dx + dy * dy * pupil_y + 1e-5)
    canvas.paint(window, coverage((pr - pupil_r) * scale) * mask, pupil_c)
    gleam_x = 0.34 * (1.0 if who.light_x > 0 else -1.0) * shape.side
    size = {"anime": 0.30, "cg": 0.22}.get(who.style, 0.19)
    gx, gy = dx - gleam_x, (dy + 0.38) * (tall / wide)
    gleam = coverage((np.sqrt(gx * gx + gy * gy + 1e-5) - size) * scale + 0.1) * opened
    canvas.paint(window, gleam * (0.85 if who.style != "anime" else 1.0), (1.0, 1.0, 1.0))
    if who.style in ("anime", "cg"):
        hx, hy = dx + gleam_x * 0.8, (dy - 0.48) * (tall / wide)
        soft = smoothstep(0.34, 0.05, np.sqrt(hx * hx + hy * hy + 1e-5)) * mask
        canvas.paint(window, np.asarray(soft * 0.45, np.float32), (0.95, 0.97, 1.0))


def _draw_lashes(
    canvas: Canvas, who: Identity, window: Window, places: tuple[F32, F32, F32, F32], shape: EyeShape, px: float
) -> None:
    u, v, cover, _ = places
    upper = shape.upper(u)
    flat = who.style == "anime"
    reach = smoothstep(1.22 if flat else 1.12, 1.02, u) * smoothstep(-1.06, -0.94, u)
    # Beyond the outer corner the lash line runs on upwards.
    flick = np.maximum(u - 0.9, 0.0) * (1.1 if flat else 0.7)
    thick = (0.035 + 0.05 * who.lashes + (0.07 if flat else 0.0)) * (0.55 + 0.45 * smoothstep(-1.0, 0.7, u))
    width = np.maximum(thick * px, 0.28)
    distance = np.abs((v - upper + thick * 0.6 + flick) * px) - width
    lash = clamp(0.5 - distance) * reach * cover
    dark = tuple(0.05 + 0.12 * c for c in who.hair_colour)
    canvas.paint(
        window, np.asarray(lash * (0.95 if flat else 0.62 + 0.3 * who.lashes), np.float32), (dark[0], dark[1], dark[2])
    )
    canvas.draw_ink(window, np.asarray(lash * 0.95, np.float32))
    lower = line((v - shape.lower(u)) * px, max(0.25, 0.028 * px)) * smoothstep(1.0, 0.85, np.abs(u)) * cover
    strength = 0.42 if flat else 0.30
    canvas.paint(window, np.asarray(lower * strength, np.float32), (0.32, 0.18, 0.16))
    canvas.draw_ink(window, np.asarray(lower * (0.35 + 0.3 * smoothstep(-0.2, 0.8, u)), np.float32))
    if flat or who.style == "sketch":
        fold = line((v + (shape.rest_top + 0.20) * shape.arc(u * 0.9)) * px, max(0.25, 0.03 * px))
        canvas.draw_ink(window, np.asarray(fold * smoothstep(0.9, 0.5, np.abs(u)) * cover * 0.5, np.float32))


def brow_curve(who: Identity, state: FrameState, side: float, u: Real) -> Real:
    """Height of a brow's middle line at u (-1 inner to 1 outer end), downwards in head units."""
    left = side > 0
    outer = state.brow_outer_up_left if left else state.brow_outer_up_right
    down = state.brow_down_left if left else state.brow_down_right
    inner_weight, outer_weight = clamp(0.5 - 0.5 * u), clamp(0.5 + 0.5 * u)
    rest = who.eye_y - who.brow_y - who.brow_arch * (1.0 - (u - 0.25) * (u - 0.25)) - who.brow_tilt * 0.10 * u
    raised = 0.095 * state.brow_inner_up * inner_weight + 0.085 * outer * outer_weight
    lowered = down * (0.075 * inner_weight + 0.040 * outer_weight)
    return rest - raised + lowered


def _draw_brow(canvas: Canvas, who: Identity, view: View, face: FaceMap, state: FrameState, side: float) -> None:
    centre_x, half = who.eye_x + 0.01, 0.205
    point = point_on_skull(who, side * centre_x, who.eye_y - who.brow_y)
    window = view.window(*point, 0.30, 0.26).within(face.window)
    if window.empty:
        return
    X, Y, cover, _ = face.part(window)
    u = (X * side - centre_x) * (1.0 / half)
    middle = brow_curve(who, state, side, clamp(u, -1.2, 1.2))
    taper = smoothstep(-1.08, -0.8, u) * mix(1.0, 0.25, smoothstep(0.1, 1.05, u))
    thick = who.brow_thick * taper * (0.62 if who.style == "anime" else 1.0)
    distance = (np.abs(Y - middle) - thick) * view.unit
    soft = 0.8 if who.style in ("photo", "painting") else 1.0
    mask = clamp(0.5 - distance * soft) * smoothstep(1.1, 1.0, np.abs(u)) * cover
    strand = (u * 9.0 + (Y - middle) * 40.0) * 0.5
    wave = np.abs(strand - np.floor(strand) - 0.5) * 2.0
    hairs = 1.0 - (0.22 * wave if who.style in ("photo", "painting", "sketch") else 0.0)
    colour = tuple(c * 0.72 + 0.01 for c in who.hair_colour)
    if who.style in ("photo", "painting", "cg"):
        grey = tuple(min(c, 0.55 * skin, 0.34) for c, skin in zip(colour, who.skin, strict=True))
        colour = (grey[0], grey[1], grey[2])
    canvas.paint(window, np.asarray(mask * hairs * 0.86, np.float32), (colour[0], colour[1], colour[2]))
    canvas.draw_ink(window, np.asarray(mask * hairs * (0.55 if who.style == "sketch" else 0.35), np.float32))
