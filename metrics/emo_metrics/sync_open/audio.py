"""What the open sync network hears: mel bands, four rows of them for each frame, and where anybody speaks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 16000
PER_FRAME: Final = 4
"""Rows of spectra a video frame at 25 frames a second."""
BANDS: Final = 40
BINS: Final = 257
_STEP: Final = 160
_WINDOW: Final = 400
_LOWEST: Final = 60.0
_HIGHEST: Final = 7600.0
_RANGE: Final = 9.0
"""Natural logarithms of power below the loudest row: what is quieter counts as silence (39 dB)."""
_SPEECH_DB: Final = 25.0
"""A row within so many decibels of the loud rows is taken for speech."""
_SILENCE_DB: Final = -60.0


def power_spectra(audio: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Power of 25 ms (periodic Hann) around the middle of every 10 ms.

    Args:
        audio: Mono, 16 kHz, in [-1, 1].
        frames: How many video frames of 1/25 s; missing audio is silent.

    Returns:
        ``float32 [4 * frames, 257]``.
    """
    count = PER_FRAME * frames
    before = (_WINDOW - _STEP) // 2
    padded = np.zeros(count * _STEP + _WINDOW)
    kept = np.asarray(audio[: count * _STEP], dtype=np.float64)
    padded[before : before + len(kept)] = kept
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    rows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_STEP][:count]
    return np.asarray(np.abs(np.fft.rfft(rows * window, 2 * (BINS - 1))) ** 2, dtype=np.float32)


def mel_filters(stretch: float = 1.0) -> NDArray[np.float32]:
    """Triangles evenly spaced in mel, ``float32 [257, 40]``.

    Args:
        stretch: Multiplies all frequencies, as a shorter or longer vocal tract does.
    """

    def mel(hertz: float) -> float:
        return 2595.0 * float(np.log10(1.0 + hertz / 700.0))

    corners = 700.0 * (10.0 ** (np.linspace(mel(_LOWEST), mel(_HIGHEST), BANDS + 2) / 2595.0) - 1.0) * stretch
    bins = np.arange(BINS) * (RATE / (2 * (BINS - 1)))
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def log_mel(spectra: NDArray[np.floating], filters: NDArray[np.floating]) -> NDArray[np.float32]:
    """Logarithms of mel bands, each band about its mean over the clip, so that loudness and colouring drop out.

    Args:
        spectra: ``[m, 257]``.
        filters: ``[257, 40]``.

    Returns:
        ``float32 [40, m]``.
    """
    bands = np.asarray(spectra, dtype=np.float64) @ np.asarray(filters, dtype=np.float64)
    loudest = float(bands.mean(axis=1).max()) if len(bands) else 0.0
    logs = np.log(np.maximum(bands, max(loudest, 1e-8) * float(np.exp(-_RANGE))))
    return np.asarray((logs - logs.mean(axis=0)).T, dtype=np.float32)


def speech_rows(spectra: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Rows that are loud enough for speech: within 25 dB of the clip's loud rows (90th percentile), and not silent.

    Args:
        spectra: ``[m, 257]``.
    """
    # By Parseval, relative to a full-scale sine in a Hann window.
    level = 10 * np.log10(np.asarray(spectra, dtype=np.float64)[:, 3:].sum(axis=1) / _full_scale() + 1e-12)
    loud = float(np.percentile(level, 90)) if len(level) else 0.0
    speech: NDArray[np.bool_] = (level > loud - _SPEECH_DB) & (level > _SILENCE_DB)
    return speech


def _full_scale() -> float:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    return float(np.square(window).sum() * 2 * (BINS - 1) / 4)
