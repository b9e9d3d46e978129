"""Damage that is not there at the start: it grows over the clip, or comes and goes with segments.

These are what drift protocols have to see: the same damage from the first frame to the last is no drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emo_bench.audit.damaged_frames import REFERENCE_SIDE
from emo_bench.audit.distortions import Distortion, Original
from emo_bench.media.types import FrameArray, Video

SEGMENT_SECONDS: Final = 1.0
WARMER: Final = np.array([1.0, 0.0, -1.0], dtype=np.float32)
"""Change of red, green and blue a grey level of damage."""

Change = Callable[[FrameArray, float], FrameArray]
"""From a frame ``uint8 [H, W, 3]`` and the strength at its time to what is shown."""


def with_strengths(video: Video, strengths: NDArray[np.float64], change: Change) -> Video:
    """Every frame goes through ``change`` with the strength of its time; frames of strength 0 stay as they are."""

    def pieces() -> Iterator[FrameArray]:
        start = 0
        for piece in video.open():
            here = strengths[start : start + len(piece)].tolist()
            yield np.stack(
                [change(frame, strength) if strength else frame for frame, strength in zip(piece, here, strict=True)]
            )
            start += len(piece)

    return Video(video.spec, pieces)


def rising(original: Original, level: float) -> NDArray[np.float64]:
    """From 0 at the first frame to the level at the last, in a straight line; ``float64 [n]``."""
    return np.linspace(0.0, level, original.video.spec.n_frames)


def every_second_segment(original: Original, level: float) -> NDArray[np.float64]:
    """The level in every second second, 0 in the others; ``float64 [n]``."""
    spec = original.video.spec
    length = max(1, round(SEGMENT_SECONDS * float(spec.fps)))
    odd: NDArray[np.bool_] = np.arange(spec.n_frames) // length % 2 == 1
    return np.where(odd, level, 0.0)


def softer(frame: FrameArray, sigma: float) -> FrameArray:
    """Gaussian blur; sigma in pixels of an image whose shorter side is 256."""
    import cv2

    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma * min(frame.shape[:2]) / REFERENCE_SIDE), dtype=np.uint8)


def warmer(frame: FrameArray, by: float) -> FrameArray:
    """So many grey levels more red and less blue."""
    return np.clip(np.rint(frame + np.float32(by) * WARMER), 0, 255).astype(np.uint8)


def creeping_blur(original: Original, level: float) -> Video:
    """Blur that grows over the clip."""
    return with_strengths(original.video, rising(original, level), softer)


def creeping_colour(original: Original, level: float) -> Video:
    """Colours that turn warmer over the clip."""
    return with_strengths(original.video, rising(original, level), warmer)


def segment_colour(original: Original, level: float) -> Video:
    """Every second second is warmer, as segments are that were generated one by one."""
    return with_strengths(original.video, every_second_segment(original, level), warmer)


CREEPING_BLUR = Distortion(
    name="creeping-blur", title="Creeping blur", unit="σ at the end, px of 256", levels=(1, 2, 4),
    change_video=creeping_blur,
)  # fmt: skip
CREEPING_COLOUR = Distortion(
    name="creeping-colour", title="Creeping colour", unit="grey levels at the end", levels=(4, 8, 16, 32),
    change_video=creeping_colour,
)  # fmt: skip
SEGMENT_COLOUR = Distortion(
    name="segment-colour", title="Segments' colour", unit="grey levels", levels=(2, 4, 8, 16),
    change_video=segment_colour,
)  # fmt: skip
