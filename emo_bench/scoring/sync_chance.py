"""Whether a sync protocol hears anything in the ground truth itself; where it does not, its numbers say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emo_bench.engine.unit import GROUND_TRUTH
from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import NoteEntry

if TYPE_CHECKING:
    from emo_metrics.contract import ProtocolSpec

OFFSET = "offset"
AGREE = 0.5
"""Least share of the clips whose offset lies within a frame of the median; by chance about a tenth does."""
LEAST_CLIPS = 3


def sync_chance_note(spec: ProtocolSpec, rows: Sequence[ClipRow]) -> NoteEntry | None:
    """A note on the ground truth when the offsets of its clips scatter as if mouth and audio had nothing in common.

    Clips of one data set are in step, or off by one constant; a protocol that finds no such offset does not hear these
    clips (another frame rate, foreign audio, faces or voices unlike those it knows).

    Args:
        spec: A protocol; one without an offset has no note.
        rows: Its rows.
    """
    if not spec.reads_audio_video_sync or OFFSET not in {value.key for value in spec.values}:
        return None
    truth = [row for row in rows if row.system == GROUND_TRUTH and row.key == OFFSET and row.value is not None]
    if len(truth) < LEAST_CLIPS:
        return None
    offsets = np.array([row.value for row in truth], dtype=np.float64)
    near = np.abs(offsets - np.median(offsets)) <= 1
    if near.mean() >= AGREE:
        return None
    return NoteEntry(
        system=GROUND_TRUTH,
        code="sync_at_chance",
        text=f"{spec.name} finds no common offset in the ground truth itself: {int(near.sum())} of {len(near)} clips "
        "lie within a frame of the median; they are out of step with each other, or it detects no sync in them",
        clips=tuple(sorted({row.clip for row in truth})),
    )
