"""When each audio sample is played, decided here and nowhere else, for references and generated clips alike.

The decoding process reports raw facts (time stamps beside the count of samples); pure arithmetic turns them into
the time of each sample. Every correction is a ``Note``. ``timeline`` does the same for frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from emo_bench.media.notes import Note
from emo_core.errors import LimitError

JITTER_SECONDS = Fraction(15, 1000)
"""Largest deviation of a time stamp from the sample count that is ignored."""

LASTING_SECONDS = Fraction(1, 5)
"""A deviation must last for most of this time; a shorter one is a late stamp, not missing audio."""

CLOCK_RESET_SECONDS = 1
"""Stamps that jump back further are a new clock (joined recordings), not audio that overlaps."""


@dataclass(frozen=True, kw_only=True)
class DecodedAudio:
    """Raw facts about the audio of a stream.

    Attributes:
        start: Time stamp of the first sample in seconds.
        rate: Samples per second.
        n_samples: Decoded samples.
        offsets: Pairs (samples decoded before, seconds by which the time stamp is ahead of the count of samples from
            ``start`` on); one wherever the second has changed noticeably.
    """

    start: Fraction
    rate: int
    n_samples: int
    offsets: Sequence[tuple[int, Fraction]] = ()


@dataclass(frozen=True, kw_only=True)
class AudioTimeline:
    """Where decoded samples are placed in time.

    Attributes:
        start: Time of the first sample on the container's timeline, in seconds.
        rate: Samples per second of source and result.
        segments: Triples (first sample, end sample, position in the result); what lies between two positions is
            silence, samples in no segment are left out.
    """

    start: Fraction
    rate: int
    segments: tuple[tuple[int, int, int], ...]

    @property
    def n_samples(self) -> int:
        """Length of the result."""
        first, end, position = self.segments[-1]
        return position + end - first

    @property
    def seconds(self) -> Fraction:
        """From the first sample to the end of the last one, gaps included."""
        return Fraction(self.n_samples, self.rate)


def audio_timeline(audio: DecodedAudio, *, max_gap: float) -> tuple[AudioTimeline, tuple[Note, ...]]:
    """When each sample is played: at its time stamp, give or take ``JITTER_SECONDS``.

    Stamps that are ahead of the samples for good are a gap, filled with silence; stamps that are behind for good are an
    overlap, of which the later samples are left out. A jump backwards by more than ``CLOCK_RESET_SECONDS`` is another
    clock and changes nothing.

    Args:
        audio: What was decoded.
        max_gap: Seconds of silence that one gap may have.

    Raises:
        LimitError: a gap is longer.
    """
    segments: list[tuple[int, int, int]] = []
    begin = position = applied = resets = 0
    gaps: list[int] = []
    overlaps: list[int] = []
    for index, (at, seconds) in enumerate(audio.offsets):
        change = round(seconds * audio.rate) - resets - applied
        if at <= begin or abs(change) <= JITTER_SECONDS * audio.rate or not _lasts(audio, index):
            continue
        if change < -CLOCK_RESET_SECONDS * audio.rate:
            resets += change
            continue
        if change > max_gap * audio.rate:
            found = f"{change / audio.rate:.1f} s after {(position + at - begin) / audio.rate:.1f} s"
            raise LimitError("a gap in the audio is too long", expected=f"at most {max_gap:g} s", found=found)
        segments.append((begin, at, position))
        position += at - begin + max(0, change)
        begin = min(at - min(0, change), audio.n_samples)
        applied += change
        (gaps if change > 0 else overlaps).append(abs(change))
    segments.append((begin, audio.n_samples, position))
    timeline = AudioTimeline(start=audio.start, rate=audio.rate, segments=tuple(segments))
    return timeline, _correction_notes(audio, gaps, overlaps, resets)


def _lasts(audio: DecodedAudio, index: int) -> bool:
    """Whether time stamps stay where the one with this index has moved them, for most of ``LASTING_SECONDS``."""
    points = audio.offsets
    at, moved = points[index]
    horizon = min(at + round(LASTING_SECONDS * audio.rate), audio.n_samples)
    near = 0
    for here, (start, seconds) in enumerate(points[index:], start=index):
        if start >= horizon:
            break
        end = points[here + 1][0] if here + 1 < len(points) else audio.n_samples
        if abs(seconds - moved) <= JITTER_SECONDS:
            near += min(end, horizon) - start
    return 2 * near >= horizon - at


def _correction_notes(audio: DecodedAudio, gaps: list[int], overlaps: list[int], resets: int) -> tuple[Note, ...]:
    notes = []
    if gaps:
        total, places = sum(gaps) / audio.rate, _places(len(gaps))
        text = f"{total:.3f} s of missing audio in {places} filled with silence"
        notes.append(Note("audio_gap", text, {"seconds": round(total, 6), "places": len(gaps)}))
    if overlaps:
        total, places = sum(overlaps) / audio.rate, _places(len(overlaps))
        text = f"{total:.3f} s of overlapping audio in {places} left out, as its time stamps ask"
        notes.append(Note("audio_overlap", text, {"seconds": round(total, 6), "places": len(overlaps)}))
    if resets:
        seconds = -resets / audio.rate
        text = f"the clock of the audio jumps back by {seconds:.3f} s: the audio continues without a break"
        notes.append(Note("audio_clock", text, {"seconds": round(seconds, 6)}))
    return tuple(notes)


def _places(count: int) -> str:
    return "1 place" if count == 1 else f"{count} places"
