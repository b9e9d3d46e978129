"""Samples from the decoding process to mono float32 at the wanted rate, piece by piece."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.media.child import DecodeChild
from emo_bench.media.limits import Limits
from emo_bench.media.types import Audio
from emo_core.errors import DecodeError, LimitError

if TYPE_CHECKING:
    import soxr

GAP_SECONDS = 0.1
"""Missing sound longer than this is filled with silence; shorter differences are rounding of time stamps."""

_MESSAGE_LIMIT = 64 << 20

# Sample format -> NumPy type, zero level, full scale.
_FORMATS: dict[str, tuple[str, float, float]] = {
    "u8": ("u1", 128.0, 128.0),
    "s16": ("i2", 0.0, 2.0**15),
    "s32": ("i4", 0.0, 2.0**31),
    "s64": ("i8", 0.0, 2.0**63),
    "flt": ("f4", 0.0, 1.0),
    "dbl": ("f8", 0.0, 1.0),
}


class SoundBuilder:
    """Collects decoded audio: mean of the channels, gaps filled with silence, resampled by soxr at quality HQ.

    Args:
        rate: Samples per second of the result.
        limits: ``max_seconds`` bounds the result.
        name: Of the file, for messages.
    """

    def __init__(self, *, rate: int, limits: Limits, name: str) -> None:
        self._rate = rate
        self._limits = limits
        self._name = name
        self._source_rate = 0
        self._taken = 0
        self._start: float | None = None
        self._resampler: soxr.ResampleStream | None = None
        self._pieces: list[NDArray[np.float32]] = []

    def add_message(self, child: DecodeChild, length: int) -> None:
        """Takes the content of one ``Kind.AUDIO`` message."""
        if length > _MESSAGE_LIMIT:
            raise DecodeError(f"decoding {self._name} failed: an audio packet of {length} bytes")
        head, _, body = child.read_exactly(length).partition(b"\n")
        self.add(json.loads(head), body)

    def add(self, head: dict[str, Any], body: bytes) -> None:
        """Takes one audio frame as the decoder made it.

        Args:
            head: ``format`` (FFmpeg's name), ``channels``, ``rate``, ``samples``, ``start`` in seconds or None.
            body: The planes one after another.
        """
        mono = mono_samples(body, sample_format=head["format"], channels=int(head["channels"]))
        rate = int(head["rate"])
        if self._source_rate == 0:
            self._begin(rate)
        if head["start"] is not None:
            if self._start is None:
                self._start = float(head["start"]) - self._taken / rate
            self._fill(float(head["start"]) - self._start)
        self._push(mono)

    def finish(self) -> Audio:
        """The whole sound; values outside [-1, 1] are clipped."""
        if self._resampler is not None:
            self._pieces.append(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        samples = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        wanted = round(self._taken * self._rate / self._source_rate) if self._source_rate else 0
        # The resampler may differ from the exact length by a sample at the end.
        samples = np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))
        return Audio(np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float32, copy=False), self._rate)

    def _begin(self, rate: int) -> None:
        if not 1000 <= rate <= 768_000:
            raise DecodeError(f"{self._name} has an impossible sample rate", found=f"{rate} Hz")
        self._source_rate = rate
        if rate != self._rate:
            import soxr

            self._resampler = soxr.ResampleStream(rate, self._rate, 1, dtype="float32", quality="HQ")

    def _fill(self, seconds: float) -> None:
        missing = round(seconds * self._source_rate) - self._taken
        if missing > GAP_SECONDS * self._source_rate:
            self._push(np.zeros(self._checked(missing), np.float32))

    def _push(self, mono: NDArray[np.float32]) -> None:
        self._taken += self._checked(len(mono))
        self._pieces.append(self._resampler.resample_chunk(mono) if self._resampler is not None else mono)

    def _checked(self, count: int) -> int:
        if self._taken + count > self._limits.max_seconds * self._source_rate:
            raise LimitError(f"the audio of {self._name} is longer than {self._limits.max_seconds:g} s")
        return count


def mono_samples(body: bytes, *, sample_format: str, channels: int) -> NDArray[np.float32]:
    """Mean of the channels as ``float32 [n]``, full scale at 1.

    >>> mono_samples(np.array([16384, 0], "i2").tobytes(), sample_format="s16", channels=2)
    array([0.25], dtype=float32)
    """
    planar = sample_format.endswith("p")
    kind, zero, scale = _FORMATS[sample_format.removesuffix("p")]
    flat = np.frombuffer(body, dtype=kind)
    table = flat.reshape(channels, -1) if planar else flat.reshape(-1, channels).T
    mono: NDArray[np.float32] = ((table.astype(np.float64).mean(axis=0) - zero) / scale).astype(np.float32)
    return mono
