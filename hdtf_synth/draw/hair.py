"""Hair: a cap that stands off the skull, fringes, locks behind the head, and buns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from hdtf_synth.draw.canvas import Canvas, Window, coverage, line, window_around
from hdtf_synth.draw.head import Surface, View, surface
from hdtf_synth.draw.light import Light
from hdtf_synth.exact import (
    F32,
    Real,
    bump,
    clamp,
    layered_noise,
    mix,
    sine_of_turns,
    smoothstep,
    triangle,
    value_noise,
)
from hdtf_synth.identity import Identity


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
        swell=2.4, fringe=0.06, sides=0.45, side_from=0.80, locks=0.07, rough=0.11, back=0.62, flare=-0.34, wave=0.02
    ),
    "bun": Cut(swell=0.6, fringe=-0.03, sides=0.02, side_from=0.84, sweep=0.22, locks=0.0, rough=0.006),
}


@lru_cache(maxsize=64)
def strands(seed: int) -> F32:
    """Brightness of neighbouring strands, ``float32 [2048]`` in about [-1, 1]."""
    place = np.arange(2048, dtype=np.float32)
    fine = layered_noise(place * 0.35, place * 0.0 + 0.5, seed, layers=2)
    coarse = value_noise(place * 0.06, place * 0.0 + 3.5, seed + 9)
    return np.asarray((fine + coarse) - 1.0, np.float32)


_TURN = 1024


@lru_cache(maxsize=64)
def contour_noise(seed: int, spikes: bool, scale: float) -> F32:
    """How far the hair's contour stands out in each direction, ``float32 [1024]`` in [-1, 1], once around."""
    turn = np.arange(_TURN, dtype=np.float32) * (1.0 / _TURN)
    dx, dy = sine_of_turns(turn + 0.25), sine_of_turns(turn)
    if spikes:
        bent = turn * 13.0 + 1.4 * value_noise(dx * 2.0 + 8.0, dy * 2.0 + 8.0, seed)
        return np.asarray(triangle(bent), np.float32)
    return np.asarray(value_noise(dx * scale + 20.0, dy * scale + 20.0, seed) * 2.0 - 1.0, np.float32)


def _direction_index(x: F32, y: F32) -> F32:
    """Which entry of a table around the circle a direction falls on (by the diamond angle, so without arctangent)."""
    side = x / (np.abs(x) + np.abs(y) + 1e-4)
    quarter = np.where(y < 0, 1.0 - side, side - 1.0)
    return (quarter * (_TURN / 4.0) + _TURN / 2.0).astype(np.int32) & (_TURN - 1)


def _strand_at(who: Identity, across: F32) -> F32:
    index = clamp(across * 330.0 + 1024.0, 0.0, 2047.0).astype(np.int32)
    return np.asarray(strands(who.hair_seed)[index])


@dataclass(frozen=True)
class HairShell:
    """The outer surface of the hair in one frame, used for what lies behind the head and in front of it."""

    cut: Cut
    seen: Surface
    outline: F32
    lit: F32
    strand: F32


def hair_shell(who: Identity, view: View, light: Light) -> HairShell | None:
    """Computes the hair's surface, or nothing for a bald head."""
    cut = CUTS.get(who.hair)
    if cut is None:
        return None
    swell = who.hair_volume * cut.swell
    reach = 1.0 + swell + cut.rough + 0.08
    bottom = min(cut.sides + 0.30, 1.1)
    window = window_around(
        view.centre_x,
        view.centre_y + 0.5 * (bottom - reach - 0.06) * view.unit,
        (0.92 + swell + cut.rough) * view.unit,
        0.5 * (bottom + reach + 0.2) * view.unit,
        view.size,
    )
    if window.empty:
        return None
    seen = surface(who, replace(view, jaw=0.0), window, swell=swell, lift=0.05 + 0.3 * swell)
    outline = seen.outline
    if cut.rough > 0.004:
        scale = 7.0 if who.hair == "curly" else 4.0
        noise = contour_noise(who.hair_seed, who.hair == "spiky", scale)
        outline = outline + noise[_direction_index(seen.x, seen.y)] * (cut.rough * 0.7 * view.unit)
    crown = np.sqrt(np.maximum(1.0 - seen.Y * seen.Y, 0.0)) + 0.30
    across = (seen.X - who.hair_part * 0.6) / crown
    bend = sine_of_turns(seen.Y * 1.6) * cut.wave if cut.wave > 0 else 0.0
    strand = _strand_at(who, across * 0.55 + bend)
    return HairShell(cut, seen, outline, light.diffuse(*seen.normal), strand)


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


def draw_back_hair(canvas: Canvas, who: Identity, view: View, light: Light, shell: HairShell | None) -> None:
    """Paints the hair behind the head: buns, the far side of the cap, and what falls over the shoulders."""
    if shell is None:
        return
    if who.hair == "bun":
        _draw_bun(canvas, who, view, light)
    if shell.cut.back > 0.0:
        _draw_fall(canvas, who, view, light, shell.cut, inner=0.0)
    if who.hair == "buzz":
        return
    window = shell.seen.window
    end = (shell.seen.y - 0.16 - 0.10 * np.abs(shell.seen.x)) * view.unit
    distance = np.maximum(shell.outline, end)
    cover = coverage(distance)
    shade = light.cloth(shell.lit * 0.72) * (1.0 + 0.2 * shell.strand)
    canvas.hide_ink(window, cover)
    canvas.paint(window, cover, _colour(who, light, shade, np.zeros_like(shade)))
    _contour(canvas, view, window, distance, cover, shell.strand)


