"""What the HTML page shows of tables, comparisons and anchor checks: plain data for the template."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from emo_bench.record.columns import DIRECTION_WORDS, Column, columns_of
from emo_bench.record.schema import AnchorCheck, ComparisonEntry, RunRecord, SystemEntry
from emo_bench.report.notes import table_notes
from emo_bench.report.tables import Cell, Table, build_tables
from emo_core.text import format_number

CHECK_SIGNS = {"pass": "✓", "fail": "✕", "tie": "≈", "cannot": "○", "no_value": "–"}
CHECK_WORDS = {"pass": "orders", "fail": "wrong order", "tie": "tie", "cannot": "cannot", "no_value": "no value"}


@dataclass(frozen=True)
class Bar:
    """Interval and value as percentages of the column's range."""

    low: str
    width: str
    at: str
    truth: str | None


@dataclass(frozen=True)
class CellView:
    """A cell of the page."""

    text: str
    value: float | None
    sort: float | None = None
    tip: str = ""
    mark: str = ""
    interval_text: str = ""
    bar: Bar | None = None
    partial: str = ""
    watermark: str = ""


@dataclass(frozen=True)
class ColumnView:
    """A column head of the page."""

    label: str
    arrow: str
    direction: str
    unit: str
    protocol: str
    tip: str
    first: str


@dataclass(frozen=True)
class RowView:
    """A line of a results table."""

    name: str
    anchor: bool
    first_system: bool
    tip: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class TableView:
    """A results table of the page."""

    name: str
    title: str
    columns: tuple[ColumnView, ...]
    rows: tuple[RowView, ...]
    notes: tuple[str, ...] = field(default=())


def table_views(record: RunRecord) -> tuple[TableView, ...]:
    """All tables of the run."""
    truth = next((system.name for system in record.systems if system.kind == "ground_truth"), None)
    views: list[TableView] = []
    for table in build_tables(record):
        view = _table_view(record, table, truth)
        # What an earlier table has said already is not said again.
        said = {note for earlier in views for note in earlier.notes}
        views.append(replace(view, notes=tuple(note for note in view.notes if note not in said)))
    return tuple(views)


def _table_view(record: RunRecord, table: Table, truth: str | None) -> TableView:
    columns = list(zip(*(row.cells for row in table.rows), strict=True)) if table.rows else []
    truth_cells = next((row.cells for row in table.rows if row.system.name == truth), None)
    spans = [_span(cells) for cells in columns]
    rows = []
    seen_system = False
    for row in table.rows:
        views = tuple(
            _cell_view(row.system.name, column, cell, span, truth_cells[i].value if truth_cells else None)
            for i, (column, cell, span) in enumerate(zip(table.columns, row.cells, spans, strict=True))
        )
        first = not row.system.anchor and not seen_system
        seen_system = seen_system or not row.system.anchor
        rows.append(RowView(row.system.name, row.system.anchor, first, system_tip(row.system), views))
    heads = tuple(column_view(column) for column in table.columns)
    return TableView(table.name, table.title, heads, tuple(rows), table_notes(record, table))


def column_view(column: Column) -> ColumnView:
    """The head of a column, with its protocol on hover."""
    value, protocol = column.value, column.protocol
    weights = "".join(f"\nweights {entry.file} ({entry.sha256[:12]})" for entry in protocol.weights)
    source = f"\n{protocol.source}" if protocol.source else ""
    tip = f"{protocol.title}\n{DIRECTION_WORDS[value.direction]}\nprotocol {protocol.name}{weights}{source}"
    first = "descending" if value.direction == "higher" else "ascending"
    return ColumnView(
        value.label, column.arrow, DIRECTION_WORDS[value.direction], value.unit, protocol.name, tip, first
    )


def system_tip(system: SystemEntry) -> str:
    """What a system is, for hovering."""
    options = "".join(f"\n{key}: {str(value)[:80]}" for key, value in list(system.options.items())[:8])
    return f"{system.name[:80]}\nkind {system.kind}{options}\ndigest {system.digest[:16]}"


def _span(cells: tuple[Cell, ...]) -> tuple[float, float] | None:
    ends = [end for cell in cells if cell.value is not None for end in (cell.low, cell.high, cell.value)]
    finite = [end for end in ends if end is not None and math.isfinite(end)]
    return (min(finite), max(finite)) if finite and max(finite) > min(finite) else None


def _cell_view(
    system: str, column: Column, cell: Cell, span: tuple[float, float] | None, truth: float | None
) -> CellView:
    if cell.value is None:
        return CellView(cell.text, None, tip=f"{column.value.label} of {system[:60]}\n{cell.status}: {cell.reason}")
    by_gap = column.value.direction == "closer_to_gt" and cell.gap is not None
    return CellView(
        text=cell.text,
        value=cell.value,
        sort=cell.gap if by_gap else cell.value,
        tip=_cell_tip(system, column, cell),
        mark=cell.mark,
        interval_text=cell.interval_text,
        bar=_bar(cell, span, truth),
        partial=cell.coverage_text,
        watermark=cell.watermark,
    )


