"""What every speech encoder expects of audio, and how samples map to video frames."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_core.atomic import write_json

RATE = 16_000
"""Samples per second that every encoder expects, mono."""


def frame_count(samples: int, *, fps: float, rate: int = RATE) -> int:
    """Frames that cover the audio to its end: ``ceil(samples / rate * fps)``.

    >>> frame_count(16_000, fps=25.0), frame_count(16_001, fps=25.0), frame_count(0, fps=25.0)
    (25, 26, 0)
    """
    return ceil(Fraction(samples, rate) * Fraction(fps).limit_denominator(1001))


def prepare_audio(audio: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Mono ``float32 [n]`` at 16 kHz.

    Raises:
        ValueError: The audio is empty, has channels, or holds NaN or infinity.
    """
    if audio.ndim != 1:
        raise ValueError(f"expected mono audio of shape [n], found shape {audio.shape}; mix the channels first")
    if not len(audio):
        raise ValueError("expected audio with at least one sample, found none")
    if not np.isfinite(audio).all():
        raise ValueError("expected finite samples, found NaN or infinity; decode the audio again")
    if rate == RATE:
        return np.ascontiguousarray(audio, np.float32)
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(audio.astype(np.float32), rate, RATE)
    return resampled


def write_encoder_config(folder: Path, config: dict[str, Any]) -> None:
    """Writes ``config.json`` of a speech encoder, atomically."""
    write_json(folder / "config.json", config)