def draw_locks(canvas: Canvas, who: Identity, view: View, light: Light, shell: HairShell | None) -> None:
    """Paints the part of long hair that falls in front of the shoulders."""
    if shell is not None and who.hair in ("long", "wavy"):
        _draw_fall(canvas, who, view, light, shell.cut, inner=0.54)


def _draw_fall(canvas: Canvas, who: Identity, view: View, light: Light, cut: Cut, *, inner: float) -> None:
    window = Window(max(int(view.centre_y - 0.5 * view.unit), 0), canvas.size, *_columns(view, canvas.size))
    x, y = view.to_plane(window)
    behind = x + 0.28 * view.yaw[0]
    fall = smoothstep(0.1, cut.back, y)
    sway = np.zeros_like(y)
    if cut.wave > 0:
        sway = sine_of_turns(y * 1.7 + (who.hair_seed % 97) / 97.0) * cut.wave
    half = (who.width + who.hair_volume * cut.swell) * 1.02 + cut.flare * fall + 0.04 * smoothstep(-0.8, 0.2, y)
    side = np.abs(behind + sway * 0.6)
    tip = cut.back + 0.035 * triangle(behind * 3.1) - 0.9 * smoothstep(half - 0.30, half + 0.05, side) * 0.22
    dome = 1.0 - 0.55 * smoothstep(0.0, -1.0, y)
    distance = np.maximum(side - half * dome - sway * 0.5, y - tip) * view.unit
    if cut.rough > 0.02:
        ripple = contour_noise(who.hair_seed + 1, False, 9.0)
        place = (y * 260.0 + np.where(behind > 0, 0.0, 512.0)).astype(np.int32) & (_TURN - 1)
        distance = distance + ripple[place] * (min(cut.rough, 0.06) * 0.8 * view.unit)
    if inner > 0.0:
        hem = inner + 0.10 * smoothstep(1.0, 1.7, y) - sway * 0.5
        distance = np.maximum(distance, (hem - side) * view.unit)
    cover = coverage(distance)
    strand = _strand_at(who, behind * 0.75 + sway)
    round_off = clamp(1.0 - side * side * (0.9 / (half * half)))
    lit = clamp(0.30 + 0.5 * round_off + 0.28 * light.direction[0] * behind)
    shadow = smoothstep(0.95, 0.55, side / half) * smoothstep(1.5, 0.7, y)
    shade = light.cloth(lit) * (1.0 + 0.20 * strand) * (1.0 - 0.50 * shadow)
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


def draw_front_hair(canvas: Canvas, who: Identity, view: View, light: Light, shell: HairShell | None) -> None:
    """Paints the cap of hair with its fringe, and the shadow it throws on the forehead."""
    if shell is None:
        return
    seen, cut, strand, outline = shell.seen, shell.cut, shell.strand, shell.outline
    window = seen.window
    edge = _edge(who, seen, cut)
    hang = seen.Y - edge
    below = hang * (view.unit * 0.8)
    distance = np.maximum(outline, below)
    cover = coverage(distance)
    if who.hair == "buzz":
        cover = cover * (0.84 + 0.12 * strand)
    shadow = coverage(np.maximum(outline + 0.05 * view.unit, (hang - 0.075) * view.unit * 0.45))
    strength = {"anime": 0.55, "sketch": 0.35}.get(who.style, 0.42) * (0.3 if who.hair == "buzz" else 1.0)
    canvas.shade(window, shadow * (1.0 - cover) * strength, (0.66, 0.54, 0.52))
    dark = smoothstep(-0.12, 0.0, hang) * 0.22
    if cut.sweep > 0.3:
        dark = dark + bump(seen.X - who.hair_part * 0.6, 0.0, 0.03) * smoothstep(-0.5, -0.75, seen.Y) * 0.35
    shade = light.cloth(shell.lit * (1.0 - dark)) * (1.0 + (0.10 if who.style == "anime" else 0.22) * strand)
    canvas.hide_ink(window, cover)
    canvas.paint(window, cover, _colour(who, light, shade, _shine(who, light, seen, strand)))
    _contour(canvas, view, window, distance, cover, strand)


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


def _edge(who: Identity, seen: Surface, cut: Cut) -> F32:
    """Height of the hair's lower edge at each pixel, on the hair's own surface."""
    X = seen.X
    front: Real = who.hair_line + cut.fringe
    away = X - who.hair_part
    if cut.sweep > 0:
        if who.hair in ("long", "wavy", "bun"):
            front = front + cut.sweep * (away * away)
        else:
            side = 1.0 if who.hair_part < 0 else -1.0
            front = front + cut.sweep * smoothstep(-0.1, 0.9, away * side) * 0.55
    if cut.locks > 0:
        phase = (who.hair_seed % 89) / 89.0
        wave = triangle(X * 2.3 + phase) * 0.6 + triangle(X * 5.1 + 2.0 * phase) * 0.4
        front = front + cut.locks * wave
    share = np.abs(X) * (1.0 / (who.width * (1.0 + who.hair_volume * cut.swell)))
    if cut.wave > 0:
        share = share + sine_of_turns(seen.Y * 1.6) * (cut.wave * 0.8)
    if cut.sides < 0.3:
        # Short hair narrows to a point in front of the ear.
        share = share - 0.20 * smoothstep(cut.sides - 0.45, cut.sides, seen.Y)
    side_edge = smoothstep(cut.side_from - 0.06, cut.side_from + 0.10, share)
    return np.asarray(mix(front, np.maximum(front, cut.sides), side_edge), np.float32)
