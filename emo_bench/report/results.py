"""The results of a run as tables that every format renders."""

from __future__ import annotations

from dataclasses import replace

from emo_bench.record.columns import DIRECTION_WORDS, Column
from emo_bench.record.schema import RunRecord, SystemEntry
from emo_bench.report import tables
from emo_bench.report.content import Cell, Head, Row, Table
from emo_bench.report.notes import SYNTHETIC_NOTICE, table_notes
from emo_core.text import counted, format_number


def results_tables(record: RunRecord, *, suffix: str = "") -> tuple[Table, ...]:
    """The main table, head motion and the rest.

    Args:
        record: The run.
        suffix: Put behind the names of the tables, which must be unique in a report.
    """
    return tuple(_table(record, table, suffix) for table in tables.build_tables(record))


def _table(record: RunRecord, table: tables.Table, suffix: str) -> Table:
    people = len({clip.identity for clip in record.clips})
    size = f"{counted(len(record.clips), 'clip')} of {counted(people, 'person', 'people')}"
    about = f"{table.title} on {record.dataset_name}: {size}."
    rows = tuple(
        Row(
            row.system.name,
            tuple(_cell(row.system.name, *pair) for pair in zip(table.columns, row.cells, strict=True)),
            row.system.anchor,
            row.system.kind == "ground_truth",
            system_tip(row.system),
        )
        for row in table.rows
    )
    return Table(
        f"{table.name}{suffix}",
        table.title,
        tuple(head_of(column) for column in table.columns),
        rows,
        notes=table_notes(record, table),
        about=f"{about} {SYNTHETIC_NOTICE}" if record.synthetic else about,
        protocols=tuple(dict.fromkeys(column.protocol.name for column in table.columns)),
    )


def head_of(column: Column) -> Head:
    """The head of a column, with its protocol on hover."""
    value, protocol = column.value, column.protocol
    weights = "".join(f"\nweights {entry.file} ({entry.sha256[:12]})" for entry in protocol.weights)
    source = f"\n{protocol.source}" if protocol.source else ""
    words = DIRECTION_WORDS[value.direction]
    return Head(
        value.label, column.arrow, value.unit, column.id, words, protocol.name,
        tip=f"{protocol.title}\n{words}\nprotocol {protocol.name}{weights}{source}",
        descending=value.direction == "higher",
    )  # fmt: skip


def system_tip(system: SystemEntry) -> str:
    """What a system is, for hovering."""
    options = "".join(f"\n{key}: {str(value)[:80]}" for key, value in list(system.options.items())[:8])
    return f"{system.name[:80]}\nkind {system.kind}{options}\ndigest {system.digest[:16]}"


def _cell(system: str, column: Column, cell: Cell) -> Cell:
    if cell.value is None:
        return replace(cell, tip=f"{column.value.label} of {system[:60]}\n{cell.status}: {cell.reason}")
    by_gap = column.value.direction == "closer_to_gt" and cell.gap is not None
    return replace(cell, tip=_cell_tip(system, column, cell), sort=cell.gap if by_gap else cell.value)


def _cell_tip(system: str, column: Column, cell: Cell) -> str:
    unit = f" {column.value.unit}" if column.value.unit else ""
    lines = [f"{column.value.label} of {system[:60]}: {cell.text}{unit}"]
    if cell.interval_text and cell.level is not None:
        lines.append(f"{100 * cell.level:g} % interval {cell.interval_text}, {cell.method}")
    people = f", {counted(cell.n_identities, 'person', 'people')}" if cell.n_identities else ""
    frames = f", {100 * cell.frame_coverage:.0f} % of their frames" if cell.frame_coverage is not None else ""
    lines.append(f"{cell.n_scored} of {counted(cell.n_planned, 'clip')}{frames}{people}")
    if cell.gap is not None:
        lines.append(f"distance to ground truth {format_number(cell.gap, column.value.decimals)}")
    lines += [text for text in (cell.watermark and f"small sample: {cell.watermark}", cell.reason) if text]
    return "\n".join([*lines, f"protocol {column.protocol.name}"])
