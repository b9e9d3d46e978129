"""The share of clips and frames that the numbers of a record are based on, and where systems differ in it."""

from __future__ import annotations

from emo_bench.record.columns import Column
from emo_bench.record.schema import RunRecord, ValueEntry

WHOLE = 0.995
"""A share of frames that is shown as 100 %."""

EQUAL = 0.01
"""Shares of frames that differ by no more than this are called equal."""


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
    clips = {(entry.n_scored if entry.value is not None else 0, entry.n_planned) for entry in entries}
    if len(clips) > 1:
        parts.append("clips: " + ", ".join(f"{entry.system} {_scored(entry)}/{entry.n_planned}" for entry in entries))
    shares = [entry.frame_coverage for entry in entries if entry.value is not None and entry.frame_coverage is not None]
    if shares and max(shares) - min(shares) > EQUAL:
        known = [entry for entry in entries if entry.frame_coverage is not None]
        parts.append("frames: " + ", ".join(f"{e.system} {100 * (e.frame_coverage or 0):.0f} %" for e in known))
    return "; ".join(parts)


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
