"""Mel-frequency cepstra as SyncNet was trained on: the defaults of python_speech_features 0.6.

25 ms frames every 10 ms, rectangular window, pre-emphasis 0.97, 512-point spectrum, 26 triangular filters from 0 to
half the sampling rate, 13 cepstra with a sine lifter of 22, the first replaced by the logarithm of the frame's energy.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

CEPSTRA: Final = 13
RATE: Final = 16000
_FILTERS: Final = 26
_POINTS: Final = 512
_LIFTER: Final = 22
_PRE_EMPHASIS: Final = 0.97
_FRAME: Final = RATE * 25 // 1000
_STEP: Final = RATE // 100
_EPSILON: Final = float(np.finfo(np.float64).eps)


def mfcc(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Cepstra of 16-bit samples at 16 kHz.

    Args:
        samples: ``int16 [n]``, n at least 1; the scale matters, since the first cepstrum is an absolute energy.

    Returns:
        ``float64 [frames, 13]`` with one frame every 10 ms; the last frame is padded with silence.
    """
    signal = samples.astype(np.float64)
    signal = np.concatenate([signal[:1], signal[1:] - _PRE_EMPHASIS * signal[:-1]])
    power = np.abs(np.fft.rfft(_framed(signal), _POINTS)) ** 2 / _POINTS
    energy = power.sum(axis=1)
    filtered = power @ _filter_bank().T
    cepstra = scipy.fft.dct(np.log(_never_zero(filtered)), type=2, axis=1, norm="ortho")[:, :CEPSTRA]
    cepstra *= 1.0 + (_LIFTER / 2.0) * np.sin(np.pi * np.arange(CEPSTRA) / _LIFTER)
    cepstra[:, 0] = np.log(_never_zero(energy))
    return np.asarray(cepstra, dtype=np.float64)


def _framed(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    count = 1 + max(0, -(-(len(signal) - _FRAME) // _STEP))
    padded = np.zeros((count - 1) * _STEP + _FRAME)
    padded[: len(signal)] = signal
    return np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_STEP]


def _never_zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values == 0.0, _EPSILON, values)


def _filter_bank() -> NDArray[np.float64]:
    """Triangles ``[26, 257]`` with corners at whole bins, evenly spaced in mel."""
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    corners_hz = 700.0 * (10.0 ** (np.linspace(0.0, top, _FILTERS + 2) / 2595.0) - 1.0)
    corners = np.floor((_POINTS + 1) * corners_hz / RATE)
    bins = np.arange(_POINTS // 2 + 1, dtype=np.float64)
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = np.where((bins >= left) & (bins < centre), (bins - left) / np.maximum(centre - left, 1), 0.0)
    falling = np.where((bins >= centre) & (bins < right), (right - bins) / np.maximum(right - centre, 1), 0.0)
    return rising + falling
