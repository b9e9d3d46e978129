"""Wav2Lip's mel spectrogram and its cut into one window per video frame, in float64 NumPy.

Published settings: 16 kHz, pre-emphasis 0.97, 800-point Hann window every 200 samples, 80 Slaney mel bands from 55 to
7600 Hz, decibels relative to 20 dB with a floor of -100 dB, scaled to [-4, 4].
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emo_models.baselines.wav2lip.config import MEL_BANDS, MEL_STEPS

SAMPLE_RATE: Final = 16000
HOP: Final = 200
WINDOW: Final = 800
STEPS_PER_SECOND: Final = SAMPLE_RATE // HOP
LOWEST_HZ: Final = 55.0
HIGHEST_HZ: Final = 7600.0
PRE_EMPHASIS: Final = 0.97
REFERENCE_DB: Final = 20.0
FLOOR_DB: Final = -100.0
LIMIT: Final = 4.0
SILENCE: Final = -LIMIT
"""Value of the scaled spectrogram of silence."""
_PIECE: Final = 2048


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale: linear below 1 kHz (3 mel each 200 Hz), then 27 steps for each factor of 6.4.

    >>> hz_to_mel(np.array([200.0, 1000.0, 6400.0])).tolist()
    [3.0, 15.0, 42.0]
    """
    high = 15.0 + 27.0 * np.log(np.maximum(hz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, high)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of ``hz_to_mel``."""
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * 6.4 ** ((np.maximum(mel, 15.0) - 15.0) / 27.0))


@cache
def filter_bank() -> NDArray[np.float64]:
    """Triangular filters of equal area, ``float64 [80, 401]``, from frequency bins to mel bands."""
    low, high = hz_to_mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    corners = mel_to_hz(np.linspace(low, high, MEL_BANDS + 2))
    bins = np.arange(WINDOW // 2 + 1) * (SAMPLE_RATE / WINDOW)
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    bank: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (right - left))
    bank.setflags(write=False)
    return bank


def mel_spectrogram(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """The scaled mel spectrogram of a whole recording.

    Computed in pieces, so that beside the result only a few megabytes are needed whatever the length.

    Args:
        samples: Mono audio at 16 kHz in [-1, 1], ``[n]``.

    Returns:
        ``float32 [80, 1 + n // 200]`` in [-4, 4]; the middle of column ``k`` is sample ``200 k``.

    Raises:
        ValueError: when there is no sample, or one is not finite.
    """
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(f"expected mono samples [n] with n > 0, found shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("the audio holds NaN or infinite samples; expected finite samples in [-1, 1]")
    n_steps = 1 + len(samples) // HOP
    wave = samples.astype(np.float64)
    wave[1:] -= PRE_EMPHASIS * samples[:-1].astype(np.float64)
    half = WINDOW // 2
    # Mirroring needs more samples than half a window; anything shorter is continued with silence.
    wave = np.pad(wave, (0, max(0, half + 1 - len(wave))))
    wave = np.pad(wave, half, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    windows = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP][:n_steps]
    mel = np.empty((MEL_BANDS, n_steps), dtype=np.float32)
    for start in range(0, n_steps, _PIECE):
        power = np.abs(np.fft.rfft(windows[start : start + _PIECE] * hann, axis=1))
        level = 20.0 * np.log10(np.maximum(10.0 ** (FLOOR_DB / 20.0), power @ filter_bank().T)) - REFERENCE_DB
        scaled = 2.0 * LIMIT * (level - FLOOR_DB) / -FLOOR_DB - LIMIT
        mel[:, start : start + _PIECE] = np.clip(scaled, -LIMIT, LIMIT).T
    return mel


def window_first_step(frame: int, *, fps: Fraction) -> int:
    """Mel step at which frame ``frame`` begins: ``int(80 frame / fps)``, exact for fractional rates.

    >>> window_first_step(3, fps=Fraction(25)), window_first_step(-1, fps=Fraction(25))
    (9, -4)
    """
    return STEPS_PER_SECOND * frame * fps.denominator // fps.numerator


def mel_windows(
    mel: NDArray[np.float32], frames: range, *, fps: Fraction, window_start: int = 0
) -> NDArray[np.float32]:
    """The audio windows of some frames.

    As published, a window that would reach past the end is moved back to the last 16 steps, so that there is an image
    for every frame. (The published program stops at the first such window, four frames before the audio ends.) What
    lies before the beginning is silence.

    Args:
        mel: From ``mel_spectrogram``, ``[80, n]``.
        frames: Which frames.
        fps: Frame rate of the video.
        window_start: See ``Wav2LipConfig.window_start``.

    Returns:
        ``float32 [len(frames), 1, 80, 16]``.
    """
    steps = mel.shape[1]
    if steps < MEL_STEPS:
        mel = np.pad(mel, ((0, 0), (0, MEL_STEPS - steps)), constant_values=SILENCE)
        steps = MEL_STEPS
    result = np.full((len(frames), 1, MEL_BANDS, MEL_STEPS), SILENCE, dtype=np.float32)
    for row, frame in enumerate(frames):
        first = min(window_first_step(frame + window_start, fps=fps), steps - MEL_STEPS)
        before = min(MEL_STEPS, max(0, -first))
        result[row, 0, :, before:] = mel[:, first + before : first + MEL_STEPS]
    return result
