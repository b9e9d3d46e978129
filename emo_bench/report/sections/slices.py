"""The run by groups of its clips (style, language, voice ...): a table for each group, and the gaps between groups."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.config.schema import Statistics
from emo_bench.record.columns import Column, clip_columns, columns_of, ordered_systems
from emo_bench.record.run_data import RunData
from emo_bench.report.content import Cell, Head, Material, Row, Section, Table, Text
from emo_bench.report.results import head_of, system_tip
from emo_bench.report.sections import section
from emo_bench.report.tables import cell_of
from emo_bench.scoring.slices import Gap, Slices, slices
from emo_core.text import format_number

ABOUT = (
    "Per-clip values on the clips of each group alone, with the ground truth of the same clips. A gap is the value on "
    "a group minus the value on all other clips; its interval resamples identities within either side and is not "
    "corrected for the number of gaps. Where the ground truth has a gap too, the clips differ and not only the system."
)


@section("slices", place=18)
def slice_sections(material: Material) -> Sequence[Section]:
    """A section for each key that was asked for; nothing when none was."""
    return tuple(
        Section(f"by-{number}", f"By {by}", _parts(material.run, by, number), main=True, nav=f"By {by}")
        for number, by in enumerate(material.by, start=1)
    )


def _parts(run: RunData, by: str, number: int) -> tuple[Text | Table, ...]:
    record = run.record
    given = record.config.get("statistics")
    statistics = Statistics.model_validate(given if isinstance(given, dict) else {})
    found = slices(record.clips, run.rows, [system.name for system in record.systems], by, statistics)
    columns = tuple(column for column in clip_columns(record) if column.value.primary)
    people = run.identities
    tables = [
        _group_table(run, found, group, columns, f"by-{number}-{place}", len({people[clip] for clip in clips}))
        for place, (group, clips) in enumerate(found.clips.items(), start=1)
    ]
    notes = [ABOUT]
    if found.left_out:
        notes.append(f"{len(found.left_out)} smaller groups are left out: {', '.join(found.left_out[:5])}.")
    if any(column.protocol.granularity == "set" for column in columns_of(run.record)):
        notes.append("Values of whole sets (FID, FVD) need the features: run the group as a suite of its own.")
    gaps = _gap_table(run, found, columns, f"by-{number}-gaps")
    return (*(Text(text) for text in notes), *tables, *((gaps,) if len(found.clips) > 1 else ()))


def _group_table(run: RunData, found: Slices, group: str, columns: Sequence[Column], name: str, people: int) -> Table:
    entries = {(entry.system, entry.protocol, entry.key): entry for entry in found.values[group]}
    rows = tuple(
        Row(
            system.name,
            tuple(
                cell_of(column, entries.get((system.name, column.protocol.name, column.value.key)), "")
                for column in columns
            ),
            system.anchor,
            system.kind == "ground_truth",
            system_tip(system),
        )
        for system in ordered_systems(run.record)
    )
    clips = len(found.clips[group])
    title = f"{found.by.removeprefix('meta.')}: {group}"
    counted = f"{clips} clip{'' if clips == 1 else 's'}, {people} {'person' if people == 1 else 'people'}"
    small = (
        (f"Only {counted.partition(', ')[2]}: too few for intervals and gaps that mean much.",)
        if people < FEW_PEOPLE
        else ()
    )
    return Table(
        name, f"{title} ({counted})", tuple(head_of(column) for column in columns), rows,
        notes=small, about=f"Clips with {title}.",
    )  # fmt: skip


FEW_PEOPLE = 10
"""Below so many identities a group says so."""


def _gap_table(run: RunData, found: Slices, columns: Sequence[Column], name: str) -> Table:
    gaps = {(gap.group, gap.system, gap.protocol, gap.key): gap for gap in found.gaps}
    rows = tuple(
        Row(
            f"{system.name}, {group}",
            tuple(
                _gap_cell(column, gaps.get((group, system.name, column.protocol.name, column.value.key)))
                for column in columns
            ),
            system.anchor,
            system.kind == "ground_truth",
            group=group,
        )
        for system in ordered_systems(run.record)
        for group in found.clips
    )
    heads = tuple(Head(column.value.label, unit=column.value.unit, tip=column.protocol.name) for column in columns)
    return Table(
        name, "Gaps: group minus all other clips", heads, rows, first="System, group", layout="list",
        groups="All groups",
    )  # fmt: skip


def _gap_cell(column: Column, gap: Gap | None) -> Cell:
    if gap is None or gap.difference is None:
        return Cell("–", status="missing", tip=gap.reason if gap is not None else "the run holds no such value")
    digits = column.value.decimals
    text = format_number(gap.difference, digits)
    text = text if text.startswith("−") else f"+{text}"
    if gap.interval is not None:
        text += f" [{format_number(gap.interval.low, digits)}, {format_number(gap.interval.high, digits)}]"
    return Cell(text, sort=gap.difference, tip=gap.reason)
