"""The skin: its relief, colour and hollows are computed once for an identity and then looked up by every frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hdtf_synth.draw.head import half_width
from hdtf_synth.exact import F32, Real, bump, clamp, lattice, layered_noise, mix, smoothstep
from hdtf_synth.identity import Identity

REACH = 1.12
"""The maps cover head coordinates from -REACH to +REACH in both directions."""

_RELIEF_STRENGTH = {"photo": 1.0, "painting": 1.0, "anime": 0.3, "sketch": 1.0, "cg": 0.85}


@dataclass(frozen=True)
class Blob:
    """One rounded hill (or hollow) of the relief."""

    height: float
    x: float
    y: float
    reach_x: float
    reach_y: float

    def at(self, X: Real, Y: Real) -> Real:
        """Height at a point."""
        dx = (X - self.x) * (1.0 / self.reach_x)
        dy = (Y - self.y) * (1.0 / self.reach_y)
        fall = 1.0 / (1.0 + 0.6 * (dx * dx + dy * dy))
        return fall * fall * fall * self.height


@lru_cache(maxsize=16)
def relief_blobs(who: Identity) -> list[Blob]:
    """The hills and hollows of a face."""
    nose, wing, tip = who.nose_height, who.nose_width, who.nose_length
    blobs = [
        Blob(0.40 * nose, 0.0, who.eye_y + 0.03, 0.075, 0.14),
        Blob(0.50 * nose, 0.0, mix(who.eye_y, tip, 0.6), 0.08, 0.13),
        Blob(0.85 * nose, 0.0, tip - 0.03, 0.10, 0.09),
        Blob(0.030, 0.0, who.eye_y - 0.22, 0.16, 0.07),
        Blob(0.050, 0.0, who.mouth_y, 0.22, 0.13),
        Blob(0.075 * who.chin, 0.0, 0.87, 0.15, 0.085),
        Blob(-0.030, 0.0, who.mouth_y + 0.17, 0.13, 0.045),
        Blob(-0.010, 0.0, mix(tip, who.mouth_y, 0.55), 0.022, 0.06),
        Blob(0.030, 0.0, -0.50, 0.30, 0.20),
    ]
    for side in (-1.0, 1.0):
        blobs += [
            Blob(0.46 * nose, side * wing * 0.74, tip, 0.05, 0.048),
            Blob(-0.055, side * who.eye_x, who.eye_y + 0.01, 0.17, 0.10),
            Blob(-0.020, side * 0.13, who.eye_y - 0.02, 0.05, 0.07),
            Blob(0.042, side * 0.27, who.eye_y - 0.2, 0.19, 0.065),
            Blob(0.060, side * 0.42, 0.24, 0.17, 0.13),
            Blob(-0.030 - 0.03 * who.age, side * 0.46, 0.52, 0.12, 0.15),
            Blob(-0.025, side * 0.62, -0.26, 0.12, 0.16),
            Blob(-0.004 - 0.016 * who.age, side * (who.eye_x - 0.02), who.eye_y + 0.16, 0.10, 0.03),
        ]
    return blobs


def relief(who: Identity, X: Real, Y: Real) -> Real:
    """How far the face stands out from the skull at (X, Y), in head units."""
    total = X * 0.0
    for blob in relief_blobs(who):
        total = total + blob.at(X, Y)
    # The fold from the wing of the nose to the corner of the mouth, on both sides.
    side = np.abs(X) if isinstance(X, np.ndarray) else abs(X)
    along = (Y - who.nose_length) * (1.0 / (who.mouth_y + 0.04 - who.nose_length))
    fold = side - mix(who.nose_width + 0.05, who.mouth_width + 0.06, clamp(along))
    inside = smoothstep(-0.3, 0.4, along) * smoothstep(1.25, 0.55, along)
    total = total - bump(fold, 0.0, 0.05) * inside * (0.004 + 0.024 * who.age)
    return total * _RELIEF_STRENGTH[who.style]


@dataclass(frozen=True)
class SkinMaps:
    """Maps over head coordinates, ``float32 [n * n, 8]``: red, green, blue, slope x, slope y, hollow, gloss, height."""

    side: int
    values: F32
    heights: F32

    def sample(self, X: F32, Y: F32) -> F32:
        """Look-up at the nearest place for head coordinates ``[h, w]``: ``[8, h, w]``."""
        return np.ascontiguousarray(np.moveaxis(self.values[self._index(X, Y)], -1, 0))

    def height(self, X: F32, Y: F32) -> F32:
        """The relief at the nearest place of the map, in head units."""
        return np.asarray(self.heights[self._index(X, Y)])

    def _index(self, X: F32, Y: F32) -> NDArray[np.int32]:
        scale = (self.side - 1) / (2.0 * REACH)
        start = REACH * scale + 0.5
        last = float(self.side - 1)
        ix = np.minimum(np.maximum(X * scale + start, 0.0), last).astype(np.int32)
        iy = np.minimum(np.maximum(Y * scale + start, 0.0), last).astype(np.int32)
        return np.asarray(iy * self.side + ix, np.int32)


def bake_skin(who: Identity, size: int) -> SkinMaps:
    """Computes an identity's skin for pictures of ``size`` pixels."""
    side = max(64, size + size // 2 + 8)
    ramp = (np.arange(side, dtype=np.float32) * (2.0 * REACH / (side - 1)) - REACH).astype(np.float32)
    X = np.ascontiguousarray(np.broadcast_to(ramp[None, :], (side, side)))
    Y = np.ascontiguousarray(np.broadcast_to(ramp[:, None], (side, side)))
    height = relief(who, X, Y)
    step = 0.012
    slope_x = (relief(who, X + step, Y) - relief(who, X - step, Y)) * (0.5 / step)
    slope_y = (relief(who, X, Y + step) - relief(who, X, Y - step)) * (0.5 / step)
    if who.style in ("photo", "painting", "sketch"):
        grain = 0.06 + 0.12 * who.age
        pores = layered_noise(X * 34.0, Y * 34.0, who.hair_seed + 7)
        slope_x = slope_x + (pores - 0.5) * grain
        slope_y = slope_y + (layered_noise(X * 34.0, Y * 34.0, who.hair_seed + 8) - 0.5) * grain
        wrinkle = bump((Y + 0.48) * 9.0 - np.floor((Y + 0.48) * 9.0) - 0.5, 0.0, 0.14)
        slope_y = slope_y + wrinkle * smoothstep(0.4, 0.1, np.abs(X)) * smoothstep(-0.3, -0.42, Y) * (0.22 * who.age)
    red, green, blue = _albedo(who, X, Y)
    gloss = 0.35 + 0.65 * clamp(
        bump(X, 0.0, 0.16) * bump(Y, who.nose_length - 0.1, 0.3) + bump(Y, -0.42, 0.2) * bump(X, 0.0, 0.4)
    )
    if who.style == "sketch":
        red, green, blue = (mix(plane, 0.97, 0.45) for plane in (red, green, blue))
    planes = [red, green, blue, slope_x, slope_y, _hollow(who, X, Y), gloss, height]
    values = np.stack([np.asarray(plane, np.float32).reshape(-1) for plane in planes], axis=1)
    return SkinMaps(side, np.ascontiguousarray(values), np.ascontiguousarray(values[:, 7]))


def _hollow(who: Identity, X: F32, Y: F32) -> F32:
    """How much light reaches a place: 1 in the open, less in hollows and in the shadow that the nose throws."""
    side = np.abs(X)
    light = 1.0 if who.light_x > 0 else -1.0
    soft = 0.45 if who.style == "anime" else 1.0
    socket = bump(side, who.eye_x - 0.03, 0.15) * bump(Y, who.eye_y - 0.05, 0.085)
    corner = bump(side, 0.115, 0.05) * bump(Y, who.eye_y, 0.09)
    under = bump(side, 0.0, who.nose_width * 0.9) * bump(Y, who.nose_length + 0.075, 0.045)
    flank = bump(side, who.nose_width + 0.02, 0.035) * bump(Y, who.nose_length, 0.06)
    thrown = bump(X, -light * (who.nose_width * 0.75), 0.06) * bump(Y, who.nose_length - 0.02, 0.13)
    lip = bump(side, 0.0, 0.15) * bump(Y, who.mouth_y + 0.165, 0.035)
    total = 0.24 * socket + 0.20 * corner + 0.36 * under + 0.15 * flank + 0.20 * thrown + 0.16 * lip
    edge = smoothstep(0.82, 1.02, side / (half_width(who, Y) * np.sqrt(np.maximum(1.0 - Y * Y, 0.02))))
    return np.asarray(1.0 - clamp(total * soft + 0.10 * edge, 0.0, 0.8), np.float32)


def _albedo(who: Identity, X: F32, Y: F32) -> tuple[F32, F32, F32]:
    side = np.abs(X)
    flat = who.style in ("anime", "cg")
    tone = 1.0 + (layered_noise(X * 5.0 + 9.0, Y * 5.0, who.hair_seed) - 0.5) * (0.02 if flat else 0.10)
    planes = [tone * channel for channel in who.skin]
    blush = bump(side, 0.40, 0.15) * bump(Y, 0.26, 0.13) * 0.8 + bump(X, 0.0, 0.1) * bump(Y, who.nose_length, 0.1) * 0.7
    blush = clamp(blush + 0.25 * bump(X, 0.0, 0.16) * bump(Y, 0.9, 0.1)) * who.flush
    planes = [mix(p, p * f, blush) for p, f in zip(planes, (1.04, 0.74, 0.72), strict=True)]
    tired = bump(side, who.eye_x, 0.14) * bump(Y, who.eye_y + 0.11, 0.06) * (0.12 + 0.3 * who.age)
    planes = [mix(p, p * f, tired) for p, f in zip(planes, (0.82, 0.72, 0.76), strict=True)]
    if who.freckles > 0:
        spots = _spots(X, Y, who.hair_seed + 31)
        place = bump(Y, 0.20, 0.2) * smoothstep(0.62, 0.35, side)
        spots = spots * place * (0.45 * who.freckles)
        planes = [mix(p, p * f, spots) for p, f in zip(planes, (0.74, 0.58, 0.48), strict=True)]
    beard = _beard(who, X, Y)
    if beard is not None:
        planes = [mix(p, c * 0.9 + 0.02, beard) for p, c in zip(planes, who.hair_colour, strict=True)]
    return planes[0], planes[1], planes[2]


def _spots(X: F32, Y: F32, seed: int) -> F32:
    """Small round spots at random places, 0 to 1."""
    x, y = X * 19.0, Y * 19.0
    ix, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    cx = 0.25 + 0.5 * lattice(ix, iy, seed)
    cy = 0.25 + 0.5 * lattice(ix, iy, seed + 1)
    strength = smoothstep(0.45, 0.9, lattice(ix, iy, seed + 2))
    dx, dy = x - np.floor(x) - cx, y - np.floor(y) - cy
    return np.asarray(smoothstep(0.055, 0.01, dx * dx + dy * dy) * strength, np.float32)


def _beard(who: Identity, X: F32, Y: F32) -> F32 | None:
    """How much beard hides the skin, 0 to 1, or nothing."""
    if who.beard == "none":
        return None
    side = np.abs(X)
    edge = (layered_noise(X * 16.0, Y * 16.0, who.hair_seed + 3) - 0.5) * 0.07
    moustache_top = who.nose_length + 0.095 + side * 0.22
    moustache = smoothstep(moustache_top - 0.012, moustache_top + 0.03, Y + edge)
    moustache = moustache * smoothstep(who.mouth_y + 0.035 + side * 0.35, who.mouth_y - 0.01 + side * 0.35, Y + edge)
    moustache = moustache * smoothstep(0.36, 0.30, side + edge)
    if who.beard == "moustache":
        return np.asarray(moustache * 0.92, np.float32)
    line_up = mix(who.mouth_y + 0.17, 0.12, smoothstep(0.28, 0.64, side))
    full = smoothstep(line_up - 0.02, line_up + 0.05, Y + edge)
    goatee = smoothstep(0.30, 0.22, side + edge) * smoothstep(who.mouth_y + 0.10, who.mouth_y + 0.18, Y + edge)
    ring = smoothstep(0.10, 0.07, np.abs(side - 0.335) + edge) * smoothstep(who.mouth_y - 0.12, who.mouth_y, Y)
    strand = 0.80 + 0.2 * layered_noise(X * 60.0, Y * 22.0, who.hair_seed + 5)
    if who.beard == "goatee":
        return np.asarray(clamp(np.maximum(np.maximum(goatee, moustache), ring * goatee) * strand * 0.9), np.float32)
    both = np.maximum(full, moustache)
    if who.beard == "stubble":
        return np.asarray(both * (0.22 + 0.2 * layered_noise(X * 50.0, Y * 50.0, who.hair_seed + 5)), np.float32)
    return np.asarray(clamp(both * strand * 0.96), np.float32)
