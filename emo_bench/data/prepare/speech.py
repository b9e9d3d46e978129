"""Whether somebody speaks (or sings), and the spectra that are cached beside a clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_VOICED = 0.1
"""Share of the frames whose audio repeats itself as a voice does."""
LEAST_RANGE_DB = 6.0
"""Loudness between the 10th and 90th percentile; speech has pauses and syllables, a hum or a fan has not."""

MEL_RATE = 16000
MEL_BANDS = 80
MEL_STEP = 160
_WINDOW = 400
_POINTS = 512
_FLOOR = 1e-10


def judge_speech(loudness_db: NDArray[np.generic], pitch_hz: NDArray[np.generic]) -> str:
    """Why the audio is not taken for speech; '' when it is.

    Args:
        loudness_db: ``[t]`` per frame, of ``audio/loudness-pitch@1``.
        pitch_hz: ``[t]`` per frame, NaN where nothing is voiced.
    """
    voiced = float(np.isfinite(np.asarray(pitch_hz, dtype=np.float64)).mean())
    if voiced < LEAST_VOICED:
        return f"expected a voice on {LEAST_VOICED:.0%} of the frames, found it on {voiced:.0%}"
    low, high = np.nanpercentile(np.asarray(loudness_db, dtype=np.float64), [10, 90])
    if high - low < LEAST_RANGE_DB:
        return f"expected loudness to vary by {LEAST_RANGE_DB:g} dB, found {high - low:.1f} dB: a steady tone"
    return ""


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithmic mel spectra of audio at 16 kHz.

    Windows of 25 ms (periodic Hann) centred at every 10 ms, power of a 512-point spectrum, 80 triangles evenly spaced
    in mel (2595 log10(1 + f / 700)) from 0 to 8000 Hz, natural logarithm with a floor of 1e-10.

    Args:
        samples: ``float32 [n]`` in [-1, 1].

    Returns:
        ``float32 [ceil(n / 160), 80]``; row j belongs to the time j * 10 ms.
    """
    count = -(-len(samples) // MEL_STEP)
    padded = np.zeros(_WINDOW // 2 + count * MEL_STEP + _WINDOW)
    padded[_WINDOW // 2 : _WINDOW // 2 + len(samples)] = samples
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::MEL_STEP][:count]
    power = np.abs(np.fft.rfft(frames * window, _POINTS)) ** 2
    return np.log(np.maximum(power @ _triangles().T, _FLOOR)).astype(np.float32)


def _triangles() -> NDArray[np.float64]:
    top = 2595.0 * np.log10(1.0 + MEL_RATE / 2 / 700.0)
    corners = 700.0 * (10.0 ** (np.linspace(0.0, top, MEL_BANDS + 2) / 2595.0) - 1.0)
    bins = np.arange(_POINTS // 2 + 1) * (MEL_RATE / _POINTS)
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    triangles: NDArray[np.float64] = np.maximum(
        0.0, np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    )
    return triangles
