"""Samples from the decoding process to mono float32 at the wanted rate, piece by piece."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.media.audio_timeline import AudioTimeline
from emo_bench.media.child import DecodeChild
from emo_bench.media.limits import Limits
from emo_bench.media.notes import Note
from emo_bench.media.types import Audio
from emo_core.errors import DecodeError, LimitError

if TYPE_CHECKING:
    import soxr

CANCELLING = 0.5
"""Channels cancel where their mean has less than this share of the energy of uncorrelated channels (a quarter of what
equal channels give, for two)."""

CANCELLED_SHARE = 0.5
"""From this share of cancelled energy on, the first channel is used instead of the mean."""

CANCELLED_NOTED = 0.1
"""From this share on, cancelled energy is reported."""

ONE_CHANNEL = 0.8
"""From this share of the energy in one of more than two channels on, it is reported that the mean weakens it."""

BLOCK_SECONDS = 0.25
"""Cancellation is judged in blocks of this length, so that it is found when it affects part of the audio only."""

SILENCE = 1e-4
"""Samples below this are silence (three steps of 16 bits)."""

FULL_SCALE = 0.999
"""Samples from here on count as full scale."""

CLIPPED_NOTED = 0.001
"""From this share of clipped samples on it is reported."""

OVER_SCALE = 1.01
"""Float samples beyond this are reported: lossy decoders overshoot by less."""

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


@dataclass(frozen=True, kw_only=True)
class SampleFacts:
    """Properties of the samples.

    Attributes:
        peak: Largest absolute sample before clipping, over all channels; full scale is 1.
        clipped_share: Share of the samples in flat runs at full scale.
        silent_share: Share of the samples that are (nearly) zero in all channels.
        cancelled_share: Share of the energy in blocks where the channels cancel in their mean.
        first_channel: Whether the first channel was taken instead of the mean.
        no_numbers: Samples that are not finite in some channel.
        loudest: Number of the channel with the most energy, from 1, and its share; of more than two channels only.
    """

    peak: float
    clipped_share: float
    silent_share: float
    cancelled_share: float
    first_channel: bool
    no_numbers: int = 0
    loudest: tuple[int, float] | None = None


class AudioBuilder:
    """Collects decoded audio: mixed down to mono, resampled by soxr at quality HQ, placed on the timeline.

    The mean of the channels is taken, unless they cancel in it: then the first channel.

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
        self._mean: _Track | None = None
        self._first: _Track | None = None
        self._meter = _Meter()
        self._block: list[NDArray[np.float32]] = []
        self._waiting = 0

    def add_message(self, child: DecodeChild, length: int) -> None:
        """Takes the content of one ``Kind.AUDIO`` message."""
        if length > _MESSAGE_LIMIT:
            raise DecodeError(f"decoding {self._name} failed: an audio packet of {length} bytes")
        head, _, body = child.read_exactly(length).partition(b"\n")
        self.add(json.loads(head), body)

    def add(self, head: dict[str, Any], body: bytes) -> None:
        """Takes one audio frame as the decoder made it.

        Args:
            head: ``format`` (FFmpeg's name), ``channels``, ``rate``, ``samples``.
            body: The planes one after another.
        """
        table = channel_samples(body, sample_format=head["format"], channels=int(head["channels"]))
        if self._source_rate == 0:
            self._begin(int(head["rate"]), len(table))
        self._taken += table.shape[1]
        if self._taken > self._limits.max_seconds * self._source_rate:
            raise LimitError(f"the audio of {self._name} is longer than {self._limits.max_seconds:g} s")
        self._block.append(table)
        self._waiting += table.shape[1]
        if self._waiting >= BLOCK_SECONDS * self._source_rate:
            self._close_block()

    def _close_block(self) -> None:
        if not self._block or self._mean is None:
            return
        table = self._meter.finite(np.concatenate(self._block, axis=1))
        self._block, self._waiting = [], 0
        mean = table.mean(axis=0) if len(table) > 1 else table[0]
        self._meter.add(table, mean)
        self._mean.push(mean)
        if self._first is not None:
            self._first.push(table[0].copy())

    def finish(self, timeline: AudioTimeline) -> tuple[Audio, SampleFacts]:
        """The whole audio as ``timeline`` places it; values outside [-1, 1] are clipped."""
        self._close_block()
        assert self._mean is not None  # noqa: S101 - callers checked that there was audio
        facts = self._meter.facts()
        track = self._first if facts.first_channel and self._first is not None else self._mean
        samples = track.finish(round(self._taken * self._rate / self._source_rate))
        result = np.zeros(self._at(timeline.n_samples), np.float32)
        for first, end, position in timeline.segments:
            source = samples[self._at(first) : self._at(end)]
            start = self._at(position)
            length = min(len(source), len(result) - start)
            result[start : start + length] = source[:length]
        return Audio(np.clip(np.nan_to_num(result), -1.0, 1.0), self._rate), facts

    def _at(self, source_samples: int) -> int:
        return round(source_samples * self._rate / self._source_rate)

    def _begin(self, rate: int, channels: int) -> None:
        if not 1000 <= rate <= 768_000:
            raise DecodeError(f"{self._name} has an impossible sample rate", found=f"{rate} Hz")
        self._source_rate = rate
        self._mean = _Track(rate, self._rate)
        self._first = _Track(rate, self._rate) if channels > 1 else None


