"""The mel spectrogram equals librosa's; the windows are where the published program cuts them.

``librosa_mel.npy`` (float32 [80, 33]) was made once with librosa 0.11.0, NumPy and SciPy from ``recording()`` below:

    y = scipy.signal.lfilter([1, -0.97], [1], recording())
    power = abs(librosa.stft(y=y, n_fft=800, hop_length=200, win_length=800, pad_mode="reflect"))
    bank = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    level = 20 * log10(maximum(1e-5, bank @ power)) - 20
    numpy.save("librosa_mel.npy", clip(8 * (level + 100) / 100 - 4, -4, 4).astype("float32"))
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emo_models.baselines.wav2lip.mel import mel_spectrogram, mel_windows, window_first_step

FPS = Fraction(25)


def recording(n: int = 6417) -> NDArray[np.float32]:
    """A rising tone, a fading high one and a repeatable rattle, after a moment of silence."""
    t = np.arange(n) / 16000
    x = 0.4 * np.sin(2 * np.pi * 180 * t * (1 + 0.3 * t)) + 0.2 * np.sin(2 * np.pi * 2300 * t) * np.exp(-3 * t)
    x += 0.05 * ((np.arange(n) * 7919 % 1009) / 504.5 - 1)
    x[:900] = 0
    return x.astype(np.float32)


def test_equals_librosa() -> None:
    expected = np.load(Path(__file__).parent / "librosa_mel.npy")
    found = mel_spectrogram(recording())
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_pieces_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mel_spectrogram(recording())
    monkeypatch.setattr("emo_models.baselines.wav2lip.mel._PIECE", 5)
    assert np.array_equal(whole, mel_spectrogram(recording()))


@pytest.mark.parametrize("n", [1, 199, 400, 401, 3200])
def test_any_length_gives_columns(n: int) -> None:
    mel = mel_spectrogram(recording()[-n:])
    assert mel.shape == (80, 1 + n // 200)
    assert np.isfinite(mel).all()
    assert mel_windows(mel, range(3), fps=FPS).shape == (3, 1, 80, 16)


def test_silence_is_the_lower_limit() -> None:
    assert (mel_spectrogram(np.zeros(5000, np.float32)) == -4).all()


@pytest.mark.parametrize("bad", [np.zeros(0), np.zeros((5, 2)), np.array([0.0, np.nan])])
def test_unusable_sound_is_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"sound|samples"):
        mel_spectrogram(bad)


def test_windows_start_where_the_published_program_starts_them() -> None:
    mel = np.arange(80 * 40, dtype=np.float32).reshape(80, 40)
    windows = mel_windows(mel, range(12), fps=FPS)
    for frame in range(8):  # int(80 / 25 * frame), as long as 16 steps are left
        first = int(frame * 80.0 / 25)
        assert np.array_equal(windows[frame, 0], mel[:, first : first + 16])
    for frame in range(8, 12):
        assert np.array_equal(windows[frame, 0], mel[:, -16:])


def test_before_the_beginning_is_silence() -> None:
    mel = np.ones((80, 40), dtype=np.float32)
    window = mel_windows(mel, range(1), fps=FPS, window_start=-2)[0, 0]
    assert (window[:, :7] == -4).all()
    assert (window[:, 7:] == 1).all()


def test_windows_do_not_depend_on_how_frames_are_grouped() -> None:
    mel = mel_spectrogram(recording())
    together = mel_windows(mel, range(9), fps=FPS, window_start=-1)
    apart = np.concatenate([mel_windows(mel, range(i, i + 1), fps=FPS, window_start=-1) for i in range(9)])
    assert np.array_equal(together, apart)


def test_fractional_rates_are_exact() -> None:
    rate = Fraction(30000, 1001)
    assert window_first_step(30000, fps=rate) == 80 * 1001  # floating point would drift over long clips
