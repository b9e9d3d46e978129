"""Light: one key lamp, a soft fill and a rim, and how each portrait style turns them into the colour of skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdtf_synth.exact import F32, Real, clamp, mix, smoothstep
from hdtf_synth.identity import Colour, Identity


@dataclass(frozen=True)
class Light:
    """The lamps of a portrait, in the camera's frame (x right, y down, z towards the viewer).

    Attributes:
        style: The portrait style.
        direction: Unit vector to the key lamp.
        key: Colour of the key lamp.
        fill: Colour of the light from everywhere.
        rim: Colour of the light from behind.
    """

    style: str
    direction: tuple[float, float, float]
    key: Colour
    fill: Colour
    rim: Colour

    def diffuse(self, nx: F32, ny: F32, nz: F32) -> F32:
        """Brightness of the key lamp on a surface, 0 to 1, reaching a little around the edge."""
        x, y, z = self.direction
        wrap = 0.35
        return np.asarray(clamp((nx * x + ny * y + nz * z + wrap) * (1.0 / (1.0 + wrap))), np.float32)

    def half_way(self, nx: F32, ny: F32, nz: F32) -> F32:
        """Cosine between the normal and the direction half-way between lamp and viewer."""
        x, y, z = self.direction
        length = float(np.sqrt(x * x + y * y + (z + 1.0) * (z + 1.0)))
        return np.asarray(clamp((nx * x + ny * y + nz * (z + 1.0)) * (1.0 / length)), np.float32)

    def side(self, side: float) -> float:
        """Brightness of something that faces left (-1) or right (1)."""
        return float(clamp(0.45 + 0.75 * side * self.direction[0]))

    def tint(self, colour: Colour) -> Colour:
        """A colour under full key light."""
        level = {"photo": 0.98, "painting": 0.96, "anime": 1.0, "sketch": 1.0, "cg": 1.0}[self.style]
        return (
            min(colour[0] * self.key[0] * level, 1.0),
            min(colour[1] * self.key[1] * level, 1.0),
            min(colour[2] * self.key[2] * level, 1.0),
        )

    def skin(self, albedo: F32, nx: F32, ny: F32, nz: F32, lit: F32, hollow: F32, gloss: F32) -> F32:
        """Colour of skin ``[3, h, w]``."""
        if self.style == "anime":
            return self._flat_skin(albedo, lit, hollow)
        edge = 1.0 - nz
        rim = edge * edge * edge * clamp(0.6 - 0.9 * (nx * self.direction[0]))
        shine = self.half_way(nx, ny, nz)
        for _ in range(4 if self.style == "cg" else 3):
            shine = shine * shine
        strong = {"photo": 0.13, "painting": 0.10, "sketch": 0.05, "cg": 0.30}[self.style]
        shine = shine * gloss * strong
        rim = rim * {"photo": 0.22, "painting": 0.16, "sketch": 0.0, "cg": 0.55}[self.style]
        # Light that has travelled under the skin reddens the border of shadow.
        border = lit * (1.0 - lit) * 4.0
        out = np.empty_like(albedo)
        for c, bleed in enumerate((0.055, 0.0, -0.012)):
            level = (self.fill[c] + self.key[c] * lit) * (hollow + (1.0 - hollow) * (0.22, 0.06, 0.06)[c])
            out[c] = albedo[c] * (level + border * bleed) + shine * self.key[c] + rim * self.rim[c]
        # A soft shoulder instead of a hard limit keeps pale skin from burning out.
        over = np.maximum(out - 0.76, 0.0)
        return np.minimum(out, 0.76) + over / (1.0 + over * 4.0)

    def _flat_skin(self, albedo: F32, lit: F32, hollow: F32) -> F32:
        """Two tones with a crisp border, as animation cels are painted."""
        bright = smoothstep(0.40, 0.46, lit * (0.35 + 0.65 * hollow))
        out = np.empty_like(albedo)
        for c, shadow in enumerate((0.90, 0.74, 0.76)):
            out[c] = albedo[c] * mix(shadow, 1.0, bright) * (0.9 + 0.1 * self.key[c])
        return np.minimum(out, 1.0)

    def cloth(self, lit: Real) -> Real:
        """Brightness factor of cloth and hair from the key lamp."""
        if self.style == "anime":
            return mix(0.66, 1.0, smoothstep(0.34, 0.42, lit))
        return 0.34 + 0.72 * lit


def light_of(who: Identity) -> Light:
    """The lamps of an identity."""
    x, y = who.light_x, -who.light_y
    z = 0.9
    length = float(np.sqrt(x * x + y * y + z * z))
    warm = who.warmth
    strength = {"photo": 0.92, "painting": 0.96, "anime": 1.0, "sketch": 0.90, "cg": 0.90}[who.style]
    key = (strength * (1.03 + 0.06 * warm), strength * (1.0 + 0.01 * warm), strength * (0.97 - 0.09 * warm))
    fill_strength = {"photo": 0.40, "painting": 0.42, "anime": 0.4, "sketch": 0.34, "cg": 0.44}[who.style]
    wall = who.wall_colour
    fill = tuple(fill_strength * (0.65 + 0.5 * wall[c]) * (1.0, 1.0, 1.06)[c] for c in range(3))
    rim = tuple(0.55 + 0.45 * wall[c] for c in range(3))
    if who.style == "anime":
        key = (1.0 + 0.02 * warm, 1.0, 1.0 - 0.03 * warm)
    return Light(
        who.style, (x / length, y / length, z / length), key, (fill[0], fill[1], fill[2]), (rim[0], rim[1], rim[2])
    )
