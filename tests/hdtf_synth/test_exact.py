from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest

import hdtf_synth as package
from hdtf_synth.exact import Draws, bump, curve_noise, lattice, sine_of_turns, smoothstep, value_noise

SOURCES = Path(package.__file__).parent

# What leads from a seed to bytes; the datasheet and the making of recordings may use anything.
EXACT = sorted(
    path
    for path in SOURCES.rglob("*.py")
    if "speech" not in path.relative_to(SOURCES).parts and path.name != "datasheet.py"
)
# Element by element and exactly rounded by IEEE 754, or integer, or moving data only.
ALLOWED = {
    "abs", "append", "arange", "argmin", "array", "asarray", "ascontiguousarray", "bincount", "bitwise_or",
    "broadcast_to", "concatenate", "cumsum", "diff", "dtype", "empty", "empty_like", "flatnonzero", "float32",
    "float64", "floor", "full_like", "int16", "int32", "int64", "int8", "maximum", "minimum", "moveaxis", "ndarray",
    "ones", "ones_like", "sort", "sqrt", "stack", "uint64", "uint8", "where", "zeros", "zeros_like",
}  # fmt: skip
FORBIDDEN_METHODS = {"mean", "sum", "dot", "std", "var", "prod", "einsum", "matmul", "cumprod"}
# A sum of whole numbers does not depend on its order.
INTEGER_SUMS = {("recordings.py", "sum")}


@pytest.mark.parametrize("path", EXACT, ids=lambda path: str(path.relative_to(SOURCES)))
def test_only_exactly_rounded_arithmetic_is_used(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.MatMult), f"{path.name}: matrix product"
        if isinstance(node, ast.Import):
            assert not {alias.name for alias in node.names} & {"math", "cmath", "random", "scipy", "torch", "cv2"}
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "np":
                assert node.attr in ALLOWED, f"{path.name}:{node.lineno}: np.{node.attr} is not known to be exact"
            elif node.attr in FORBIDDEN_METHODS:
                assert (path.name, node.attr) in INTEGER_SUMS, f"{path.name}:{node.lineno}: .{node.attr}()"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            constants = all(isinstance(part, ast.Constant) for part in (node.left, node.right))
            assert constants, f"{path.name}:{node.lineno}: a power; write the product"


def test_sine_is_close_to_the_mathematical_one() -> None:
    turns = np.linspace(-3.0, 3.0, 4001)
    expected = np.asarray([math.sin(2 * math.pi * t) for t in turns.tolist()])
    assert np.abs(sine_of_turns(turns) - expected).max() < 2e-7
    assert abs(sine_of_turns(0.125) - math.sqrt(0.5)) < 2e-7


def test_float32_stays_float32() -> None:
    x = np.linspace(-1, 1, 50, dtype=np.float32)
    for value in (sine_of_turns(x), smoothstep(0.1, 0.9, x), bump(x, 0.2, 0.3), value_noise(x, x, 4)):
        assert value.dtype == np.float32


def test_noise_has_known_bits() -> None:
    place = np.arange(4, dtype=np.int64)
    assert lattice(place, place - 2, 7).tobytes().hex() == NOISE_BITS
    assert Draws("a").integer("b") == DRAWN


def test_curve_noise_is_smooth_and_fills_its_range() -> None:
    times = np.arange(5000, dtype=np.float64) / 25.0
    curve = curve_noise(times, 1.0, 5)
    assert np.abs(np.diff(curve)).max() < 0.12
    assert curve.min() < -0.7
    assert curve.max() > 0.7


NOISE_BITS = "2a586a3f04c2003fabe3533ff0e1143e"
DRAWN = 8543049428422209
