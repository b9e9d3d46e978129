"""The head as a solid: where it is, which of its points each pixel shows, and where a point of it lands.

Head coordinates: X to the picture's right, Y down, Z towards the viewer; 1 is half of the head's height. The skull is
a stack of ellipses (half-width and half-depth vary with Y); a relief of nose, brows, cheeks, lips and chin stands on
it. Turning is exact for the ellipses (each pixel's ray is intersected with them); nod and relief are solved by
fixed-point steps, so features move by their own depth and the far side is foreshortened.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hdtf_synth.draw.canvas import Window, window_around
from hdtf_synth.exact import F32, Real, bump, clamp, cosine, sine, smoothstep
from hdtf_synth.identity import Identity
from hdtf_synth.state import FrameState

HEAD_SHARE = 0.298
"""Half of the head's height as a share of the picture's side."""

CENTRE_Y = 0.475
"""Height of the head's centre as a share of the picture's side."""

_JAW_HINGE = 0.40
_JAW_STRETCH = 0.20


@dataclass(frozen=True)
class View:
    """How the head stands before the camera in one frame, in pixels of a square picture."""

    size: int
    unit: float
    centre_x: float
    centre_y: float
    yaw: tuple[float, float]
    pitch: tuple[float, float]
    roll: tuple[float, float]
    jaw: float

    def to_plane(self, window: Window) -> tuple[F32, F32]:
        """Pixel centres of the window in head units around the head's centre, without the roll: two ``[h, w]``."""
        px = (np.arange(window.left, window.right, dtype=np.float32) + 0.5 - self.centre_x) * (1.0 / self.unit)
        py = (np.arange(window.top, window.bottom, dtype=np.float32) + 0.5 - self.centre_y) * (1.0 / self.unit)
        s, c = self.roll
        x = px[None, :] * c + py[:, None] * s
        y = py[:, None] * c - px[None, :] * s
        return x, y

    def from_plane(self, x: Real, y: Real) -> tuple[Real, Real]:
        """The inverse of ``to_plane`` for single points: pixels."""
        s, c = self.roll
        return self.centre_x + (x * c - y * s) * self.unit, self.centre_y + (y * c + x * s) * self.unit

    def project(self, X: Real, Y: Real, Z: Real) -> tuple[Real, Real]:
        """Where a point of the head (jaw already lowered) lands, in pixels."""
        sy, cy = self.yaw
        sp, cp = self.pitch
        depth = Z * cy - X * sy
        return self.from_plane(X * cy + Z * sy, Y * cp + depth * sp)

    def window(self, X: float, Y: float, Z: float, reach_x: float, reach_y: float) -> Window:
        """Pixels within a reach (head units) of a projected point."""
        px, py = self.project(X, Y, Z)
        return window_around(px, py, reach_x * self.unit, reach_y * self.unit, self.size)


def view_of(state: FrameState, size: int) -> View:
    """The view of a frame."""
    unit = HEAD_SHARE * size * state.scale
    return View(
        size=size,
        unit=unit,
        centre_x=0.5 * size + state.x * HEAD_SHARE * size,
        centre_y=CENTRE_Y * size + state.y * HEAD_SHARE * size,
        yaw=(sine(state.yaw), cosine(state.yaw)),
        pitch=(sine(state.pitch), cosine(state.pitch)),
        roll=(sine(state.roll), cosine(state.roll)),
        jaw=state.jaw_open,
    )


def lower_jaw(Y: Real, jaw: float) -> Real:
    """Height of a point of the resting face after the jaw has dropped."""
    below = np.maximum(Y - _JAW_HINGE, 0.0) if isinstance(Y, np.ndarray) else max(Y - _JAW_HINGE, 0.0)
    return Y + below * (_JAW_STRETCH * jaw)


def raise_jaw(Y: Real, jaw: float) -> Real:
    """The inverse of ``lower_jaw``."""
    below = np.maximum(Y - _JAW_HINGE, 0.0) if isinstance(Y, np.ndarray) else max(Y - _JAW_HINGE, 0.0)
    return Y - below * (_JAW_STRETCH * jaw / (1.0 + _JAW_STRETCH * jaw))


def half_width(identity: Identity, Y: Real) -> Real:
    """Half-width of the skull's ellipse at height Y of the resting face, before the rounding at top and chin."""
    return identity.width * (
        1.0
        + identity.temple * bump(Y, -0.5, 0.4)
        + identity.cheek * bump(Y, 0.12, 0.35)
        + identity.jaw * bump(Y, 0.72, 0.36)
    )


def axis_depth(Y: Real) -> Real:
    """How far forward the middle of the ellipse at height Y lies: the jaw is in front of the skull."""
    return 0.26 * smoothstep(0.15, 1.05, Y)


_STEPS = 4096
_SPAN = 1.6


@lru_cache(maxsize=8)
def _profile(identity: Identity) -> tuple[F32, F32]:
    """``half_width`` and ``axis_depth`` over Y from -1.6 to 1.6, for looking up instead of computing."""
    Y = np.arange(_STEPS, dtype=np.float32) * (2.0 * _SPAN / (_STEPS - 1)) - _SPAN
    return half_width(identity, Y), np.asarray(axis_depth(Y), np.float32)


