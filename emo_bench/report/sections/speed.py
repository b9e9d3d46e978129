"""Seconds for each second of video, where the run timed a system under test."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.report.content import Cell, Head, Material, Row, Section, Table
from emo_bench.report.sections import section
from emo_bench.report.speed import SpeedRow, significant, speed_notes, speed_rows

HEADS = (
    Head("s per s of video", key="median_seconds_per_second"),
    Head("frames/s", key="frames_per_second"),
    Head("mean, with loading", key="mean_seconds_per_second"),
    Head("clips", key="n_clips"),
)


@section("speed", place=20, data=True)
def speed(material: Material) -> Sequence[Section]:
    """The table of speeds; nothing when no system under test was timed."""
    rows = tuple(Row(row.system.name, _cells(row), row.system.anchor) for row in speed_rows(material.run))
    if not rows:
        return ()
    return (Section("speed", "Speed", (Table("speed", "", HEADS, rows, notes=speed_notes(material.run)),)),)


def _cells(row: SpeedRow) -> tuple[Cell, ...]:
    numbers = (row.median, row.frames_per_second, row.mean)
    return (*(Cell(significant(number), number) for number in numbers), Cell(str(row.n_clips), row.n_clips))
