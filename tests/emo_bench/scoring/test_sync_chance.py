"""A sync protocol that hears nothing in the ground truth is told of; one that hears a constant offset is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emo_bench.engine.unit import GROUND_TRUTH
from emo_bench.record.rows import ClipRow
from emo_bench.scoring.sync_chance import sync_chance_note
from emo_metrics.metrics.blink import BlinkRate
from emo_metrics.metrics.lip_sync import SyncShort


def rows_of(offsets: Sequence[float | None], *, system: str = GROUND_TRUTH) -> list[ClipRow]:
    return [
        ClipRow(
            system=system,
            clip=f"clip{number}",
            identity=f"p{number}",
            seed=0,
            protocol=SyncShort.spec.name,
            key="offset",
            value=value,
            status="ok" if value is not None else "no_face",
            reason="",
            coverage=1.0,
        )
        for number, value in enumerate(offsets)
    ]


def test_scattered_offsets_are_told() -> None:
    note = sync_chance_note(SyncShort.spec, rows_of([-12, 7, 0, 15, -4, 4]))  # about a median of 2
    assert note is not None
    assert (note.system, note.code, len(note.clips)) == (GROUND_TRUTH, "sync_at_chance", 6)
    assert SyncShort.spec.name in note.text
    assert "0 of 6" in note.text


@pytest.mark.parametrize(
    "offsets", [[0, 0, 1, -1], [-3, -3, -2, -3, 11], [0, 9], [None, 8, None, -9], [2, 2, 2, 15, -15, 2]]
)
def test_a_constant_offset_or_too_few_clips_are_not(offsets: Sequence[float | None]) -> None:
    assert sync_chance_note(SyncShort.spec, rows_of(offsets)) is None


def test_other_systems_and_other_protocols_do_not_count() -> None:
    scattered = [-12, 7, 0, 15, -4, 9]
    assert sync_chance_note(SyncShort.spec, rows_of(scattered, system="ours")) is None
    assert sync_chance_note(BlinkRate.spec, rows_of(scattered)) is None
