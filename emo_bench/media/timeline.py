"""When each frame is shown, decided here and nowhere else, for references and generated clips alike.

The decoding process reports raw facts (time stamps in the order in which frames were decoded); pure arithmetic turns
them into presentation times. Every correction is a ``Note``. ``audio_timeline`` does the same for audio.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median_low

from emo_bench.media.notes import Note

TOLERANCE = Fraction(1, 2000)
"""Half a millisecond: containers round time stamps, and a clip that misses its last frame by less has that frame."""

REORDER_WINDOW = 16
"""Frames that a codec may hold back before it shows them: H.264's and HEVC's largest number."""

LEAST_UNITS = 8
"""Units of a container that a frame lasts at least where a deviation of one unit counts as rounding."""

MAX_START_DELAY = 3
"""Empty chunks at the start of an AVI that are an encoder's delay (two for Xvid), not repeats."""

START_CHUNKS = 8
"""A delay that begins after the first frame may last this many chunks (Xvid, when a key frame follows soon)."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When the frames of a video are shown.

    Attributes:
        stamps: Presentation times in units of ``unit``, strictly increasing.
        last_duration: How long the last frame stays, in the same units.
        unit: Seconds per unit.
    """

    stamps: tuple[int, ...]
    last_duration: int
    unit: Fraction

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def start(self) -> Fraction:
        """Time of the first frame on the container's timeline, in seconds."""
        return self.stamps[0] * self.unit

    @property
    def seconds(self) -> Fraction:
        """From the first frame to the end of the last one."""
        return (self.stamps[-1] + self.last_duration - self.stamps[0]) * self.unit

    @property
    def average_fps(self) -> Fraction:
        """Frames divided by duration."""
        return len(self.stamps) / self.seconds

    def intervals(self) -> tuple[Fraction, Fraction]:
        """Shortest and longest time between neighbouring frames in seconds; the duration twice for one frame."""
        steps = self.steps()
        return (min(steps) * self.unit, max(steps) * self.unit) if steps else (self.seconds, self.seconds)

    @property
    def is_variable(self) -> bool:
        """Whether any interval differs from the usual one by more than 10 % and 1 ms (coarser than any rounding)."""
        steps = self.steps()
        if not steps:
            return False
        usual = median_low(steps)
        allowed = usual / 10 + Fraction(1, 1000) / self.unit
        return max(steps) - usual > allowed or usual - min(steps) > allowed

    @property
    def usual_step(self) -> int:
        """The median time between neighbouring frames, in units."""
        return median_low(self.steps() or [self.last_duration])

    def steps(self) -> list[int]:
        """Times between neighbouring frames, in units."""
        return [later - earlier for earlier, later in zip(self.stamps, self.stamps[1:], strict=False)]


