"""The share of clips and frames that the numbers of a record are based on, and where systems differ in it."""

from __future__ import annotations

from emo_bench.record.columns import Column
from emo_bench.record.schema import ComparisonEntry, RunRecord, ValueEntry

WHOLE = 0.995
"""A share of frames that is shown as 100 %."""

EQUAL = 0.01
"""Shares of frames that differ by no more than this are called equal."""

SHARED = "clips that both have"
"""In the reason of a comparison of two systems that were not scored on the same clips."""


def uneven_coverage(record: RunRecord, column: Column) -> str:
    """How unequally the systems under test are covered under one value, in words; empty when they are alike.

    A system without a value counts: it was scored on none of its clips.
    """
    tested = {system.name for system in record.systems if not system.anchor}
    entries = [
        entry
        for entry in record.values
        if (entry.protocol, entry.key) == (column.protocol.name, column.value.key)
        and entry.system in tested
        and entry.status != "skipped"
    ]
    if len(entries) < 2:
        return ""
    parts = []
    clips = ", ".join(f"{entry.system} {_scored(entry)}/{entry.n_planned}" for entry in entries)
    if len({_extent(record, column, entry) for entry in entries}) > 1:
        parts.append(f"clips: {clips}")
    elif any(is_on_shared_clips(pair) for pair in record.comparisons if _is_of(pair, column, tested)):
        parts.append(f"clips: {clips}, not the same ones")
    shares = [entry.frame_coverage for entry in entries if entry.value is not None and entry.frame_coverage is not None]
    if shares and max(shares) - min(shares) > EQUAL:
        known = [entry for entry in entries if entry.frame_coverage is not None]
        parts.append("frames: " + ", ".join(f"{e.system} {100 * (e.frame_coverage or 0):.0f} %" for e in known))
    return "; ".join(parts)


def is_on_shared_clips(entry: ComparisonEntry) -> bool:
    """Whether either of two compared systems has clips that the other one lacks."""
    return SHARED in entry.reason


def _is_of(pair: ComparisonEntry, column: Column, systems: set[str]) -> bool:
    return (pair.protocol, pair.key) == (column.protocol.name, column.value.key) and {
        pair.system_a,
        pair.system_b,
    } <= systems


def _extent(record: RunRecord, column: Column, entry: ValueEntry) -> tuple[int, int] | str:
    """What a value rests on, equal for systems that can be ranked.

    A system without randomness is run with one seed where others have several: all of its clips are all clips. Not so
    for values of sets, which depend on the number of samples, nor where clips lack what some systems need.
    """
    by_seeds = column.protocol.granularity == "clip" and all(clip.ground_truth for clip in record.clips)
    if by_seeds and entry.value is not None and entry.n_scored == entry.n_planned:
        return "all"
    return (_scored(entry), entry.n_planned)


def _scored(entry: ValueEntry) -> int:
    return entry.n_scored if entry.value is not None else 0


def lost_coverage(before: ValueEntry | None, after: ValueEntry | None) -> str:
    """What the later of two values no longer rests on, in a sentence; empty when nothing is lost.

    Args:
        before: The value of the older run.
        after: The same value of the newer run.
    """
    if before is None or before.value is None:
        return ""
    if after is None or after.value is None:
        reason = f": {after.reason}" if after is not None and after.reason else ""
        return f"there is no value any more{reason}"
    if after.n_scored < before.n_scored:
        return f"the value rests on {after.n_scored} clips, before on {before.n_scored}"
    shares = before.frame_coverage, after.frame_coverage
    if shares[0] is not None and shares[1] is not None and shares[1] < shares[0] - EQUAL:
        return f"the value rests on {100 * shares[1]:.0f} % of the frames, before on {100 * shares[0]:.0f} %"
    return ""
