"""Arithmetic that gives the same bits on every machine.

Allowed are the operations that IEEE 754 rounds exactly (``+ - * /`` and ``sqrt``), comparisons, floor, integer
arithmetic, and table lookups, applied element by element: their result does not depend on the processor, on SIMD
width or on the library's version. Not allowed are sums over an axis, matrix products and library sines, exponentials
or powers, whose last bit differs between builds. A test reads the source of this package and refuses them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[Any]
"""Arrays of float32; typed loosely because NumPy's stubs widen ``float32 * 0.5`` to float64, which NumPy does not."""
F64 = NDArray[np.float64]
Real = Any
"""A Python float or an array of floats: the functions below keep the kind they are given."""

T = TypeVar("T")


@dataclass(frozen=True)
class Draws:
    """Random numbers with names: each depends on the purpose and its own name only, never on the order of the calls.

    >>> Draws("example").uniform("a") == Draws("example").uniform("a")
    True
    """

    purpose: str

    def integer(self, name: str) -> int:
        """A whole number in [0, 2**53)."""
        digest = hashlib.sha256(f"hdtf-synth\x1f{self.purpose}\x1f{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 11

    def uniform(self, name: str) -> float:
        """A number in [0, 1)."""
        return self.integer(name) / 9007199254740992.0

    def between(self, name: str, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.uniform(name)

    def around(self, name: str, middle: float, spread: float) -> float:
        """A bell-shaped number: the mean of three uniforms, within ``middle`` ± ``spread``."""
        total = self.uniform(name + "/0") + self.uniform(name + "/1") + self.uniform(name + "/2")
        return middle + spread * (total * (2.0 / 3.0) - 1.0)

    def chance(self, name: str, probability: float) -> bool:
        """True with the given probability."""
        return self.uniform(name) < probability

    def choice(self, name: str, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[self.integer(name) % len(options)]


def clamp(x: Real, low: float = 0.0, high: float = 1.0) -> Real:
    """``x`` limited to [low, high]."""
    if isinstance(x, np.ndarray):
        bounded = np.maximum(x, low)
        return np.minimum(bounded, high, out=bounded)
    return min(max(x, low), high)


def mix(a: Real, b: Real, t: Real) -> Real:
    """From ``a`` at t = 0 to ``b`` at t = 1."""
    return a + (b - a) * t


def smoothstep(low: Real, high: Real, x: Real) -> Real:
    """0 below ``low``, 1 above ``high``, a smooth cubic between; ``low`` may exceed ``high`` for a falling step."""
    t = clamp((x - low) * (1.0 / (high - low)))
    if not isinstance(t, np.ndarray):
        return t * t * (3.0 - 2.0 * t)
    # The same roundings in place: these small steps are a tenth of a picture's time.
    rest = t * -2.0
    rest += 3.0
    t *= t
    t *= rest
    return t


def bump(x: Real, centre: float, width: float) -> Real:
    """A bell of height 1 around ``centre`` that is 1/4 at ``centre`` ± ``width`` (rational, no exponential)."""
    t = (x - centre) * (1.0 / width)
    if not isinstance(t, np.ndarray):
        u = 1.0 / (1.0 + t * t)
        return u * u
    t *= t
    t += 1.0
    t = 1.0 / t
    t *= t
    return t


def sine_of_turns(turns: Real) -> Real:
    """sin(2 π turns) by a polynomial of exactly rounded steps; the error is below 2e-7.

    >>> round(sine_of_turns(0.25), 6), round(sine_of_turns(1.25), 6), abs(sine_of_turns(1.5)) < 2e-7
    (1.0, 1.0, True)
    """
    if isinstance(turns, np.ndarray):
        t = turns - np.floor(turns + 0.5)
        t = np.where(t > 0.25, 0.5 - t, np.where(t < -0.25, -0.5 - t, t))
    else:
        t = turns - float(np.floor(turns + 0.5))
        t = 0.5 - t if t > 0.25 else (-0.5 - t if t < -0.25 else t)
    x = t * 6.283185307179586
    q = x * x
    tail = q * (1.0 / 362880.0 - q * (1.0 / 39916800.0))
    series = 1.0 - q * (1.0 / 6.0 - q * (1.0 / 120.0 - q * (1.0 / 5040.0 - tail)))
    return x * series


def sine(degrees: Real) -> Real:
    """The sine of an angle in degrees."""
    return sine_of_turns(degrees * (1.0 / 360.0))


def cosine(degrees: Real) -> Real:
    """The cosine of an angle in degrees."""
    return sine_of_turns(degrees * (1.0 / 360.0) + 0.25)


def triangle(turns: Real) -> Real:
    """A triangle wave in [-1, 1] with period 1."""
    t = turns - np.floor(turns)
    return np.abs(t * 4.0 - 2.0) - 1.0


def lattice(x: NDArray[np.int64], y: NDArray[np.int64], seed: int) -> F32:
    """White noise in [0, 1) at whole-number places, by integer mixing (all multiplications wrap at 64 bits)."""
    h = x.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + y.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    h = h + np.uint64(seed & 0xFFFFFFFF) * np.uint64(0x165667B19E3779F9 & 0xFFFFFFFF)
    h = (h ^ (h >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
    h = h ^ (h >> np.uint64(31))
    return np.asarray((h >> np.uint64(40)).astype(np.float32) * np.float32(1.0 / 16777216.0), np.float32)


def value_noise(x: F32, y: F32, seed: int) -> F32:
    """Smooth noise in [0, 1): white noise at whole-number places, blended between them."""
    fx, fy = np.floor(x), np.floor(y)
    ix, iy = fx.astype(np.int64), fy.astype(np.int64)
    tx, ty = x - fx, y - fy
    tx, ty = tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty)
    top = mix(lattice(ix, iy, seed), lattice(ix + 1, iy, seed), tx)
    low = mix(lattice(ix, iy + 1, seed), lattice(ix + 1, iy + 1, seed), tx)
    return np.asarray(mix(top, low, ty), np.float32)


def layered_noise(x: F32, y: F32, seed: int, layers: int = 3) -> F32:
    """Value noise of halving size and weight, in [0, 1)."""
    total = np.zeros_like(x)
    weight, reach = 0.5, 0.0
    for layer in range(layers):
        total = total + value_noise(x, y, seed + 101 * layer) * weight
        reach += weight
        x, y, weight = x * 2.03 + 17.3, y * 2.03 + 5.7, weight * 0.5
    return np.asarray(total * (1.0 / reach), np.float32)


def curve_noise(times: F64, rate: float, seed: int) -> F64:
    """A smooth random curve in about [-1, 1]: a cubic B-spline through white noise, ``rate`` knots a second."""
    x = times * rate
    whole = np.floor(x)
    t = x - whole
    i = whole.astype(np.int64)
    zero = np.zeros_like(i)
    knots = [lattice(i + k, zero, seed).astype(np.float64) * 2.0 - 1.0 for k in range(4)]
    u = 1.0 - t
    w0, w3 = u * u * u, t * t * t
    w1 = 3.0 * t * t * t - 6.0 * t * t + 4.0
    w2 = 6.0 - w0 - w1 - w3
    # The spline's own spread is about half of the knots'; 1.9 restores it.
    blended = (knots[0] * w0 + knots[1] * w1 + knots[2] * w2 + knots[3] * w3) * (1.9 / 6.0)
    return np.asarray(clamp(blended, -1.0, 1.0), np.float64)
