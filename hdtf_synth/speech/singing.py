"""A singing voice: a buzz with vibrato through the resonances of vowels, so that notes can be held and leap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdtf_synth.exact import Draws

_FORMANTS = {
    "a": ((800.0, 80.0, 1.0), (1200.0, 90.0, 0.55), (2600.0, 130.0, 0.25), (3400.0, 160.0, 0.18)),
    "e": ((500.0, 70.0, 1.0), (1850.0, 100.0, 0.40), (2550.0, 130.0, 0.28), (3400.0, 160.0, 0.16)),
    "i": ((310.0, 60.0, 1.0), (2200.0, 110.0, 0.30), (2950.0, 140.0, 0.26), (3600.0, 170.0, 0.14)),
    "o": ((480.0, 70.0, 1.0), (850.0, 80.0, 0.50), (2550.0, 130.0, 0.12), (3300.0, 160.0, 0.10)),
    "u": ((340.0, 60.0, 1.0), (680.0, 80.0, 0.34), (2400.0, 130.0, 0.08), (3300.0, 160.0, 0.06)),
}
_ONSETS = ("m", "l", "n", "b", "d", "")
_SCALE = (0, 2, 4, 5, 7, 9, 12, 14, 16)


def sing(
    seed: str, *, seconds: float, low_hz: float, size: float, rate: int = 16000
) -> tuple[NDArray[np.int16], list[tuple[float, float, str]]]:
    """Sings a melody of held notes.

    Args:
        seed: Names the melody.
        seconds: Length.
        low_hz: The lowest note.
        size: Factor on the resonances: above 1 for a smaller singer.
        rate: Samples per second.

    Returns:
        ``int16 [n]`` samples and the phonemes (start, end, symbol) in seconds.
    """
    draws = Draws(f"song/{seed}")
    n = round(seconds * rate)
    time = np.arange(n) / rate
    pitch, level = np.zeros(n), np.zeros(n)
    vowel_weight = {vowel: np.zeros(n) for vowel in _FORMANTS}
    nasal = np.zeros(n)
    phonemes: list[tuple[float, float, str]] = []
    place, index, step = draws.between("lead", 0.08, 0.18), 0, draws.integer("first") % 5
    while place < seconds - 0.45:
        length = min(draws.choice(f"length {index}", (0.32, 0.42, 0.55, 0.8, 1.1)), seconds - 0.12 - place)
        onset = draws.choice(f"onset {index}", _ONSETS)
        vowel = draws.choice(f"vowel {index}", tuple(_FORMANTS))
        step = min(max(step + draws.choice(f"leap {index}", (-3, -2, -1, 1, 2, 4)), 0), len(_SCALE) - 1)
        hz = low_hz * 2.0 ** (_SCALE[step] / 12.0)
        soft = 0.09 if onset else 0.0
        if onset:
            phonemes.append((place, place + soft, onset))
        phonemes.append((place + soft, place + length, vowel))
        inside = (time >= place) & (time < place + length)
        pitch[inside] = hz
        vowel_weight[vowel][inside] = 1.0
        level[(time >= place + soft) & (time < place + length - 0.03)] = 1.0
        if onset:
            level[(time >= place) & (time < place + soft)] = {"b": 0.05, "d": 0.08}.get(onset, 0.35)
            nasal[(time >= place) & (time < place + soft)] = 1.0
        place += length + (draws.between(f"rest {index}", 0.12, 0.25) if draws.chance(f"breath {index}", 0.2) else 0.0)
        index += 1
    first = next((p for p in pitch if p > 0), low_hz)
    for k in range(n):
        first = pitch[k] if pitch[k] > 0 else first
        pitch[k] = first
    samples = _voice(
        time,
        _ease(pitch, 500),
        _ease(level, 320),
        {v: _ease(w, 700) for v, w in vowel_weight.items()},
        _ease(nasal, 250),
        size,
    )
    peak = float(np.max(np.abs(samples))) or 1.0
    return np.round(samples / peak * 19000.0).astype(np.int16), phonemes


def _voice(
    time: NDArray[np.float64],
    pitch: NDArray[np.float64],
    level: NDArray[np.float64],
    vowels: dict[str, NDArray[np.float64]],
    nasal: NDArray[np.float64],
    size: float,
) -> NDArray[np.float64]:
    """Adds harmonics, each as loud as the resonances say at its frequency."""
    rate = 1.0 / (time[1] - time[0])
    vibrato = 1.0 + 0.012 * np.sin(2 * np.pi * 5.4 * time) * level
    phase = 2 * np.pi * np.cumsum(pitch * vibrato) / rate
    total = np.zeros_like(time)
    for harmonic in range(1, 46):
        hz = pitch * harmonic
        gain = np.full_like(time, 0.004)
        for vowel, weight in vowels.items():
            for centre, width, strength in _FORMANTS[vowel]:
                gain += weight * strength / (1.0 + ((hz - centre * size) / (width * size)) ** 2)
        gain = gain * (1.0 - 0.85 * nasal) + nasal * 0.8 / (1.0 + ((hz - 270.0) / 90.0) ** 2)
        fade = np.clip((7400.0 - hz) / 600.0, 0.0, 1.0)
        total += np.sin(harmonic * phase) * gain * fade / harmonic**0.75
    return np.asarray(total * level, np.float64)


def _ease(curve: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    window = np.hanning(2 * width + 1)
    return np.asarray(np.convolve(np.pad(curve, width, mode="edge"), window / window.sum(), mode="valid"), np.float64)
