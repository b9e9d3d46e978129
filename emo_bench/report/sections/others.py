"""Runs that cannot stand in the table of the first, each in tables of its own with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.report.content import Material, Section, Text
from emo_bench.report.notes import coverage_sentence
from emo_bench.report.results import results_tables
from emo_bench.report.sections import section


@section("others", place=30)
def others(material: Material) -> Sequence[Section]:
    """One section for each of them."""
    found: list[Section] = []
    for number, block in enumerate(material.others, start=2):
        record = block.run.record
        words = (
            Text(f"Not comparable with the first table: {block.why}."),
            Text(coverage_sentence(record)),
        )
        tables = results_tables(record, suffix=f"-{number}")
        empty = () if tables else (Text("These runs hold no values."),)
        title = f"Another table: {record.title or record.name}"
        nav = "" if found else "Other runs"
        found.append(Section(f"others-{number}", title, (*words, *empty, *tables), nav=nav))
    return found
