"""The last step of each style: brush strokes, ink, pencil on paper, or a camera's tone curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdtf_synth.draw.canvas import Canvas
from hdtf_synth.exact import F32, clamp, lattice, layered_noise, mix, smoothstep, triangle, value_noise
from hdtf_synth.identity import Identity


@dataclass(frozen=True)
class Medium:
    """What a style needs besides the picture, computed once for an identity and a size.

    Attributes:
        strokes: For paintings, the pixel that each pixel's brush stroke takes its colour from, ``int32 [H, W]``.
        relief: For paintings, the light on the strokes; for sketches, the paper's grain; ``float32 [H, W]``.
        hatches: For sketches, three families of hatch lines, ``float32 [3, H, W]`` in [0, 1].
    """

    strokes: NDArray[np.int32] | None = None
    relief: F32 | None = None
    hatches: F32 | None = None


def bake_medium(who: Identity, size: int) -> Medium:
    """Computes brush strokes or paper for an identity's style."""
    if who.style == "painting":
        return _brush(who, size)
    if who.style == "sketch":
        return _paper(who, size)
    return Medium()


def finish(canvas: Canvas, who: Identity, medium: Medium) -> NDArray[np.uint8]:
    """The finished picture, ``uint8 [H, W, 3]``."""
    rgb = canvas.rgb
    if who.style == "painting":
        rgb = _paint_over(rgb, medium)
    elif who.style == "sketch":
        rgb = _draw_over(rgb, canvas.ink, medium)
    elif who.style == "anime":
        line = canvas.ink * 0.82
        rgb = np.stack([rgb[c] + (colour - rgb[c]) * line for c, colour in enumerate((0.16, 0.10, 0.13))])
    else:
        rgb = _tone(rgb, 0.16 if who.style == "photo" else 0.22)
    whole = clamp(rgb * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(whole, 0, -1))


def _tone(rgb: F32, strength: float) -> F32:
    """A gentle S-curve."""
    x = clamp(rgb)
    return np.asarray(mix(x, x * x * (3.0 - 2.0 * x), strength), np.float32)


def _brush(who: Identity, size: int) -> Medium:
    """Strokes are the cells of a jittered, slanted grid: every pixel takes the colour of its cell's middle."""
    scale = size / 128.0
    index = np.arange(size, dtype=np.float32)
    y, x = np.broadcast_to(index[:, None], (size, size)), np.broadcast_to(index[None, :], (size, size))
    bend = (
        layered_noise(np.asarray(x / (38.0 * scale)), np.asarray(y / (38.0 * scale)), who.hair_seed + 5, layers=2) - 0.5
    )
    long, wide = 5.0 * scale, 2.1 * scale
    slant = 0.8 + 1.6 * bend
    norm = 1.0 / np.sqrt(1.0 + slant * slant)
    u = (x + y * slant) * norm
    v = (y - x * slant) * norm
    u = u + (value_noise(np.asarray(x / 3.1), np.asarray(y / 3.1), who.hair_seed) - 0.5) * (2.0 * scale)
    row = np.floor(v / wide)
    shift = lattice(row.astype(np.int64), row.astype(np.int64) * 0, who.hair_seed + 6) * long
    column = np.floor((u + shift) / long)
    mid_u = (column + 0.5) * long - shift
    mid_v = (row + 0.5) * wide
    du, dv = mid_u - u, mid_v - v
    sx = clamp(x + (du - dv * slant) * norm + 0.5, 0.0, size - 1.0).astype(np.int32)
    sy = clamp(y + (dv + du * slant) * norm + 0.5, 0.0, size - 1.0).astype(np.int32)
    across = np.abs(dv) * (2.0 / wide)
    tint = lattice(row.astype(np.int64), column.astype(np.int64), who.hair_seed + 8) - 0.5
    canvas_weave = 0.5 * triangle(x * 0.5 / scale) * triangle(y * 0.5 / scale)
    relief = 1.0 + 0.085 * tint - 0.05 * across * across + 0.012 * canvas_weave
    return Medium(strokes=np.asarray(sy * size + sx, np.int32), relief=np.asarray(relief, np.float32))


def _paint_over(rgb: F32, medium: Medium) -> F32:
    if medium.strokes is None or medium.relief is None:
        raise ValueError("a painting needs its strokes")
    flat = rgb.reshape(3, -1)
    stroked = flat[:, medium.strokes]
    # Fine detail (eyes, lips) shows as a difference from its stroke; there the brush was smaller.
    difference = np.abs(rgb[0] - stroked[0]) + np.abs(rgb[1] - stroked[1])
    keep = 0.15 + 0.75 * smoothstep(0.10, 0.34, difference)
    mixed = stroked + (rgb - stroked) * keep
    mixed = mixed * medium.relief
    warm = np.stack([mixed[0] * 1.02 + 0.012, mixed[1], mixed[2] * 0.93 + 0.012])
    return np.asarray(_tone(warm, 0.35), np.float32)


def _paper(who: Identity, size: int) -> Medium:
    scale = max(size / 128.0, 1.0)
    index = np.arange(size, dtype=np.float32)
    y = np.ascontiguousarray(np.broadcast_to(index[:, None], (size, size)))
    x = np.ascontiguousarray(np.broadcast_to(index[None, :], (size, size)))
    wobble = (layered_noise(x / (17.0 * scale), y / (17.0 * scale), who.hair_seed + 2) - 0.5) * (5.0 * scale)
    families = []
    for angle, pitch in ((1.0, 3.3), (-0.8, 3.9), (0.22, 3.1)):
        norm = 1.0 / float(np.sqrt(1.0 + angle * angle))
        place = (x * angle + y + wobble) * (norm / (pitch * scale))
        families.append(triangle(place) * 0.5 + 0.5)
    grain = layered_noise(x / (1.3 * scale), y / (1.3 * scale), who.hair_seed + 4, layers=2) - 0.5
    fibre = value_noise(x / (6.0 * scale), y / (2.2 * scale), who.hair_seed + 1) - 0.5
    return Medium(
        relief=np.asarray(grain + 0.4 * fibre, np.float32), hatches=np.asarray(np.stack(families), np.float32)
    )


def _draw_over(rgb: F32, ink: F32, medium: Medium) -> F32:
    if medium.hatches is None or medium.relief is None:
        raise ValueError("a sketch needs its paper")
    grey = rgb[0] * 0.30 + rgb[1] * 0.56 + rgb[2] * 0.14
    dark = clamp(1.0 - grey * 1.08)
    tone = np.zeros_like(grey)
    for family, (start, full, weight) in enumerate(((0.16, 0.62, 0.36), (0.44, 0.86, 0.32), (0.66, 0.98, 0.30))):
        need = smoothstep(start, full, dark)
        # A line is wider where the picture is darker.
        stroke = smoothstep(1.02 - 0.95 * need, 1.30 - 0.95 * need, medium.hatches[family] + medium.relief * 0.55)
        tone = tone + (1.0 - tone) * stroke * weight * smoothstep(0.0, 0.15, need)
    smear = smoothstep(0.08, 0.95, dark) * 0.52 * (1.0 + 0.5 * medium.relief)
    tone = tone + (1.0 - tone) * smear
    lines = clamp(ink * (0.92 + 0.5 * medium.relief))
    tone = tone + (1.0 - tone) * lines * 0.88
    paper = 1.0 + 0.05 * medium.relief
    planes = [
        paper * base - (base - graphite) * tone for base, graphite in ((0.965, 0.14), (0.95, 0.14), (0.915, 0.16))
    ]
    return np.asarray(np.stack(planes), np.float32)
