"""Makes the recordings of HDTF-Synth: ``python -m hdtf_synth.speech.record [SLICE ...]``.

Writes one FLAC file and one JSON file a slice into ``assets``. Needs the extra ``speech``; the result depends on the
version of espeak-ng, which is why the recordings are kept and not made again on every machine.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_core.errors import DataError
from hdtf_synth.exact import Draws
from hdtf_synth.plan import COUNTS, SECONDS, SLICES
from hdtf_synth.recordings import ASSETS, FRAME_SAMPLES, RATE
from hdtf_synth.speech.sentences import MINI, sentence
from hdtf_synth.speech.singing import sing
from hdtf_synth.speech.voices import VOICES, Voice

_SONGS = {
    "mini": (5, 11),
    "train": tuple(range(9, 400, 10)),
    "validation": (9, 19, 29, 39),
    "test": (9, 19, 29, 39, 49, 59),
}
_SONGS["offsets"] = ()
_SINGERS = {"mini": 0.97, "train": 1.0, "validation": 1.04, "test": 0.93}
"""Size of the singers' formants: each split has its own two singers."""
_DROPPED_BITS = {"mini": 4, "train": 6, "validation": 6, "test": 4, "offsets": 4}
"""How many of the lowest bits are rounded away: they are noise (at -65 dB for six) and would double the files."""
_FIRST_SENTENCE = {"train": 0, "validation": 1000, "test": 1200, "offsets": 1400}


@dataclass(frozen=True, eq=False)
class Take:
    """One recording: samples at 16 kHz, what is said, and when."""

    voice: str
    language: str
    text: str
    samples: NDArray[np.int16]
    phonemes: list[tuple[float, float, str]]


