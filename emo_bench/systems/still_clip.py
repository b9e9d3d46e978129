"""A portrait and an audio file as one clip: the image, unmoved, for the length of the audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from emo_bench.media.audio_file import load_audio
from emo_bench.media.image import read_still_image
from emo_bench.media.notes import Note
from emo_bench.media.types import PIECE_LENGTH, Audio, FrameArray, Video, VideoSpec, frames_for_samples
from emo_bench.systems.conform import resize_video
from emo_core.errors import LimitError, TooShortError

LARGEST_SIDE = 1024
"""Pixels of the longer side to which a portrait is reduced where no frame size is asked for; photographs have more."""

SMALLEST_SIDE = 32
LONGEST_S = 600.0


@dataclass(frozen=True, eq=False, kw_only=True)
class StillClip:
    """What systems are given of a clip without ground truth.

    Attributes:
        video: The portrait, repeated.
        audio: The speech audio.
        source_size: Width and height of the portrait in its file, in pixels.
        notes: What was done to either.
    """

    video: Video
    audio: Audio
    source_size: tuple[int, int]
    notes: tuple[Note, ...]


def load_still_clip(
    portrait: Path, audio: Path, *, fps: Fraction, rate: int, size: tuple[int, int] | None = None
) -> StillClip:
    """Reads a portrait and its audio.

    Args:
        portrait: An image; decoded in a limited child process.
        audio: An audio file, or a video whose audio is taken.
        fps: Frames per second of the result.
        rate: Samples per second of the result.
        size: Width and height; the portrait is cut around its centre to that shape. None keeps its own size, reduced
            to ``LARGEST_SIDE``.

    Raises:
        DecodeError: when either is not readable.
        LimitError: when the image is too large or too small, or the audio longer than ``LONGEST_S``.
        NoAudioError: when the audio file has no audio.
        TooShortError: when the audio has no samples.
    """
    still = read_still_image(portrait)
    loaded = load_audio(audio, rate=rate)
    speech = loaded.audio
    height, width = still.pixels.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise LimitError(
            f"{portrait.name} is too small", expected=f"at least {SMALLEST_SIDE} pixels a side",
            found=f"{width}x{height}",
        )  # fmt: skip
    if len(speech.samples) == 0:
        raise TooShortError(f"{audio.name} has no samples", expected="at least one", found="none")
    if speech.seconds > LONGEST_S:
        raise LimitError(
            f"{audio.name} is too long", expected=f"at most {LONGEST_S:g} s", found=f"{speech.seconds:g} s"
        )
    notes = [Note("portrait", text) for text in still.notes]
    target = size or reduced_size(width, height)
    if size is None and target != (width, height):
        numbers = {"width": width, "height": height}
        notes.append(Note("portrait_reduced", f"portrait {width}x{height} reduced to {target[0]}x{target[1]}", numbers))
    notes += loaded.notes
    n_frames = frames_for_samples(len(speech.samples), rate=rate, fps=fps)
    one = Video(VideoSpec(width=width, height=height, fps=fps, n_frames=1), lambda: iter([still.pixels[None]]))
    image = resize_video(one, width=target[0], height=target[1], crop=True).read_all()[0]
    return StillClip(
        video=repeated(image, fps=fps, n_frames=n_frames),
        audio=speech,
        source_size=(width, height),
        notes=tuple(notes),
    )


def reduced_size(width: int, height: int) -> tuple[int, int]:
    """Width and height with the longer side at most ``LARGEST_SIDE``, in the same proportion.

    >>> reduced_size(3000, 2000), reduced_size(800, 600)
    ((1024, 683), (800, 600))
    """
    longer = max(width, height)
    if longer <= LARGEST_SIDE:
        return width, height
    return max(1, round(width * LARGEST_SIDE / longer)), max(1, round(height * LARGEST_SIDE / longer))


def repeated(image: FrameArray, *, fps: Fraction, n_frames: int) -> Video:
    """An image ``uint8 RGB [H, W, 3]`` as a video that does not move."""
    spec = VideoSpec(width=image.shape[1], height=image.shape[0], fps=fps, n_frames=n_frames)

    def pieces() -> Iterator[FrameArray]:
        for start in range(0, n_frames, PIECE_LENGTH):
            yield np.repeat(image[None], min(PIECE_LENGTH, n_frames - start), axis=0)

    return Video(spec, pieces)
