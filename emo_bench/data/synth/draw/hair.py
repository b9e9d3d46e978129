"""Hair: a cap that stands off the skull, fringes, locks behind the head, and buns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from emo_bench.data.synth.draw.canvas import Canvas, Window, coverage, line, window_around
from emo_bench.data.synth.draw.head import Surface, View, surface
from emo_bench.data.synth.draw.light import Light
from emo_bench.data.synth.exact import (
    F32,
    bump,
    clamp,
    layered_noise,
    mix,
    sine_of_turns,
    smoothstep,
    triangle,
    value_noise,
)
from emo_bench.data.synth.identity import Identity


@dataclass(frozen=True)
class Cut:
    """What tells one kind of hair from another; lengths in head units, heights downwards from the head's centre.

    Attributes:
        swell: Thickness on the skull relative to the identity's volume.
        fringe: Offset of the lower edge over the forehead from the hairline.
        sides: How far down the hair reaches at the temples.
        side_from: Where across the head the sides begin (share of the half-width).
        sweep: How much the edge falls away from the parting.
        locks: Depth of the jagged edge.
        rough: Roughness of the outer contour.
        back: How far down the hair behind the head reaches (0: none).
        flare: Extra width of the hair behind at its end.
        wave: Depth of waves.
    """

    swell: float = 1.0
    fringe: float = 0.0
    sides: float = -0.02
    side_from: float = 0.80
    sweep: float = 0.0
    locks: float = 0.015
    rough: float = 0.012
    back: float = 0.0
    flare: float = 0.0
    wave: float = 0.0


CUTS = {
    "buzz": Cut(swell=0.22, fringe=0.0, sides=0.0, locks=0.008, rough=0.003),
    "short": Cut(fringe=0.03, sides=0.02, sweep=0.10, locks=0.05, rough=0.022),
    "parted": Cut(swell=1.1, fringe=-0.04, sides=0.0, sweep=0.42, locks=0.02, rough=0.014),
    "spiky": Cut(swell=1.5, fringe=0.14, sides=0.10, locks=0.15, rough=0.10),
    "bob": Cut(swell=1.25, fringe=0.20, sides=1.3, side_from=0.72, locks=0.03, back=0.86, flare=0.05, rough=0.012),
    "long": Cut(swell=1.0, fringe=-0.07, sides=1.4, side_from=0.76, sweep=0.75, locks=0.0, back=1.8, flare=0.06),
    "wavy": Cut(
        swell=1.3, fringe=-0.05, sides=1.4, side_from=0.74, sweep=0.62, back=1.6, flare=0.16, wave=0.05, rough=0.03
    ),
    "curly": Cut(
        swell=2.4, fringe=0.06, sides=0.45, side_from=0.80, locks=0.07, rough=0.11, back=0.5, flare=0.02, wave=0.03
    ),
    "bun": Cut(swell=0.6, fringe=-0.03, sides=0.02, side_from=0.84, sweep=0.22, locks=0.0, rough=0.006),
    "receding": Cut(swell=0.55, fringe=-0.24, sides=0.06, side_from=0.82, locks=0.03, rough=0.015),
}


@lru_cache(maxsize=64)
def strands(seed: int) -> F32:
    """Brightness of neighbouring strands, ``float32 [2048]`` in about [-1, 1]."""
    place = np.arange(2048, dtype=np.float32)
    fine = layered_noise(place * 0.35, place * 0.0 + 0.5, seed, layers=2)
    coarse = value_noise(place * 0.06, place * 0.0 + 3.5, seed + 9)
    return np.asarray((fine + coarse) - 1.0, np.float32)


def _strand_at(who: Identity, across: F32) -> F32:
    index = clamp(across * 330.0 + 1024.0, 0.0, 2047.0).astype(np.int32)
    return strands(who.hair_seed)[index]


def _colour(who: Identity, light: Light, shade: F32, shine: F32) -> F32:
    gleam = {"photo": 0.20, "painting": 0.20, "anime": 0.34, "sketch": 0.30, "cg": 0.30}[who.style]
    red, green, blue = (0.05 + 0.95 * c for c in who.hair_colour)
    lift = shine * gleam
    planes = [
        shade * red + lift * (0.5 + 0.5 * red),
        shade * green + lift * (0.5 + 0.5 * green),
        shade * blue + lift * (0.5 + 0.5 * blue),
    ]
    return np.asarray(np.minimum(np.stack(planes), 1.0), np.float32)


def _still(view: View) -> View:
    return replace(view, jaw=0.0)


def draw_back_hair(canvas: Canvas, who: Identity, view: View, light: Light) -> None:
    """Paints the hair that falls behind the head and over the shoulders, and buns."""
    cut = CUTS.get(who.hair)
    if cut is None:
        return
    if who.hair == "bun":
        _draw_bun(canvas, who, view, light)
    if cut.back <= 0.0:
        return
    window = Window(max(int(view.centre_y - 1.1 * view.unit), 0), canvas.size, *_columns(view, canvas.size))
    x, y = view.to_plane(window)
    behind = x + 0.28 * view.yaw[0]
    fall = smoothstep(0.1, cut.back, y)
    sway = 0.0
    if cut.wave > 0:
        sway = sine_of_turns(y * 1.7 + (who.hair_seed % 97) / 97.0) * cut.wave
    half = (who.width + who.hair_volume * cut.swell) * 1.02 + cut.flare * fall + 0.04 * smoothstep(-0.8, 0.2, y)
    side = np.abs(behind + sway * 0.6)
    tip = cut.back + 0.05 * triangle(behind * 3.1) - 0.25 * np.maximum(side - half + 0.25, 0.0)
    dome = 1.0 - 0.55 * smoothstep(0.0, -1.0, y)
    distance = np.maximum(side - half * dome - sway * 0.5, y - tip) * view.unit
    if cut.rough > 0.02:
        distance = distance + (value_noise(x * 6.0 + 40.0, y * 6.0 + 40.0, who.hair_seed) - 0.5) * (
            cut.rough * 1.6 * view.unit
        )
    cover = coverage(distance)
    strand = _strand_at(who, behind * 0.75 + sway)
    round_off = clamp(1.0 - side * side * (0.9 / (half * half)))
    lit = clamp(0.30 + 0.5 * round_off + 0.28 * light.direction[0] * behind)
    inner = smoothstep(0.95, 0.55, side / half) * smoothstep(1.5, 0.7, y)
    shade = light.cloth(lit) * (1.0 + 0.20 * strand) * (1.0 - 0.50 * inner)
    shine = bump(y, 0.55, 0.25) * round_off * (0.5 + strand) * 0.5
    canvas.hide_ink(window, cover)
    canvas.paint(
        window, cover, _colour(who, light, np.asarray(shade, np.float32), np.asarray(clamp(shine), np.float32))
    )
    _contour(canvas, view, window, np.asarray(distance, np.float32), cover, strand)


def _columns(view: View, size: int) -> tuple[int, int]:
    reach = 1.45 * view.unit
    return max(int(view.centre_x - reach), 0), min(int(view.centre_x + reach) + 1, size)


def _contour(canvas: Canvas, view: View, window: Window, distance: F32, cover: F32, strand: F32) -> None:
    width = max(0.35, 0.011 * view.unit)
    canvas.draw_ink(window, line(distance + width, width) * 0.92)
    canvas.draw_ink(window, np.asarray(cover * smoothstep(0.30, 0.55, -strand) * 0.30, np.float32))


def _draw_bun(canvas: Canvas, who: Identity, view: View, light: Light) -> None:
    px, py = view.project(0.0, -1.12, -0.30)
    radius = 0.27
    window = window_around(px, py, 1.5 * radius * view.unit, 1.4 * radius * view.unit, canvas.size)
    if window.empty:
        return
    x, y = view.to_plane(window)
    cx = (px - view.centre_x) / view.unit
    cy = (py - view.centre_y) / view.unit
    s, c = view.roll
    dx, dy = x - (cx * c + cy * s), y - (cy * c - cx * s)
    nx, ny = dx * (1.0 / (radius * 1.12)), dy * (1.0 / radius)
    square = nx * nx + ny * ny
    distance = (np.sqrt(square + 1e-4) - 1.0) * (radius * view.unit)
    cover = coverage(distance)
    nz = np.sqrt(clamp(1.0 - square))
    lit = light.diffuse(nx, ny, nz)
    strand = _strand_at(who, nx * 0.5 + ny * ny * 0.3)
    shade = light.cloth(lit) * (1.0 + 0.18 * strand)
    shine = bump(ny, -0.35, 0.25) * nz * (0.5 + strand)
    canvas.hide_ink(window, cover)
    canvas.paint(
        window, cover, _colour(who, light, np.asarray(shade, np.float32), np.asarray(clamp(shine), np.float32))
    )
    _contour(canvas, view, window, np.asarray(distance, np.float32), cover, strand)


def draw_front_hair(canvas: Canvas, who: Identity, view: View, light: Light) -> None:
    """Paints the cap of hair with its fringe, and the shadow it throws on the forehead."""
    cut = CUTS.get(who.hair)
    if cut is None:
        return
    swell = who.hair_volume * cut.swell
    reach = 1.0 + swell + cut.rough + 0.08
    bottom = min(cut.sides + 0.25, 1.1)
    centre = 0.5 * (bottom - reach - 0.06)
    window = window_around(
        view.centre_x,
        view.centre_y + centre * view.unit,
        (0.95 + swell + cut.rough) * view.unit,
        0.5 * (bottom + reach + 0.2) * view.unit,
        canvas.size,
    )
    if window.empty:
        return
    seen = surface(who, _still(view), window, swell=swell, lift=0.05 + 0.3 * swell)
    outline = _rough_outline(who, view, seen, cut)
    edge = _edge(who, seen, cut)
    below = (seen.Y - edge) * (view.unit * 0.8)
    cover = coverage(np.maximum(outline, below))
    if who.hair == "buzz":
        cover = cover * (0.80 + 0.15 * value_noise(seen.X * 40.0, seen.Y * 40.0, who.hair_seed))
    shadow = coverage(np.maximum(outline + 0.03 * view.unit, (seen.Y - edge - 0.075) * view.unit * 0.45))
    strength = {"anime": 0.55, "sketch": 0.35}.get(who.style, 0.42) * (0.3 if who.hair == "buzz" else 1.0)
    canvas.shade(window, np.asarray(shadow * (1.0 - cover) * strength, np.float32), (0.66, 0.54, 0.52))
    nx, ny, nz = seen.normal
    lit = light.diffuse(nx, ny, nz)
    crown = np.sqrt(np.maximum(1.0 - seen.Y * seen.Y, 0.0)) + 0.30
    across = (seen.X - who.hair_part * 0.6) / crown
    bend = sine_of_turns(seen.Y * 1.6) * cut.wave
    strand = _strand_at(who, across * 0.55 + bend)
    edge_dark = smoothstep(-0.12, 0.0, seen.Y - edge) * 0.22
    if cut.sweep > 0.3:
        edge_dark = edge_dark + bump(across, 0.0, 0.03) * smoothstep(-0.5, -0.75, seen.Y) * 0.35
    shade = light.cloth(lit * (1.0 - edge_dark)) * (1.0 + (0.10 if who.style == "anime" else 0.22) * strand)
    canvas.hide_ink(window, cover)
    shine = _shine(who, light, seen, strand)
    canvas.paint(window, cover, _colour(who, light, np.asarray(shade, np.float32), shine))
    _contour(canvas, view, window, np.asarray(np.maximum(outline, below), np.float32), cover, strand)


def _shine(who: Identity, light: Light, seen: Surface, strand: F32) -> F32:
    """The ring of light around the head that smooth hair shows."""
    nx, ny, nz = seen.normal
    if who.hair == "buzz":
        return np.zeros_like(nx)
    place = ny + 0.60 - 0.18 * nx * light.direction[0]
    if who.style == "anime":
        zigzag = 0.05 * triangle(seen.X * 4.6 + 0.3)
        return np.asarray(smoothstep(0.085, 0.06, np.abs(place + zigzag)) * smoothstep(0.2, 0.5, nz), np.float32)
    facing = clamp(0.55 + 0.9 * nx * light.direction[0])
    width = 0.42 if who.hair == "curly" else 0.20
    return np.asarray(clamp(bump(place, 0.0, width) * facing * (0.75 + 0.8 * strand)), np.float32)


def _rough_outline(who: Identity, view: View, seen: Surface, cut: Cut) -> F32:
    if cut.rough < 0.004:
        return seen.outline
    radius = 1.0 / np.sqrt(seen.x * seen.x + seen.y * seen.y + 1e-3)
    dx, dy = seen.x * radius, seen.y * radius
    if who.hair == "spiky":
        # Spikes: a triangle wave around the contour whose phase is bent by noise.
        turn = dx * 1.9 + 0.6 * value_noise(dx * 2.0 + 8.0, dy * 2.0 + 8.0, who.hair_seed)
        jag = triangle(turn * 2.4)
    else:
        scale = 7.0 if who.hair == "curly" else 4.0
        jag = value_noise(dx * scale + 20.0, dy * scale + 20.0, who.hair_seed) * 2.0 - 1.0
    return np.asarray(seen.outline + jag * (cut.rough * 0.7 * view.unit), np.float32)


def _edge(who: Identity, seen: Surface, cut: Cut) -> F32:
    """Height of the hair's lower edge at each pixel, on the hair's own surface."""
    X = seen.X
    front = who.hair_line + cut.fringe
    away = X - who.hair_part
    if cut.sweep > 0:
        if who.hair in ("long", "wavy", "bun"):
            front = front + cut.sweep * (away * away)
        else:
            side = 1.0 if who.hair_part < 0 else -1.0
            front = front + cut.sweep * smoothstep(-0.1, 0.9, away * side) * 0.55
    if who.hair == "receding":
        front = front + 0.22 * bump(X, 0.0, 0.16) * (who.hair_seed % 3) * 0.5
    if cut.locks > 0:
        phase = (who.hair_seed % 89) / 89.0
        wave = triangle(X * 2.3 + phase) * 0.6 + triangle(X * 5.1 + 2.0 * phase) * 0.4
        front = front + cut.locks * wave
    share = np.abs(X) * (1.0 / (who.width * (1.0 + who.hair_volume * cut.swell)))
    side_edge = smoothstep(cut.side_from - 0.06, cut.side_from + 0.10, share)
    if cut.wave > 0:
        side_edge = smoothstep(
            cut.side_from - 0.06, cut.side_from + 0.10, share + sine_of_turns(seen.Y * 1.6) * cut.wave * 0.8
        )
    # From the temples down the edge drops to the side's length; side locks end softly.
    return np.asarray(mix(front, np.maximum(front, cut.sides), side_edge), np.float32)
