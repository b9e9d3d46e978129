"""Tables as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from emo_bench.compare.join_runs import Block
from emo_bench.record.columns import DIRECTION_WORDS
from emo_bench.record.run_data import RunData
from emo_bench.report.content import (
    Cell,
    Entries,
    Entry,
    Fact,
    Facts,
    Head,
    Listing,
    Material,
    Notes,
    Part,
    Section,
    Table,
    Text,
)
from emo_bench.report.figure_style import NamedFigure
from emo_bench.report.notes import (
    MARK_LEGEND,
    SYNTHETIC_NOTICE,
    coverage_sentence,
    failure_groups,
    run_warnings,
)
from emo_bench.report.results import results_tables
from emo_bench.report.sections import make_sections, section_kinds
from emo_bench.report.tables import build_tables
from emo_core.text import csv_cell, escape_markdown, markdown_code


def wide_csv(run: RunData) -> str:
    """The main table: one line per system, one column per value, full precision, empty where there is no number."""
    tables = build_tables(run.record)
    columns = [column for table in tables for column in table.columns]
    header = ["system", "anchor", *(f"{column.value.label} ({column.id})" for column in columns)]
    lines: list[list[str | float | int | bool | None]] = [list(header)]
    for index, system in enumerate(row.system for row in tables[0].rows) if tables else ():
        cells = [table.rows[index].cells[place] for table in tables for place in range(len(table.columns))]
        lines.append([system.name, system.anchor, *(cell.value for cell in cells)])
    return _csv(lines)


LONG_COLUMNS = (
    "system", "anchor", "protocol", "key", "label", "direction", "unit", "value", "ci_low", "ci_high", "ci_level",
    "ci_method", "gap_to_ground_truth", "n_scored", "n_planned", "n_identities", "status", "reason", "mark",
    "watermark",
)  # fmt: skip


def long_rows(run: RunData) -> list[dict[str, Any]]:
    """Every value of the run as a flat mapping, keys as in ``LONG_COLUMNS``."""
    found = []
    for table in build_tables(run.record):
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                entry = (
                    row.system.name, row.system.anchor, column.protocol.name, column.value.key, column.value.label,
                    column.value.direction, column.value.unit, cell.value, cell.low, cell.high, cell.level, cell.method,
                    cell.gap, cell.n_scored, cell.n_planned, cell.n_identities, cell.status, cell.reason, cell.mark,
                    cell.watermark,
                )  # fmt: skip
                found.append(dict(zip(LONG_COLUMNS, entry, strict=True)))
    return found


def long_csv(run: RunData) -> str:
    """Every value with its interval, counts, status and reason, one line each."""
    return _csv([list(LONG_COLUMNS), *([row[name] for name in LONG_COLUMNS] for row in long_rows(run))])


def _csv(lines: list[Any]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for line in lines:
        writer.writerow([csv_cell(value) for value in line])
    return stream.getvalue()


def tables_json(run: RunData, *, others: Sequence[Block] = ()) -> str:
    """Tables, coverage and warnings as JSON; numbers are numbers and what is missing is null with a status."""
    return json.dumps(_json_value(run, others), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def section_csv(table: Table) -> str:
    """A section's table with full precision, columns named by their keys."""
    heads = ["system", "anchor", *(head.key or head.label for head in table.heads)]
    return _csv([heads, *([row.label, row.anchor, *(cell.value for cell in row.cells)] for row in table.rows)])


def section_data(material: Material) -> dict[str, list[dict[str, Any]]]:
    """The tables of all sections that are data, by the section's name."""
    found = {}
    for kind in section_kinds():
        made = kind.build(material) if kind.data else ()
        for table in [table for one in made for table in one.tables][:1]:
            names = [head.key or head.label for head in table.heads]
            found[kind.name] = [
                {
                    "system": row.label,
                    "anchor": row.anchor,
                    **{name: cell.value for name, cell in zip(names, row.cells, strict=True)},
                }
                for row in table.rows
            ]
    return found