def count_frames(seconds: Fraction, *, fps: Fraction) -> int:
    """How many whole frames fit in a duration, forgiving half a millisecond.

    >>> count_frames(Fraction(19999, 5000), fps=Fraction(25)), count_frames(Fraction(399, 100), fps=Fraction(25))
    (100, 99)
    """
    return int((seconds + TOLERANCE) * fps // 1)


def source_indices(timeline: Timeline, *, fps: Fraction, n_frames: int) -> list[int]:
    """For each output frame the source frame it shows.

    That is the frame presented nearest to ``i / fps`` (the earlier on ties), but none more than half an output interval
    before its time: while a slow or irregular source pauses, its last frame is held. Times count from
    the first source frame, so a constant-rate video at ``fps`` passes through untouched.

    >>> timeline = Timeline(stamps=(0, 1, 2, 3), last_duration=1, unit=Fraction(1, 50))
    >>> source_indices(timeline, fps=Fraction(25), n_frames=2)
    [0, 2]
    >>> source_indices(Timeline(stamps=(0, 10), last_duration=1, unit=Fraction(1, 25)), fps=Fraction(25), n_frames=11)
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    """
    # Everything is multiplied by the denominators, so the comparison is exact.
    scale = 2 * fps.numerator * timeline.unit.numerator
    step = 2 * fps.denominator * timeline.unit.denominator
    first = timeline.stamps[0]
    times = [(stamp - first) * scale for stamp in timeline.stamps]
    indices: list[int] = []
    nearest = 0
    for output in range(n_frames):
        wanted = output * step
        while nearest + 1 < len(times) and abs(times[nearest + 1] - wanted) < abs(times[nearest] - wanted):
            if times[nearest + 1] > wanted + step // 2:
                break
            nearest += 1
        indices.append(nearest)
    return indices


@dataclass(frozen=True, kw_only=True)
class DecodedFrames:
    """Raw facts about the frames of a stream, in the order in which the decoder showed them.

    Attributes:
        stamps: Time stamp of each frame in units of ``unit``; None where there is none. For containers that count
            chunks only (AVI), the position of the chunk that the frame was coded in.
        durations: How long each is shown, in the same units; 0 where unknown.
        unit: Seconds per unit.
        nominal_fps: Frame rate as declared, or None.
        counts_chunks: Whether ``stamps`` are positions of coded chunks.
        declared_end: Where the header says that the stream ends, in units; None where it does not say or is not to be
            believed.
    """

    stamps: Sequence[int | None]
    durations: Sequence[int]
    unit: Fraction
    nominal_fps: Fraction | None = None
    counts_chunks: bool = False
    declared_end: int | None = None


def video_timeline(frames: DecodedFrames) -> tuple[Timeline, tuple[Note, ...]]:
    """When the frames of a video are shown, from whatever time stamps its recorder wrote.

    * The decoder's order is the order of the frames. Stamps that are a local permutation of it were written in coding
      order (AVI with B-frames, recorders that copy them): they are sorted, and each frame is due when the chunk comes
      that the decoder must have read before it can show it.
    * A missing stamp follows the one before by one frame. A single stamp out of line is replaced; after a lasting jump
      backwards the clock continues.
    * AVI: chunks left out repeat the frame before them; those directly after the first frame of a stream with
      B-frames are the encoder's start-up delay and are closed up.
    * The last frame lasts its own duration, or as long as the frame before it, or to the declared end (AVI).
    * Stamps that are those of the declared rate, but for rounding to the container's unit, are taken as exact.

    Args:
        frames: At least one.

    Returns:
        Strictly increasing presentation times, and what was corrected.
    """
    notes: list[Note] = []
    usual = _usual_step(frames)
    stamps = _in_order(_filled(frames.stamps, usual, notes, frames), usual, notes)
    end = frames.declared_end
    reordering = _reordering(frames.stamps) if any(note.code == "coding_order" for note in notes) else 0
    if frames.counts_chunks:
        stamps, delay = _without_start_delay(stamps, has_b_frames=reordering > 0)
        end = end - delay if end is not None else None
        if delay:
            text = f"{delay} empty chunks at the start are the encoder's start-up delay: closed up"
            notes.append(Note("encoder_delay", text, {"chunks": delay}))
    stamps, pause = _when_due(stamps, reordering, usual)
    end = end - pause if end is not None else None
    last = max(1, frames.durations[-1] or (stamps[-1] - stamps[-2] if len(stamps) > 1 else usual))
    if frames.counts_chunks:
        last = max(frames.durations[-1] or usual, end - stamps[-1] if end is not None else 0)
    timeline = Timeline(stamps=tuple(stamps), last_duration=last, unit=frames.unit)
    if frames.counts_chunks:
        notes += _repeats(timeline)
        return timeline, tuple(notes)
    return _without_rounding(timeline, frames.nominal_fps), tuple(notes)


def _without_rounding(timeline: Timeline, nominal: Fraction | None) -> Timeline:
    """The exact times of a constant rate whose stamps are only rounded to the container's unit, which cost a frame.

    >>> rounded = Timeline(stamps=(0, 17, 33), last_duration=16, unit=Fraction(1, 1000))
    >>> float(rounded.seconds), float(_without_rounding(rounded, Fraction(60)).seconds)
    (0.049, 0.05)
    """
    if nominal is None:
        return timeline
    step, first = 1 / (nominal * timeline.unit), timeline.stamps[0]
    if step.denominator == 1 or step < LEAST_UNITS or abs(timeline.last_duration - step) > 1:
        return timeline
    if any(abs(stamp - first - index * step) > 1 for index, stamp in enumerate(timeline.stamps)):
        return timeline
    start, unit = first * step.denominator, timeline.unit / step.denominator
    stamps = range(start, start + len(timeline) * step.numerator, step.numerator)
    return Timeline(stamps=tuple(stamps), last_duration=step.numerator, unit=unit)


def _usual_step(frames: DecodedFrames) -> int:
    """The most ordinary time between two frames, in units."""
    known = sorted({stamp for stamp in frames.stamps if stamp is not None})
    steps = [later - earlier for earlier, later in itertools.pairwise(known)]
    if steps:
        return median_low(steps)
    stated = [duration for duration in frames.durations if duration > 0]
    return stated[0] if stated else max(1, round(1 / ((frames.nominal_fps or Fraction(25)) * frames.unit)))


def _filled(stamps: Sequence[int | None], usual: int, notes: list[Note], frames: DecodedFrames) -> list[int]:
    missing = sum(stamp is None for stamp in stamps)
    if not missing:
        return [stamp for stamp in stamps if stamp is not None]
    if missing == len(stamps):
        rate = float(1 / (usual * frames.unit))
        notes.append(Note("no_stamps", f"the file has no time stamps: frames are counted at {rate:g} fps"))
    else:
        text = f"{missing} of {len(stamps)} frames have no time stamp: each follows the one before it"
        notes.append(Note("missing_stamps", text, {"frames": missing}))
    first = next((index for index, stamp in enumerate(stamps) if stamp is not None), 0)
    at = (stamps[first] or 0) - first * usual
    filled: list[int] = []
    for stamp in stamps:
        at = stamp if stamp is not None else at
        filled.append(at)
        at += usual
    return filled


def _in_order(stamps: list[int], usual: int, notes: list[Note]) -> list[int]:
    if all(later > earlier for earlier, later in itertools.pairwise(stamps)):
        return stamps
    order = sorted(range(len(stamps)), key=stamps.__getitem__)
    moved = [abs(rank - index) for rank, index in enumerate(order)]
    if len(set(stamps)) == len(stamps) and max(moved) <= REORDER_WINDOW:
        count = sum(distance > 0 for distance in moved)
        text = f"time stamps are in coding order: {count} frames put at their time of display"
        notes.append(Note("coding_order", text, {"frames": count}))
        return sorted(stamps)
    return _repaired(stamps, usual, notes)


def _repaired(stamps: list[int], usual: int, notes: list[Note]) -> list[int]:
    """Time stamps that jump: single ones are replaced, lasting jumps backwards are taken out."""
    repaired = [stamps[0]]
    shift = changed = 0
    for index in range(1, len(stamps)):
        stamp, before = stamps[index] + shift, repaired[-1]
        after = stamps[index + 1] + shift if index + 1 < len(stamps) else None
        spike = after is not None and before < after < stamp
        if spike and after is not None and after - before > 1:
            stamp = before + max(1, (after - before) // 2)
            changed += 1
        elif stamp <= before:
            lasting = after is not None and after <= before
            shift += before + usual - stamp if lasting else 0
            stamp = before + usual if lasting or after is None else before + max(1, min(usual, (after - before) // 2))
            changed += 1
        repaired.append(max(stamp, before + 1))
    text = f"{changed} time stamps do not increase: set one frame after the one before"
    notes.append(Note("repaired_stamps", text, {"frames": changed}))
    return repaired


def _reordering(stamps: Sequence[int | None]) -> int:
    """How many chunks ahead of a frame its decoder must read: by how many places frames were coded late, at most.

    >>> _reordering([0, 2, 3, 1, 5, 6, 4])
    1
    """
    known = [stamp if stamp is not None else index for index, stamp in enumerate(stamps)]
    order = sorted(range(len(known)), key=known.__getitem__)
    return max(rank - index for rank, index in enumerate(order))


def _when_due(stamps: list[int], reordering: int, usual: int) -> tuple[list[int], int]:
    """Times of frames from sorted positions of chunks: frame ``j`` is shown with chunk ``j + reordering``.

    Encoders work like that: a pause in their input appears ``reordering`` chunks later in their output. The last frames
    are unknown; each follows the one before.

    Returns:
        The times, and by how much a pause among the first chunks had made the stream longer.

    >>> _when_due([0, 1, 2, 3, 9, 10], 1, 1)
    ([0, 1, 2, 8, 9, 10], 0)
    """
    if not 0 < reordering < len(stamps):
        return stamps, 0
    lag = stamps[reordering] - stamps[0]
    due = [stamp - lag for stamp in stamps[reordering:]]
    return [*due, *(due[-1] + (index + 1) * usual for index in range(reordering))], lag - reordering * usual


def _without_start_delay(stamps: list[int], *, has_b_frames: bool) -> tuple[list[int], int]:
    steps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    usual = median_low(steps) if steps else 0
    near = (stamp - stamps[0] <= START_CHUNKS * usual for stamp in stamps[1:])
    empty = [step - usual if is_near and step > usual else 0 for step, is_near in zip(steps, near, strict=True)]
    if not has_b_frames or not steps or not empty[0] or sum(empty) > MAX_START_DELAY:
        return stamps, 0
    passed = itertools.accumulate(empty, initial=0)
    return [stamp - delay for stamp, delay in zip(stamps, passed, strict=True)], sum(empty)


def _repeats(timeline: Timeline) -> list[Note]:
    usual = timeline.usual_step
    gaps = [round(step / usual) - 1 for step in (*timeline.steps(), timeline.last_duration)]
    count = sum(gap for gap in gaps if gap > 0)
    if not count:
        return []
    text = f"{count} frames that the file leaves out are repeats of the frame before them"
    return [Note("repeated_frames", text, {"frames": count, "longest": max(gaps)})]
