"""Every pair of systems, compared on the same clips."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emo_bench.record.columns import Column, columns_of
from emo_bench.record.coverage import is_on_shared_clips
from emo_bench.record.schema import ComparisonEntry, RunRecord
from emo_bench.report.content import Cell, Head, Material, Row, Section, Table, Text
from emo_bench.report.sections import section
from emo_core.text import format_number

HEADS = (
    Head("A", words="name"), Head("B", words="name"), Head("A − B"), Head("Interval"), Head("p, corrected"),
    Head("Pairs"), Head("Verdict", words="name"),
)  # fmt: skip
ABOUT = (
    "Paired differences on the same clips. A winner is named only where the corrected test is significant; the rest "
    "are ties."
)
GAPS = (
    " For values that should be close to the ground truth’s ({labels}), A − B is the difference of the distances to it."
)


@section("comparisons", place=50, formats=("html", "pdf"))
def comparisons(material: Material) -> Sequence[Section]:
    """A row for each pair of systems and value; nothing when no systems were compared."""
    record = material.run.record
    rows = comparison_rows(record)
    if not rows:
        return ()
    compared = {row.label for row in rows}
    labels = [c.value.label for c in columns_of(record) if c.value.direction == "closer_to_gt"]
    gaps = ", ".join(dict.fromkeys(label for label in labels if label in compared))
    about = ABOUT + (GAPS.format(labels=gaps) if gaps else "")
    table = Table(
        "comparisons", "", HEADS, rows, first="Value", layout="list", groups="All values", printed=45,
        cut="{n} more comparisons are in table.json.",
    )  # fmt: skip
    return (Section("comparisons", "System against system", (Text(about), table), main=True, nav="Comparisons"),)


def comparison_rows(record: RunRecord) -> tuple[Row, ...]:
    """A row for each pair of systems and value, in the order of the columns, without protocols not computed."""
    columns = {(column.protocol.name, column.value.key): column for column in columns_of(record)}
    places = {key: place for place, key in enumerate(columns)}
    absent = {protocol.name for protocol in record.protocols if protocol.status != "ok"}
    kept = [entry for entry in record.comparisons if entry.protocol not in absent]
    kept.sort(key=lambda entry: places.get((entry.protocol, entry.key), len(places)))
    return tuple(_row(columns.get((entry.protocol, entry.key)), entry) for entry in kept)


def _row(column: Column | None, entry: ComparisonEntry) -> Row:
    digits = column.value.decimals if column else 3
    label = column.value.label if column else entry.key
    interval = entry.interval
    ends = f"[{format_number(interval.low, digits)}, {format_number(interval.high, digits)}]" if interval else ""
    cells = (
        Cell(entry.system_a),
        Cell(entry.system_b),
        _difference(entry, digits),
        Cell(ends, sort=interval.low if interval else None),
        Cell(format_p(entry.p_corrected), entry.p_corrected),
        Cell(str(entry.n_pairs), entry.n_pairs),
        _verdict(entry),
    )
    gaps = column is not None and column.value.direction == "closer_to_gt"
    lines = ("difference of distances to the ground truth" if gaps else "", entry.reason, f"protocol {entry.protocol}")
    tip = "\n".join(line for line in lines if line)
    return Row(label, cells, tip=tip, group=label, minor=entry.verdict == "undefined")


def _difference(entry: ComparisonEntry, digits: int) -> Cell:
    if entry.difference is None or not math.isfinite(entry.difference):
        return Cell("undefined")
    return Cell(format_number(entry.difference, digits), entry.difference)


def _verdict(entry: ComparisonEntry) -> Cell:
    if entry.verdict in ("tie", "undefined"):
        return Cell(entry.verdict, badge="tied" if entry.verdict == "tie" else "none")
    winner = entry.system_a if entry.verdict == "a_better" else entry.system_b
    return Cell(f"{winner}, on {entry.n_pairs} clips" if is_on_shared_clips(entry) else winner, badge="win")


def format_p(value: float | None) -> str:
    """A p value with three digits.

    >>> format_p(0.0004), format_p(0.25), format_p(None)
    ('< 0.001', '0.250', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
