"""The tables of a report as plain data; every output format renders these and decides nothing itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emo_bench.record.columns import Column, columns_of, ordered_systems
from emo_bench.record.coverage import uneven_coverage
from emo_bench.record.schema import ComparisonEntry, ProtocolEntry, RunRecord, SystemEntry, ValueEntry
from emo_bench.report.content import Cell, Mark
from emo_core.text import format_number

MAIN = "main"


@dataclass(frozen=True)
class Row:
    """A system and its cells, in the order of the columns."""

    system: SystemEntry
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table of systems and values.

    Attributes:
        name: Short name for files and anchors: ``main``, ``other``, or a group of protocols such as ``motion``.
        title: Headline.
        columns: Values, in order.
        rows: Ground truth first, then the other anchors, then the systems of the suite.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def build_tables(record: RunRecord) -> tuple[Table, ...]:
    """The main table (primary values), one for each further group that protocols name, and the rest; no empty ones.

    Protocols that could not be computed at all make no columns; ``unavailable_protocols`` lists them.
    """
    columns = tuple(column for column in columns_of(record) if column.protocol.status == "ok")
    main = [column for column in columns if column.protocol.group == MAIN]
    groups = dict.fromkeys(
        (protocol.group, protocol.group_title)
        for protocol in (column.protocol for column in columns)
        if protocol.group != MAIN
    )
    parts = (
        (MAIN, "Main results", [column for column in main if column.value.primary]),
        *((group, title, [column for column in columns if column.protocol.group == group]) for group, title in groups),
        ("other", "Further values", [column for column in main if not column.value.primary]),
    )
    tables = [_table(record, name, title, chosen) for name, title, chosen in parts if chosen]
    return tuple(tables)


def unavailable_protocols(record: RunRecord) -> tuple[ProtocolEntry, ...]:
    """Protocols that the suite asked for and that could not be computed for any system."""
    return tuple(protocol for protocol in record.protocols if protocol.status != "ok")


STATUS_TEXTS = {"not_applicable": "n/a"}
"""How a status is written in a cell, where its word is too long."""


def _table(record: RunRecord, name: str, title: str, columns: Sequence[Column]) -> Table:
    systems = ordered_systems(record)
    marks = {column.id: rank_marks(record, column) for column in columns}
    entries = {(entry.system, entry.protocol, entry.key): entry for entry in record.values}
    rows = []
    for system in systems:
        cells = [
            cell_of(
                column,
                entries.get((system.name, column.protocol.name, column.value.key)),
                marks[column.id].get(system.name, ""),
            )
            for column in columns
        ]
        rows.append(Row(system, tuple(cells)))
    return Table(name, title, tuple(columns), tuple(rows))


def cell_of(column: Column, entry: ValueEntry | None, mark: Mark) -> Cell:
    """A value as a cell, or the reason why there is none."""
    if entry is None:
        return Cell(text="missing", status="missing", reason="the run holds no such value")
    if entry.value is None or not math.isfinite(entry.value):
        status = "undefined" if entry.status == "ok" else entry.status
        return Cell(
            text=STATUS_TEXTS.get(status, status),
            status=status,
            reason=entry.reason or "no finite value",
            n_scored=entry.n_scored,
            n_planned=entry.n_planned,
            n_identities=entry.n_identities,
        )
    digits = column.value.decimals
    interval = entry.interval
    ends = f"[{format_number(interval.low, digits)}, {format_number(interval.high, digits)}]" if interval else ""
    return Cell(
        text=format_number(entry.value, digits),
        value=entry.value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval_text=ends,
        level=interval.level if interval else None,
        method=interval.method if interval else "",
        reason=entry.reason,
        mark=mark,
        watermark=entry.watermark,
        gap=entry.gap_to_ground_truth,
        frame_coverage=entry.frame_coverage,
        n_scored=entry.n_scored,
        n_planned=entry.n_planned,
        n_identities=entry.n_identities,
    )


def rank_marks(record: RunRecord, column: Column) -> dict[str, Mark]:
    """Which systems are best and second best beyond doubt, and which are tied for the best.

    Only systems under test are ranked, never anchors. The best is marked when its paired difference to each of the
    others is significant after correction; the second best when it then beats each of the rest. Where the best cannot
    be told from others, all of those carry the mark of a tie. Nothing is marked where the systems' numbers rest on
    unequal shares of clips or frames, or where the paired differences say the opposite of the values.
    """
    if uneven_coverage(record, column) or is_contradicted(record, column):
        return {}
    order = _order(record, column)
    if len(order) < 2:
        return {}
    beats = _beats(record.comparisons, column)
    best, rest = order[0], order[1:]
    if not beats.known & {frozenset((best, name)) for name in rest}:
        return {}
    tied = [name for name in rest if (best, name) not in beats.pairs]
    if tied:
        return dict.fromkeys((best, *tied), "tie")
    marks: dict[str, Mark] = {best: "best"}
    second, others = rest[0], rest[1:]
    if others and all((second, name) in beats.pairs for name in others):
        marks[second] = "second"
    return marks


def is_contradicted(record: RunRecord, column: Column) -> bool:
    """Whether a system is significantly better, clip by clip, than the one with the best value.

    A mean may be next to the ground truth's although no clip is near its own: too much and too little cancel out.
    """
    order = _order(record, column)
    return any((name, order[0]) in _beats(record.comparisons, column).pairs for name in order[1:])


def _order(record: RunRecord, column: Column) -> list[str]:
    """Systems under test from the best value to the worst."""
    scores = _scores(record, column)
    return sorted(scores, key=lambda name: (scores[name], name))


def _scores(record: RunRecord, column: Column) -> dict[str, float]:
    """System -> number that is smaller for the better system."""
    ranked = {system.name for system in record.systems if not system.anchor}
    scores: dict[str, float] = {}
    for entry in record.values:
        if (entry.protocol, entry.key) != (column.protocol.name, column.value.key) or entry.system not in ranked:
            continue
        number = entry.gap_to_ground_truth if column.value.direction == "closer_to_gt" else entry.value
        if entry.status == "ok" and number is not None and math.isfinite(number):
            scores[entry.system] = -number if column.value.direction == "higher" else number
    return scores


@dataclass(frozen=True)
class _Beats:
    pairs: frozenset[tuple[str, str]]
    known: frozenset[frozenset[str]]


def _beats(comparisons: Sequence[ComparisonEntry], column: Column) -> _Beats:
    pairs, known = set(), set()
    for entry in comparisons:
        if (entry.protocol, entry.key) != (column.protocol.name, column.value.key) or entry.verdict == "undefined":
            continue
        known.add(frozenset((entry.system_a, entry.system_b)))
        if entry.verdict == "a_better":
            pairs.add((entry.system_a, entry.system_b))
        elif entry.verdict == "b_better":
            pairs.add((entry.system_b, entry.system_a))
    return _Beats(frozenset(pairs), frozenset(known))