class Espeak:
    """espeak-ng behind a pipe."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "hdtf_synth.speech.espeak_process"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, voice: Voice, text: str, *, rate: int) -> tuple[NDArray[np.int16], int, list[tuple[int, str]]]:
        """Speaks a text: samples, their rate, and phoneme events (milliseconds, symbol).

        Raises:
            DataError: when the library is missing or does not know the voice.
        """
        request = {"text": text, "voice": voice.espeak, "rate": rate, "pitch": voice.pitch, "range": voice.pitch_range}
        if self._process.stdin is None or self._process.stdout is None:
            raise DataError("espeak-ng does not answer")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        row = self._process.stdout.readline()
        if not row:
            raise DataError("espeak-ng does not answer", fix="install the extra: pip install 'emo-bench[speech]'")
        answer: dict[str, Any] = json.loads(row)
        if "error" in answer:
            raise DataError(str(answer["error"]))
        samples = np.frombuffer(base64.b64decode(answer["samples"]), "<i2").astype(np.int16)
        return samples, int(answer["rate"]), [(int(t), str(s)) for t, s in answer["events"]]

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=10)


def takes_of(name: str, espeak: Espeak) -> Iterator[Take]:
    """The recordings of a slice, in order."""
    voices = VOICES[name]
    seconds = SECONDS[name]
    used: dict[str, int] = {}
    for number in range(COUNTS[name]):
        draws = Draws(f"take/{name}/{number}")
        voice = voices[number % len(voices)]
        if number in _SONGS[name]:
            low = draws.between("low", 180.0, 250.0) if voice.high else draws.between("low", 95.0, 140.0)
            samples, phonemes = sing(
                f"{name}/{number}", seconds=seconds, low_hz=low, size=_SINGERS[name] * (1.14 if voice.high else 1.0)
            )
            words = " ".join(symbol for _, _, symbol in phonemes)
            yield Take(f"singer-{'high' if voice.high else 'low'}-{name}", "singing", words, samples, phonemes)
            continue
        count = used.get(voice.language, 0)
        used[voice.language] = count + 1
        if name == "mini":
            text = MINI[voice.language][count]
        else:
            family = voice.language.split("-")[0]
            offset = 500 if voice.language == "en-GB" else 0
            text = sentence(family, _FIRST_SENTENCE[name] + offset + count)
        yield _speak(espeak, voice, text, seconds, draws)


def _speak(espeak: Espeak, voice: Voice, text: str, seconds: int, draws: Draws) -> Take:
    import soxr

    room = seconds - 0.30
    rate = 165 + round(draws.between("rate", -15, 15))
    samples, source, events = espeak.say(voice, text, rate=rate)
    spoken = _spoken_seconds(events)
    wanted = min(max(round(rate * spoken / room), 120), 280)
    if spoken > room or spoken < 0.75 * room:
        if spoken < room:
            wanted = max(round(rate * spoken / (0.92 * room)), 125)
        samples, source, events = espeak.say(voice, text, rate=wanted)
    resampled = soxr.resample(samples.astype(np.float64) / 32768.0, source, RATE, quality="VHQ")
    lead = draws.between("lead", 0.08, 0.16)
    track = np.zeros(seconds * RATE)
    start = round(lead * RATE)
    length = min(len(resampled), len(track) - start)
    track[start : start + length] = resampled[:length]
    fade = round(0.03 * RATE)
    track[-fade:] *= np.linspace(1.0, 0.0, fade)
    track *= 0.62 / max(float(np.max(np.abs(track))), 1e-6)
    phonemes = []
    for (at, symbol), following in zip(events, [*events[1:], (events[-1][0] + 60, "")], strict=True):
        begin, end = lead + at / 1000.0, min(lead + following[0] / 1000.0, float(seconds))
        if end > begin and symbol and not symbol.startswith(("(", "_")):
            phonemes.append((begin, end, symbol))
    return Take(voice.name, voice.language, text, np.round(track * 32767.0).astype(np.int16), phonemes)


def _spoken_seconds(events: list[tuple[int, str]]) -> float:
    sounding = [following[0] for (_, symbol), following in itertools.pairwise(events) if symbol]
    return max(sounding, default=0) / 1000.0


def pitch_of(samples: NDArray[np.int16]) -> list[int]:
    """Pitch in Hz for each frame of 40 ms, 0 without voice: the strongest peak of the autocorrelation."""
    signal = np.concatenate([np.zeros(640), samples.astype(np.float64), np.zeros(1280)])
    found = []
    for frame in range(len(samples) // FRAME_SAMPLES):
        part = signal[frame * FRAME_SAMPLES + 320 : frame * FRAME_SAMPLES + 320 + 1280]
        part = (part - part.mean()) * np.hanning(1280)
        spectrum = np.fft.rfft(part, 4096)
        correlation = np.fft.irfft(spectrum * np.conj(spectrum))[:400]
        low, high = RATE // 520, RATE // 65
        if correlation[0] < 1e7:
            found.append(0)
            continue
        lag = low + int(np.argmax(correlation[low:high]))
        voiced = correlation[lag] > 0.45 * correlation[0]
        found.append(round(RATE / lag) if voiced else 0)
    return found


def write_slice(name: str, espeak: Espeak, folder: Path = ASSETS) -> int:
    """Makes and writes the recordings of a slice; returns how many bytes they take."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    tracks, rows, place = [], [], 0
    for number, take in enumerate(takes_of(name, espeak)):
        bits = _DROPPED_BITS[name]
        quiet = (np.clip(take.samples.astype(np.int32) + (1 << bits - 1), -32768, 32767) >> bits << bits).astype(
            np.int16
        )
        tracks.append(quiet)
        rows.append(
            {
                "number": number,
                "voice": take.voice,
                "language": take.language,
                "text": take.text,
                "start": place,
                "samples": len(quiet),
                "phonemes": [[round(a * 1000), round(b * 1000), s] for a, b, s in take.phonemes],
                "pitch": pitch_of(quiet),
            }
        )
        place += len(quiet)
    audio = folder / f"{name}.flac"
    soundfile.write(audio, np.concatenate(tracks), RATE, subtype="PCM_16", format="FLAC", compression_level=1.0)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return audio.stat().st_size


def main(arguments: list[str]) -> None:
    """Makes the slices named, or all."""
    espeak = Espeak()
    try:
        for name in arguments or SLICES:
            size = write_slice(name, espeak)
            sys.stdout.write(f"{name}: {COUNTS[name]} recordings, {size / 1e6:.2f} MB\n")
    finally:
        espeak.close()


if __name__ == "__main__":
    main(sys.argv[1:])
