"""The recordings that the clips speak with: FLAC (lossless: the same samples everywhere) and phoneme times."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_core.errors import DataError
from hdtf_synth.exact import F64, clamp
from hdtf_synth.motion import FPS, Phoneme

ASSETS = Path(__file__).resolve().parent / "assets"
RATE = 16000
FRAME_SAMPLES = RATE // FPS


@dataclass(frozen=True, eq=False)
class Recording:
    """One utterance.

    Attributes:
        samples: ``int16 [n]`` at 16 kHz, mono.
        phonemes: Sounds in order of time.
        pitch: ``float64 [T]`` Hz for each frame, 0 without voice.
        voice: Name of the voice.
        language: BCP 47 tag, or ``singing``.
        text: What is said.
    """

    samples: NDArray[np.int16]
    phonemes: tuple[Phoneme, ...]
    pitch: F64
    voice: str
    language: str
    text: str

    @property
    def n_frames(self) -> int:
        """Frames of 40 ms."""
        return len(self.samples) // FRAME_SAMPLES

    def loudness(self) -> F64:
        """Loudness of each frame in [0, 1] relative to the clip's loud frames, ``float64 [T]``."""
        return loudness_of(self.samples)


def loudness_of(samples: NDArray[np.int16]) -> F64:
    """Loudness of each frame of 40 ms: root mean square, relative to the 90th percentile, compressed by a root.

    Sums are of whole numbers, so they do not depend on their order.
    """
    n_frames = len(samples) // FRAME_SAMPLES
    frames = samples[: n_frames * FRAME_SAMPLES].astype(np.int64).reshape(n_frames, FRAME_SAMPLES)
    energy = np.sqrt((frames * frames).sum(axis=1).astype(np.float64) / FRAME_SAMPLES)
    top = float(np.sort(energy)[(9 * n_frames) // 10]) if n_frames else 1.0
    return np.asarray(clamp(np.sqrt(energy / max(top, 1.0))), np.float64)


@lru_cache(maxsize=2)
def _index(name: str) -> list[dict[str, Any]]:
    path = ASSETS / f"{name}.json"
    if not path.is_file():
        raise DataError(
            f"the recordings of {name!r} are missing",
            expected=f"{path}",
            fix="reinstall emo-bench, or make them: python -m hdtf_synth.speech.record",
        )
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def recording(name: str, number: int) -> Recording:
    """Recording ``number`` of a slice.

    Raises:
        DataError: when the recordings are not there or do not fit their index.
    """
    import soundfile

    row = _index(name)[number]
    start, count = int(row["start"]), int(row["samples"])
    samples, rate = soundfile.read(ASSETS / f"{name}.flac", start=start, frames=count, dtype="int16")
    if rate != RATE or len(samples) != count:
        raise DataError(
            f"the recordings of {name!r} do not fit their index",
            expected=f"{count} samples at {RATE} Hz from {start}",
            found=f"{len(samples)} at {rate} Hz",
        )
    return Recording(
        samples=samples,
        phonemes=tuple(Phoneme(a / 1000.0, b / 1000.0, str(symbol)) for a, b, symbol in row["phonemes"]),
        pitch=np.asarray(row["pitch"], np.float64),
        voice=str(row["voice"]),
        language=str(row["language"]),
        text=str(row["text"]),
    )
