"""What is behind the head: a background out of focus, computed once for an identity."""

from __future__ import annotations

import numpy as np

from hdtf_synth.exact import F32, Draws, bump, clamp, layered_noise, mix, smoothstep
from hdtf_synth.identity import Identity


def bake_background(who: Identity, size: int) -> F32:
    """The background of an identity, ``float32 [3, size, size]`` in [0, 1]."""
    ramp = ((np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
    x = np.ascontiguousarray(np.broadcast_to(ramp[None, :], (size, size)))
    y = np.ascontiguousarray(np.broadcast_to(ramp[:, None], (size, size)))
    light = 1.0 if who.light_x > 0 else -1.0
    glow = bump(np.sqrt(x * x + (y + 0.2) * (y + 0.2) + 1e-4), 0.0, 1.5)
    level = mix(0.78, 1.16, glow) * (1.0 + 0.12 * light * x)
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
    if who.style == "sketch":
        near = smoothstep(1.25, 0.35, np.sqrt(x * x + 0.8 * y * y))
        planes = [mix(0.98, p, 0.30 + 0.25 * near) for p in planes]
        return np.asarray(clamp(np.stack(planes)), np.float32)
    vignette = 1.0 - 0.14 * smoothstep(0.7, 1.5, np.sqrt(x * x + y * y))
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