class _Track:
    """One channel on its way to the wanted rate."""

    def __init__(self, source_rate: int, rate: int) -> None:
        self._pieces: list[NDArray[np.float32]] = []
        self._resampler: soxr.ResampleStream | None = None
        if source_rate != rate:
            import soxr

            self._resampler = soxr.ResampleStream(source_rate, rate, 1, dtype="float32", quality="HQ")

    def push(self, samples: NDArray[np.float32]) -> None:
        self._pieces.append(self._resampler.resample_chunk(samples) if self._resampler is not None else samples)

    def finish(self, wanted: int) -> NDArray[np.float32]:
        if self._resampler is not None:
            self._pieces.append(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        samples = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        # The resampler may differ from the exact length by a sample at the end.
        return np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))


class _Meter:
    """Sums over the samples, block by block."""

    def __init__(self) -> None:
        self._peak = 0.0
        self._count = self._clipped = self._silent = self._no_numbers = 0
        self._energy = self._cancelled = 0.0
        self._by_channel: NDArray[np.float64] = np.zeros(0)

    def finite(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples with silence for those that are not finite, which would spread when resampled."""
        fine = np.isfinite(table)
        if fine.all():
            return table
        self._no_numbers += int((~fine).any(axis=0).sum())
        return np.where(fine, table, np.float32(0))

    def add(self, table: NDArray[np.float32], mean: NDArray[np.float32]) -> None:
        size = np.abs(np.nan_to_num(table))
        peak = float(size.max(initial=0.0))
        self._peak = max(self._peak, peak)
        self._count += table.shape[1]
        self._silent += int((size.max(axis=0) < SILENCE).sum())
        if peak >= FULL_SCALE:
            self._clipped += _flat(size)
        if len(table) == 1:
            return
        by_channel = np.square(size).sum(axis=1, dtype=np.float64)
        self._by_channel = by_channel + (self._by_channel if self._by_channel.size else 0.0)
        energy = float(by_channel.sum())
        self._energy += energy
        # The mean of n channels has 1/n of their energy when they are equal, 1/n^2 when they are uncorrelated.
        if float(np.square(mean).sum()) * len(table) ** 2 < CANCELLING * energy:
            self._cancelled += energy

    def facts(self) -> SampleFacts:
        cancelled = self._cancelled / self._energy if self._energy else 0.0
        shares = self._by_channel / self._energy if self._energy else self._by_channel
        return SampleFacts(
            peak=self._peak,
            clipped_share=self._clipped / max(1, self._count),
            silent_share=self._silent / max(1, self._count),
            cancelled_share=cancelled,
            first_channel=cancelled > CANCELLED_SHARE,
            no_numbers=self._no_numbers,
            loudest=(int(shares.argmax()) + 1, float(shares.max())) if len(shares) > 2 else None,
        )


def _flat(size: NDArray[np.float32]) -> int:
    """Samples in runs of at least three at full scale: what a clipped wave looks like and a lone peak does not."""
    full: NDArray[np.bool_] = size.max(axis=0) >= FULL_SCALE
    inner = full[:-2] & full[1:-1] & full[2:]
    run = np.zeros(full.shape, np.bool_)
    for shift in range(3):
        run[shift : full.size - 2 + shift] |= inner
    return int(run.sum())


def sample_notes(facts: SampleFacts) -> tuple[Note, ...]:
    """Notes on the samples that matter to a reader of the numbers."""
    notes = []
    if facts.first_channel:
        text = f"the channels cancel each other ({facts.cancelled_share:.0%} of the audio): the first one is used"
        notes.append(Note("channels_cancel", text, {"share": round(facts.cancelled_share, 4)}))
    elif facts.cancelled_share > CANCELLED_NOTED:
        text = f"the channels cancel each other in {facts.cancelled_share:.0%} of the audio; their mean is used"
        notes.append(Note("channels_cancel", text, {"share": round(facts.cancelled_share, 4)}))
    if facts.loudest is not None and facts.loudest[1] > ONE_CHANNEL:
        number, share = facts.loudest
        text = f"channel {number} holds {share:.0%} of the energy and is weakened in the mean of all channels"
        notes.append(Note("one_channel", text, {"channel": number, "share": round(share, 4)}))
    if facts.no_numbers:
        text = f"{facts.no_numbers} samples are not finite: replaced by silence"
        notes.append(Note("no_numbers", text, {"samples": facts.no_numbers}))
    if facts.peak < SILENCE:
        notes.append(Note("silent", "the audio is silent from beginning to end"))
    elif facts.clipped_share > CLIPPED_NOTED:
        text = f"{facts.clipped_share:.1%} of the samples are clipped at full scale"
        notes.append(Note("clipped", text, {"share": round(facts.clipped_share, 4)}))
    if facts.peak > OVER_SCALE:
        text = f"samples reach {facts.peak:.2f} of full scale: cut at 1"
        notes.append(Note("over_scale", text, {"peak": round(facts.peak, 4)}))
    return tuple(notes)


def channel_samples(body: bytes, *, sample_format: str, channels: int) -> NDArray[np.float32]:
    """All channels as ``float32 [channels, n]``, full scale at 1.

    >>> channel_samples(np.array([16384, 0], "i2").tobytes(), sample_format="s16", channels=2)
    array([[0.5],
           [0. ]], dtype=float32)
    """
    planar = sample_format.endswith("p")
    kind, zero, scale = _FORMATS[sample_format.removesuffix("p")]
    flat = np.frombuffer(body, dtype=kind)
    table = flat.reshape(channels, -1) if planar else flat.reshape(-1, channels).T
    if kind == "f4":
        return table
    return ((table.astype(np.float64) - zero) / scale).astype(np.float32)
