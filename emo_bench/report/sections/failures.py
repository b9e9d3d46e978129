"""What failed, and why."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.report.content import Cell, Head, Material, Notes, Row, Section, Table
from emo_bench.report.notes import failure_groups
from emo_bench.report.sections import section

MAX_ROWS = 500
HEADS = (
    Head("System", words="name"), Head("Clip", words="name"), Head("Part", words="name"), Head("Status", words="name"),
    Head("Reason", words="prose"),
)  # fmt: skip


@section("failures", place=120, formats=("html",))
def failures(material: Material) -> Sequence[Section]:
    """A row for each failure; nothing when there is none."""
    found = material.run.record.failures
    rows = tuple(
        Row(
            item.stage,
            (Cell(item.system), Cell(item.clip), Cell(item.part), Cell(item.code, badge="bad"), Cell(item.reason)),
        )
        for item in found[:MAX_ROWS]
    )
    beyond = len(found) - len(rows)
    notes = (f"{beyond} more failures are in record.json.",) if beyond else ()
    table = Table("failures", "", HEADS, rows, first="Stage", notes=notes, layout="list")
    return (Section("failures", "Failures", (table,), main=True, nav="Failures"),) if rows else ()


@section("failure-groups", place=120, formats=("pdf",))
def grouped(material: Material) -> Sequence[Section]:
    """A sentence for each kind of failure, for print; Markdown has them at its head."""
    sentences = tuple(
        f"{group.count} × {group.code} ({', '.join(group.systems)}): {group.example}"
        for group in failure_groups(material.run.record)
    )
    return (Section("failures", "Failures", (Notes(sentences),)),) if sentences else ()