def _cell_tip(system: str, column: Column, cell: Cell) -> str:
    unit = f" {column.value.unit}" if column.value.unit else ""
    lines = [f"{column.value.label} of {system[:60]}: {cell.text}{unit}"]
    if cell.interval_text and cell.level is not None:
        lines.append(f"{100 * cell.level:g} % interval {cell.interval_text}, {cell.method}")
    people = f", {cell.n_identities} people" if cell.n_identities else ""
    frames = f", {100 * cell.frame_coverage:.0f} % of their frames" if cell.frame_coverage is not None else ""
    lines.append(f"{cell.n_scored} of {cell.n_planned} clips{frames}{people}")
    if cell.gap is not None:
        lines.append(f"distance to ground truth {format_number(cell.gap, column.value.decimals)}")
    lines += [text for text in (cell.watermark and f"small sample: {cell.watermark}", cell.reason) if text]
    return "\n".join([*lines, f"protocol {column.protocol.name}"])


def _bar(cell: Cell, span: tuple[float, float] | None, truth: float | None) -> Bar | None:
    if span is None or cell.value is None or cell.low is None or cell.high is None:
        return None
    low, high = span

    def at(value: float) -> float:
        # Two units are kept free at the right for the width of the mark itself.
        return 98.0 * (min(max(value, low), high) - low) / (high - low)

    left, right = at(cell.low), at(cell.high)
    reference = None if truth is None else f"{at(truth) + 0.6:.1f}"
    return Bar(f"{left:.1f}", f"{max(right - left + 2, 2):.1f}", f"{at(cell.value):.1f}", reference)


def comparison_views(record: RunRecord) -> list[dict[str, Any]]:
    """One line per pair of systems and value, without protocols that could not be computed."""
    columns = {(column.protocol.name, column.value.key): column for column in columns_of(record)}
    absent = {protocol.name for protocol in record.protocols if protocol.status != "ok"}
    kept = [entry for entry in record.comparisons if entry.protocol not in absent]
    entries = sorted(kept, key=lambda entry: _place(columns, entry))
    return [_comparison(columns.get((entry.protocol, entry.key)), entry) for entry in entries]


def _place(columns: dict[tuple[str, str], Column], entry: ComparisonEntry) -> int:
    keys = list(columns)
    return keys.index((entry.protocol, entry.key)) if (entry.protocol, entry.key) in columns else len(keys)


def _comparison(column: Column | None, entry: ComparisonEntry) -> dict[str, Any]:
    digits = column.value.decimals if column else 3
    verdicts = {
        "a_better": ("win", entry.system_a),
        "b_better": ("win", entry.system_b),
        "tie": ("tie", "tie"),
        "undefined": ("none", "undefined"),
    }
    kind, text = verdicts[entry.verdict]
    interval = entry.interval
    known = entry.difference is not None and math.isfinite(entry.difference)
    distance = "difference of distances to the ground truth\n"
    tip = f"{distance if column and column.value.direction == 'closer_to_gt' else ''}{entry.reason}".strip()
    return {
        "label": column.value.label if column else entry.key,
        "tip": f"{tip}\nprotocol {entry.protocol}".strip(),
        "a": entry.system_a,
        "b": entry.system_b,
        "difference": format_number(entry.difference, digits)
        if known and entry.difference is not None
        else "undefined",
        "sort": entry.difference if known else "",
        "interval": f"[{format_number(interval.low, digits)}, {format_number(interval.high, digits)}]"
        if interval
        else "",
        "p": format_p(entry.p_corrected),
        "p_sort": entry.p_corrected if entry.p_corrected is not None else "",
        "n": entry.n_pairs,
        "kind": kind,
        "verdict": text,
    }


def format_p(value: float | None) -> str:
    """A p value with three digits.

    >>> format_p(0.0004), format_p(0.25), format_p(None)
    ('< 0.001', '0.250', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def check_matrix(record: RunRecord) -> dict[str, Any]:
    """Anchor checks as rows of values and columns of anchor pairs, and the failed ones in words."""
    columns = {(column.protocol.name, column.value.key): column for column in columns_of(record)}
    pairs = list(dict.fromkeys((check.better, check.worse) for check in record.checks))
    found = {(check.protocol, check.key, check.better, check.worse): check for check in record.checks}
    present = {(check.protocol, check.key) for check in record.checks}
    rows = [
        {
            "label": column.value.label,
            "protocol": f"protocol {protocol}",
            "cells": [_check(found.get((protocol, key, *pair))) for pair in pairs],
        }
        for (protocol, key), column in columns.items()
        if (protocol, key) in present and column.protocol.status == "ok"
    ]
    failed = [
        {
            "label": columns[check.protocol, check.key].value.label
            if (check.protocol, check.key) in columns
            else check.key,
            "text": f"{check.better} should come out better than {check.worse}: {check.reason}",
        }
        for check in record.checks
        if check.verdict == "fail"
    ]
    heads = [f"{better} > {worse}" for better, worse in pairs]
    if len({better for better, _ in pairs}) == 1:
        # The better anchor is named once when it is the same in all columns.
        heads = [heads[0], *(f"> {worse}" for _, worse in pairs[1:])]
    return {"heads": heads, "rows": rows, "failed": failed}


def _check(check: AnchorCheck | None) -> dict[str, str] | None:
    if check is None:
        return None
    return {
        "verdict": check.verdict,
        "sign": CHECK_SIGNS[check.verdict],
        "word": CHECK_WORDS[check.verdict],
        "tip": f"{check.better} must come out better than {check.worse}\n{check.reason}",
    }
