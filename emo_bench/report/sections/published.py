"""Tables from papers, in grey: never ranked with a run."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.report.content import Cell, Head, Material, Row, Section, Table, Text
from emo_bench.report.sections import section


@section("published", place=40)
def published(material: Material) -> Sequence[Section]:
    """One section for each table."""
    found = []
    for number, table in enumerate(material.published, start=1):
        view = table.view()
        words = f"{table.source}, {table.table}. Protocol {table.protocol}; never ranked with this run. {table.note}"
        words += f" The paper states: {table.stated_protocol}." if table.stated_protocol else ""
        words += f" Read from {table.read_from}." if table.read_from else ""
        rows = tuple(Row(row["system"], tuple(map(Cell, row["texts"])), anchor=True) for row in view["rows"])
        heads = tuple(Head(label) for label in view["labels"])
        shown = Table(f"published-{number}", "", heads, rows, quiet=True)
        found.append(Section(f"published-{number}", "Published numbers, not comparable", (Text(words), shown)))
    return found
