"""Reads videos by their recipes, and decides which videos are worth a recipe instead of a lossless copy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from emo_bench.media.recipe import (
    EncodedFrames,
    FileFrames,
    Leaf,
    LosslessFrames,
    NoFrames,
    OtherLength,
    OtherSize,
    Recipe,
)
from emo_bench.media.types import FrameArray, Video, VideoSpec
from emo_bench.systems.conform import fit_length, hold_last, resize_video
from emo_core.errors import DecodeError

SMALL_BYTES = 16 << 20
"""Raw frames that a copy returns faster than a decoding process starts (docs/benchmarks.md)."""

MOST_DECODED = 4
"""Pixels that a file may make us decode per pixel of the result; with more, a copy is read faster."""


def open_recipe(recipe: Recipe, locate: Callable[[Leaf], Path], *, fps: Fraction) -> Video:
    """A video from its recipe; its bytes are not checked here.

    Args:
        recipe: From ``Video.recipe``, its file stored or lasting.
        locate: Where a file lies.
        fps: Its exact rate, which lossless files round.

    Raises:
        DecodeError: when the file is not what the recipe says.
    """
    match recipe:
        case LosslessFrames():
            from emo_bench.media.lossless import open_clip

            video = open_clip(locate(recipe), fps=fps).video
            return Video(video.spec, video.open, lambda: recipe)
        case EncodedFrames():
            from emo_bench.media.preview import decode_own

            path = locate(recipe)
            spec = VideoSpec(
                width=recipe.width, height=recipe.height, fps=Fraction(recipe.fps), n_frames=recipe.n_frames
            )
            return Video(spec, lambda: decode_own(path, spec), lambda: recipe)
        case FileFrames():
            from emo_bench.media.decode import open_file_frames

            return open_file_frames(recipe, locate(recipe))
        case OtherLength():
            change = fit_length if recipe.how == "fit" else hold_last
            return change(open_recipe(recipe.of, locate, fps=fps), n_frames=recipe.n_frames)
        case NoFrames():
            raise DecodeError("the frames were deleted after features had been made", expected="frames", found="none")
        case OtherSize():
            source = open_recipe(recipe.of, locate, fps=fps)
            return resize_video(source, width=recipe.width, height=recipe.height, crop=recipe.crop)


def is_worth(recipe: Recipe, spec: VideoSpec) -> bool:
    """Whether reading by a recipe is no slower than reading a lossless copy, by numbers of pixels alone.

    Args:
        recipe: How the video can be read again.
        spec: What comes out.
    """
    pixels = spec.width * spec.height * spec.n_frames
    match recipe:
        case FileFrames():
            return pixels * 3 > SMALL_BYTES and recipe.n_decoded * recipe.source_pixels <= MOST_DECODED * pixels
        case OtherLength() | OtherSize():
            return is_worth(recipe.of, spec)
        case _:
            return True


def frames_digest(spec: VideoSpec, pieces: Iterable[FrameArray]) -> tuple[Iterator[FrameArray], hashlib._Hash]:
    """The same pieces, and the digest of size, rate and raw pixels that is complete once they are read."""
    digest = hashlib.sha256(f"{spec.width}x{spec.height}@{spec.fps}".encode())

    def hashed() -> Iterator[FrameArray]:
        for piece in pieces:
            digest.update(np.ascontiguousarray(piece).data)
            yield piece

    return hashed(), digest
