"""Reads an untrusted still image in a limited child process."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo_bench.media.child import open_regular, shown_name
from emo_bench.media.starting import start
from emo_bench.media.types import FrameArray
from emo_core.errors import DecodeError, LimitError

MAX_PIXELS = 64_000_000
TIMEOUT_S = 60.0
MEMORY_BYTES = 2 << 30
_HEADER = 24
_MOST_BYTES = _HEADER + 3 * MAX_PIXELS + (1 << 20)


@dataclass(frozen=True, eq=False)
class StillImage:
    """A still image.

    Attributes:
        pixels: ``uint8 RGB [H, W, 3]``, sRGB.
        notes: What was done to it, one sentence each.
    """

    pixels: FrameArray
    notes: tuple[str, ...]


def read_image(path: Path) -> FrameArray:
    """The pixels of ``read_still_image``."""
    return read_still_image(path).pixels


def read_still_image(path: Path) -> StillImage:
    """The image in 8-bit sRGB, rotated upright by its EXIF orientation, transparency over white; see ``image_pixels``.

    Args:
        path: JPEG, PNG, WebP, BMP, TIFF or GIF (its first frame).

    Raises:
        DecodeError: when it is not a readable image, or its values cannot be brought to 8 bits without guessing.
        LimitError: when it has more than 64 million pixels, or decoding takes too long.
    """
    descriptor = open_regular(path, expected="an image")
    try:
        child = start("emo_bench.media.image_worker", descriptor)
    finally:
        os.close(descriptor)
    with closing(child):
        try:
            said, complained = child.communicate(timeout=TIMEOUT_S, most=_MOST_BYTES)
        except TimeoutError:
            raise LimitError(f"{shown_name(path)} took longer than {TIMEOUT_S:g} s to decode") from None
        except BufferError:
            raise LimitError(f"decoding {shown_name(path)} gave more than an image can hold") from None
        code = child.wait()
    if code != 0 or len(said) < _HEADER:
        raise _explained(path, code, complained)
    height, width, noted = (int.from_bytes(said[start : start + 8], "big") for start in (0, 8, 16))
    notes = json.loads(said[_HEADER : _HEADER + noted])
    pixels = np.frombuffer(said, np.uint8, offset=_HEADER + noted)
    if pixels.size != height * width * 3:
        raise DecodeError(f"{shown_name(path)} could not be decoded", expected=f"{width}x{height} pixels")
    return StillImage(pixels.reshape(height, width, 3).copy(), tuple(notes))


def _explained(path: Path, code: int, complained: bytes) -> DecodeError | LimitError:
    said = complained.decode(errors="replace").strip().splitlines()
    reason = said[-1][:200] if said else f"the decoding process ended with code {code}"
    if code < 0 or any(word in reason for word in ("pixels; at most", "MemoryError", "DecompressionBombError")):
        return LimitError(
            f"{shown_name(path)} is too large an image or too costly to decode", found=reason, fix="reduce the image"
        )
    if "pixels" in reason:  # what image_pixels refuses: the file is whole, but its values are ambiguous
        return DecodeError(
            f"the colours of {shown_name(path)} are not known",
            expected="8-bit pixels in sRGB, or with a colour profile",
            found=reason,
            fix="save it as PNG or JPEG with 8 bits, in sRGB",
        )
    return DecodeError(
        f"{shown_name(path)} is not a readable image",
        expected="JPEG, PNG, WebP, BMP, TIFF or GIF",
        found=reason,
        fix="save it as PNG or JPEG with 8 bits",
    )