def _shape_at(identity: Identity, Y: F32) -> tuple[F32, F32]:
    """Half-width and axis depth at the heights Y of pixels."""
    widths, depths = _profile(identity)
    scale = (_STEPS - 1) / (2.0 * _SPAN)
    index = np.minimum(np.maximum(Y * scale + (_SPAN * scale + 0.5), 0.0), _STEPS - 1.0).astype(np.int32)
    return widths[index], depths[index]


@dataclass(frozen=True)
class Surface:
    """What the pixels of a window show of the head: arrays ``[h, w]``.

    Attributes:
        window: Which pixels.
        x: Position in the plane of the picture, head units, without roll.
        y: The same, downwards.
        X: Head coordinate of the point seen, relief not yet taken into account.
        Y: The same, downwards, as on the resting face (jaw raised).
        normal: Unit normal in the camera's frame (x right, y down, z to the viewer), skull only.
        depth: Z before rotation, for reference.
        outline: Signed distance to the head's outline in pixels, negative inside.
    """

    window: Window
    x: F32
    y: F32
    X: F32
    Y: F32
    normal: tuple[F32, F32, F32]
    depth: F32
    outline: F32


def surface(identity: Identity, view: View, window: Window, *, swell: float = 0.0, lift: float = 0.0) -> Surface:
    """Intersects the rays of a window with the skull.

    Args:
        identity: Whose head.
        view: How it stands.
        window: Which pixels.
        swell: Thickness added all around (hair).
        lift: How far the solid is moved up and back (hair).
    """
    x, y = view.to_plane(window)
    if lift:
        shifted_x = x + (lift * view.yaw[0])
        shifted_y = y + (lift * view.pitch[1])
    else:
        shifted_x, shifted_y = x, y
    grow = 1.0 + swell
    inverse = 1.0 / grow
    x_, y_ = shifted_x * inverse, shifted_y * inverse
    sy, cy = view.yaw
    sp, cp = view.pitch
    gamma = identity.depth
    depth = np.sqrt(np.maximum(1.0 - y_ * y_ - x_ * x_, 0.0)) * (gamma * cy)
    X = Z = Y = alpha = zc = x_
    for _ in range(2):
        Y = raise_jaw((y_ - depth * sp) * (1.0 / cp), view.jaw)
        alpha, zc = _shape_at(identity, Y)
        across = x_ - zc * sy
        squared = alpha * alpha * (cy * cy) + (gamma * gamma * sy * sy)
        root = np.sqrt(np.maximum(squared * np.maximum(1.0 - Y * Y, 0.0) - across * across, 0.0))
        scale = 1.0 / squared
        mixed = alpha * gamma
        X = (across * alpha * alpha * cy - mixed * root * sy) * scale
        Z = (across * (gamma * gamma * sy) + mixed * root * cy) * scale + zc
        depth = Z * cy - X * sy
    return Surface(
        window=window,
        x=x,
        y=y,
        X=X * grow,
        Y=Y * grow,
        normal=_normal(X, Y, Z - zc, alpha, gamma, view),
        depth=Z,
        outline=_outline(identity, view, x_, y_) * (grow * view.unit),
    )


def _normal(X: F32, Y: F32, Z: F32, alpha: F32, gamma: float, view: View) -> tuple[F32, F32, F32]:
    nx = X / (alpha * alpha)
    ny = Y * 0.85
    nz = Z * (1.0 / (gamma * gamma))
    return rotate_normal(nx, ny, nz, view)


def rotate_normal(nx: F32, ny: F32, nz: F32, view: View) -> tuple[F32, F32, F32]:
    """Turns normals of the head into the camera's frame and makes them unit length."""
    sy, cy = view.yaw
    sp, cp = view.pitch
    sr, cr = view.roll
    x1 = nx * cy + nz * sy
    z1 = nz * cy - nx * sy
    y1 = ny * cp + z1 * sp
    z2 = z1 * cp - ny * sp
    scale = 1.0 / np.sqrt(x1 * x1 + y1 * y1 + z2 * z2 + 1e-6)
    return (x1 * cr - y1 * sr) * scale, (y1 * cr + x1 * sr) * scale, z2 * scale


def _outline(identity: Identity, view: View, x: F32, y: F32) -> F32:
    sy, cy = view.yaw
    sp, cp = view.pitch
    gamma = identity.depth
    reach = float(np.sqrt(cp * cp + gamma * gamma * sp * sp))
    # The rim that the viewer sees at the chin lies further forward than the skull's axis.
    forward = clamp(y * 0.42 - 0.06, 0.0, 0.38)
    Y = raise_jaw((y - forward * sp) * (1.0 / reach), view.jaw)
    alpha, axis = _shape_at(identity, Y)
    across = x - axis * sy
    squared = alpha * alpha * (cy * cy) + (gamma * gamma * sy * sy)
    relative = across / squared
    value = relative * across + Y * Y - 1.0
    slope = np.sqrt(relative * relative + Y * Y + 0.02) * 2.0
    return np.asarray(value / slope, np.float32)


def skull_depth(identity: Identity, X: Real, Y: Real) -> Real:
    """Z of the front of the resting skull at (X, Y)."""
    across = X / half_width(identity, Y)
    return axis_depth(Y) + identity.depth * np.sqrt(clamp(1.0 - Y * Y - across * across))


def point_on_skull(identity: Identity, X: float, Y: float) -> tuple[float, float, float]:
    """The front point of the resting skull at (X, Y): head coordinates."""
    return X, Y, float(skull_depth(identity, X, Y))