def _json_value(run: RunData, others: Sequence[Block] = ()) -> dict[str, Any]:
    record = run.record
    return {
        "name": record.name,
        "title": record.title,
        "synthetic": record.synthetic,
        "status": record.status,
        "dataset": {"name": record.dataset_name, "sha256": record.digests.dataset, "clips": len(record.clips)},
        "coverage": record.counts.model_dump(),
        "failures": [
            {"code": group.code, "count": group.count, "systems": list(group.systems), "example": group.example}
            for group in failure_groups(record)
        ],
        "warnings": list(run_warnings(run)),
        "values": [_finite(row) for row in long_rows(run)],
        "comparisons": [_finite(entry.model_dump()) for entry in record.comparisons],
        "anchor_checks": [check.model_dump() for check in record.checks],
        **section_data(Material(run)),
        **({"other_runs": [{"why_apart": b.why, **_json_value(b.run)} for b in others]} if others else {}),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown_report(material: Material) -> str:
    """The tables with what a reader must know, as GitHub's Markdown."""
    run = material.run
    record = run.record
    parts = [f"# {escape_markdown(record.title or record.name)}", ""]
    if record.synthetic:
        parts += [f"> **{escape_markdown(SYNTHETIC_NOTICE)}**", ""]
    parts += [coverage_sentence(record), ""]
    for group in failure_groups(record):
        who = escape_markdown(", ".join(group.systems))
        parts.append(f"- {group.count} × {markdown_code(group.code)} ({who}): {escape_markdown(group.example)}")
    parts += [f"- {escape_markdown(warning)}" for warning in run_warnings(run)]
    if parts[-1].startswith("- "):
        parts.append("")
    for table in results_tables(record):
        parts += table_lines(table, "##")
    for section in make_sections(material, "md"):
        parts += section_lines(section)
    legend = "; ".join(f"{_MARKS[mark].format('1.0')} {words}" for mark, words in MARK_LEGEND.items())
    parts.append(
        f"{legend}. ↑ {DIRECTION_WORDS['higher']}, ↓ {DIRECTION_WORDS['lower']}, →GT {DIRECTION_WORDS['closer_to_gt']}."
    )
    return "\n".join(parts) + "\n"


_MARKS = {"": "{}", "best": "**{}**", "second": "<u>{}</u>", "tie": "{} ≈"}


def section_lines(section: Section) -> list[str]:
    """A section as lines of Markdown; figures are files beside it."""
    parts = [line for part in section.parts for line in _part_lines(part)]
    return [f"## {escape_markdown(section.title)}", "", *parts]


def _part_lines(part: Part) -> list[str]:
    """A part of a section; players and rankings are for a page only."""
    match part:
        case Table():
            return table_lines(part.for_print, "###")
        case Text():
            return [escape_markdown(part.text), ""]
        case Notes():
            return [*(f"- {escape_markdown(item)}" for item in part.items), ""]
        case NamedFigure():
            caption = escape_markdown(part.caption)
            return [f"![{caption}](figures/{part.name}.{part.file_kind})", "", f"*{caption}*", ""]
        case Facts():
            return [*map(_fact_line, part.items), ""]
        case Entries():
            return [line for entry in part.items for line in _entry_lines(entry)]
        case Listing():
            # Indented, so that no line of the text can end the listing.
            return [f"{escape_markdown(part.title)}:", "", *(f"    {line}" for line in part.text.splitlines()), ""]
    return []


def _fact_line(fact: Fact) -> str:
    code = f" {markdown_code(fact.code)}" if fact.code else ""
    return f"- {escape_markdown(fact.label)}: {escape_markdown(fact.text)}{code}"


def _entry_lines(entry: Entry) -> list[str]:
    head = f"### {markdown_code(entry.name)} {escape_markdown(entry.title)} ({escape_markdown(entry.tag)})"
    return [head, "", *map(_fact_line, entry.facts), ""]


def table_lines(table: Table, level: str) -> list[str]:
    """A table with its headline and notes as lines of Markdown."""
    notes = [f"- {escape_markdown(note)}" for note in table.notes]
    if table.protocols:
        notes.append(f"- Protocols: {', '.join(map(markdown_code, table.protocols))}.")
    title = [f"{level} {escape_markdown(table.title)}", ""] if table.title else []
    return [*title, *markdown_table(table), "", *([*notes, ""] if notes else [])]


def markdown_table(table: Table) -> list[str]:
    """One table as lines of Markdown."""
    heads = [escape_markdown(head.text) for head in (Head(table.first), *table.heads)]
    lines = ["| " + " | ".join(heads) + " |", "| :-- |" + " --: |" * len(table.heads)]
    for row in table.rows:
        name = escape_markdown(row.label)
        label = f"*{name}*" if row.anchor else name
        lines.append(f"| {label} | " + " | ".join(_markdown_cell(cell) for cell in row.cells) + " |")
    return lines


def _markdown_cell(cell: Cell) -> str:
    if cell.is_missing:
        return f"*{escape_markdown(cell.text)}*"
    text = _MARKS[cell.mark].format(escape_markdown(cell.text))
    if cell.interval_text:
        text += f" <sub>{cell.interval_text}</sub>"
    if cell.coverage_text:
        text += f" <sub>{cell.coverage_text}</sub>"
    return text + (" †" if cell.watermark else "")
