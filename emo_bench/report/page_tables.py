"""What the HTML page shows of tables, comparisons and anchor checks: plain data for the template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emo_bench.record.columns import Column, columns_of
from emo_bench.record.schema import AnchorCheck, ComparisonEntry, RunRecord
from emo_bench.report.content import Cell, Row, Table
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
    """A cell of the page: what it says, and its interval as a bar."""

    cell: Cell
    bar: Bar | None


@dataclass(frozen=True)
class RowView:
    """A line of a table; the first system under test has a line above it."""

    row: Row
    first_system: bool
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class TableView:
    """A table of the page."""

    table: Table
    rows: tuple[RowView, ...]
    notes: tuple[str, ...]


def table_views(tables: Sequence[Table]) -> tuple[TableView, ...]:
    """Tables that stand together on the page; what an earlier one has said already is not said again."""
    views: list[TableView] = []
    for table in tables:
        said = {note for earlier in views for note in earlier.notes}
        views.append(_table_view(table, tuple(note for note in table.notes if note not in said)))
    return tuple(views)


def _table_view(table: Table, notes: tuple[str, ...]) -> TableView:
    columns = list(zip(*(row.cells for row in table.rows), strict=True)) if table.rows else []
    truth = next((row.cells for row in table.rows if row.truth), None)
    spans = [_span(cells) for cells in columns]
    rows = []
    seen_system = False
    for row in table.rows:
        views = tuple(
            CellView(cell, _bar(cell, span, truth[i].value if truth else None))
            for i, (cell, span) in enumerate(zip(row.cells, spans, strict=True))
        )
        first = not row.anchor and not seen_system
        seen_system = seen_system or not row.anchor
        rows.append(RowView(row, first, views))
    return TableView(table, tuple(rows), notes)


def _span(cells: tuple[Cell, ...]) -> tuple[float, float] | None:
    ends = [end for cell in cells if cell.value is not None for end in (cell.low, cell.high, cell.value)]
    finite = [end for end in ends if end is not None and math.isfinite(end)]
    return (min(finite), max(finite)) if finite and max(finite) > min(finite) else None


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
    if kind == "win" and "clips that both have" in entry.reason:
        text = f"{text}, on {entry.n_pairs} clips"
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
