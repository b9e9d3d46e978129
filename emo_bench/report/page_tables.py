"""Tables of results as the page shows them: intervals as bars on the column's range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emo_bench.report.content import Cell, Row, Table


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
    spans = [span_of(cells) for cells in columns]
    rows = []
    seen_system = False
    for row in table.rows:
        views = tuple(
            CellView(cell, bar_of(cell, span, truth[i].value if truth else None))
            for i, (cell, span) in enumerate(zip(row.cells, spans, strict=True))
        )
        first = not row.anchor and not seen_system
        seen_system = seen_system or not row.anchor
        rows.append(RowView(row, first, views))
    return TableView(table, tuple(rows), notes)


def span_of(cells: Sequence[Cell]) -> tuple[float, float] | None:
    """The range of a column's values and intervals; None when there is none."""
    ends = [end for cell in cells if cell.value is not None for end in (cell.low, cell.high, cell.value)]
    finite = [end for end in ends if end is not None and math.isfinite(end)]
    return (min(finite), max(finite)) if finite and max(finite) > min(finite) else None


def bar_of(cell: Cell, span: tuple[float, float] | None, truth: float | None) -> Bar | None:
    """A cell's interval within the range of its column; None without an interval."""
    if span is None or cell.value is None or cell.low is None or cell.high is None:
        return None
    low, high = span

    def at(value: float) -> float:
        # Two units are kept free at the right for the width of the mark itself.
        return 98.0 * (min(max(value, low), high) - low) / (high - low)

    left, right = at(cell.low), at(cell.high)
    reference = None if truth is None else f"{at(truth) + 0.6:.1f}"
    return Bar(f"{left:.1f}", f"{max(right - left + 2, 2):.1f}", f"{at(cell.value):.1f}", reference)
