"""Colours that a still image states without a profile: PNG's gamma and primaries, and Adobe RGB by EXIF.

Arithmetic of the PNG specification (third edition, 11.3.2) and of CIE colorimetry, with D65 as white; another white is
adapted by Bradford's matrix.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Primaries = tuple[float, ...]
"""x and y of white, red, green and blue."""

SRGB: Primaries = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE: Primaries = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_GAMMA = 256 / 563
SRGB_GAMMA = 0.45455
"""What PNG files say that hold sRGB; viewers take it as sRGB's own curve."""

CLOSE_GAMMA = 0.01
CLOSE_PRIMARY = 0.002
_STRIP = 1 << 20
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_COLOUR_SPACE, _INTEROP_IFD, _UNCALIBRATED, _ADOBE_OF_CAMERAS = 0xA001, 0xA005, 0xFFFF, 2


@dataclass(frozen=True)
class StatedColours:
    """How an image's numbers encode colour.

    Attributes:
        gamma: Exponent by which light became numbers; None for sRGB's curve.
        primaries: Of white and of the three colours.
        name: For the note.
    """

    gamma: float | None
    primaries: Primaries
    name: str


def stated_colours(image: Any) -> StatedColours | None:
    """The colours that an opened image states without a profile; None when sRGB or unstated."""
    if "srgb" in image.info:
        return None
    exif = image.getexif()
    space = exif.get_ifd(0x8769).get(_COLOUR_SPACE, exif.get(_COLOUR_SPACE))
    interop = exif.get_ifd(0x8769).get(_INTEROP_IFD)
    index = str(interop.get(1, "") if isinstance(interop, dict) else exif.get_ifd(_INTEROP_IFD).get(1, ""))
    if space == _ADOBE_OF_CAMERAS or (space == _UNCALIBRATED and index.startswith("R03")):
        return StatedColours(ADOBE_GAMMA, ADOBE, "Adobe RGB, by EXIF")
    gamma, primaries = image.info.get("gamma"), image.info.get("chromaticity")
    other_gamma = gamma is not None and 0.1 <= gamma <= 5 and abs(gamma - SRGB_GAMMA) > CLOSE_GAMMA
    other_primaries = primaries is not None and not np.allclose(primaries, SRGB, atol=CLOSE_PRIMARY)
    if other_primaries and not _usable(primaries):
        other_primaries = False
    if not other_gamma and not other_primaries:
        return None
    name = "PNG gamma" + (f" {gamma:g}" if other_gamma else "") + (" and primaries" if other_primaries else "")
    return StatedColours(gamma if other_gamma else None, tuple(primaries) if other_primaries else SRGB, name)


def _usable(primaries: Any) -> bool:
    try:
        matrix = to_xyz(tuple(float(value) for value in primaries))
    except (ValueError, TypeError, ZeroDivisionError, np.linalg.LinAlgError):
        return False
    return bool(np.isfinite(matrix).all())


def to_xyz(primaries: Primaries) -> NDArray[np.float64]:
    """The matrix from linear RGB to XYZ.

    >>> np.round(to_xyz(SRGB)[1], 3).tolist()
    [0.213, 0.715, 0.072]
    """
    white, *colours = [np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in np.reshape(primaries, (4, 2)).tolist()]
    columns = np.stack(colours, axis=1)
    return np.asarray(columns * np.linalg.solve(columns, white))


def to_srgb(pixels: NDArray[np.uint8], colours: StatedColours) -> NDArray[np.uint8]:
    """8-bit pixels ``[..., 3]`` of stated colours as sRGB."""
    numbers = np.arange(256) / 255
    linear = numbers ** (1 / colours.gamma) if colours.gamma else _linear(numbers)
    source, target = to_xyz(colours.primaries), to_xyz(SRGB)
    ours, theirs = (_BRADFORD @ matrix.sum(axis=1) for matrix in (target, source))
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(ours / theirs) @ _BRADFORD
    matrix = (np.linalg.inv(target) @ adapt @ source).astype(np.float32)
    curve = linear.astype(np.float32)
    flat = pixels.reshape(-1, 3)
    result = np.empty_like(flat)
    for start in range(0, len(flat), _STRIP):
        light = np.clip(curve[flat[start : start + _STRIP]] @ matrix.T, 0, 1)
        coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        result[start : start + _STRIP] = np.rint(255 * coded).astype(np.uint8)
    return result.reshape(pixels.shape)


def _linear(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)


def has_coded_colours(stream: BinaryIO) -> bool:
    """Whether a PNG states its colours by numbers of ITU-T H.273 (cICP) other than sRGB's, which is not read."""
    stream.seek(0)
    if stream.read(8) != b"\x89PNG\r\n\x1a\n":
        return False
    for _ in range(64):
        head = stream.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return False
        size = struct.unpack(">I", head[:4])[0]
        if head[4:] == b"cICP":
            return stream.read(2) != bytes((1, 13))
        stream.seek(size + 4, 1)
    return False
