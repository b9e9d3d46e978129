"""The report for print, set by typst; all data travel in a JSON file, so that no name can become source code."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

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
from emo_bench.report.figure_style import NamedFigure, figure_bytes
from emo_bench.report.notes import SYNTHETIC_NOTICE, coverage_sentence, run_stats, run_warnings
from emo_bench.report.results import results_tables
from emo_bench.report.sections import make_sections
from emo_bench.report.tables import build_tables
from emo_core.errors import EmoBenchError
from emo_core.text import counted, shortened

COLUMNS_ACROSS = 6
"""Wider tables are printed in parts."""

LONGEST_NAME = 60
TALLEST_PHOTO = 72.0
TALLEST_DRAWING = 125.0
"""Heights of figures in percent of the text's width; a drawing may take a page rather than become too small to read."""

LEGEND = (
    "Bold: best, significantly better than every other system. Underlined: second best, significantly better than the "
    "rest. ≈: not distinguishable from the best. ↑ higher, ↓ lower, →GT closer to the ground truth’s value is better. "
    "Anchors are not ranked."
)


def pdf_report(material: Material) -> bytes:
    """The bytes of the PDF; the same run gives the same bytes.

    Raises:
        EmoBenchError: when typst refuses the document, which no data should be able to cause.
    """
    import typst

    sections = make_sections(material, "pdf")
    with tempfile.TemporaryDirectory(prefix="emo-bench-pdf-") as name:
        folder = Path(name)
        data = pdf_data(material, sections)
        images = []
        for index, item in enumerate(figure for section in sections for figure in section.figures):
            # File names are numbers: nothing of a run becomes part of a path.
            file = f"figure-{index}.{item.file_kind}"
            (folder / file).write_bytes(figure_bytes(item.figure, item.file_kind))
            images.append({"file": file, "caption": item.caption, "width": printed_width(item)})
        data["pictures"] = images
        (folder / "data.json").write_text(json.dumps(_printable(data), ensure_ascii=False), encoding="utf-8")
        source = folder / "report.typ"
        source.write_text((files("emo_bench.report") / "templates" / "report.typ").read_text(encoding="utf-8"))
        try:
            result = typst.Compiler(str(source), root=str(folder), ignore_system_fonts=True).compile(
                format="pdf", timestamp=0
            )
        except typst.TypstError as error:
            raise EmoBenchError("the PDF cannot be set", found=str(error), fix="report this with the record") from None
    if not isinstance(result, bytes):
        raise EmoBenchError("the PDF cannot be set", expected="one file", found=type(result).__name__)
    return result


def printed_width(item: NamedFigure) -> float:
    """Percent of the text's width; what is too tall gets narrower."""
    wide, high = item.figure.get_size_inches()
    tallest = TALLEST_PHOTO if item.photo else TALLEST_DRAWING
    return min(100.0 if item.full and not item.photo else 68.0, round(tallest * float(wide / high), 1))


def _printable(value: Any) -> Any:
    """Texts without control characters and characters that turn the writing direction."""
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in value) or " "
    if isinstance(value, dict):
        return {key: _printable(item) if item != "" else "" for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_printable(item) for item in value]
    return value


def pdf_data(material: Material, sections: Sequence[Section]) -> dict[str, Any]:
    """Everything that the PDF says but its figures, as plain values."""
    run = material.run
    record = run.record
    title = record.title or record.name
    return {
        "title": _short(title, 160),
        "short_title": _short(title, 80),
        "eyebrow": f"{record.name}, {record.dataset_name}, {record.timings.started[:10]}",
        "version": record.provenance.emo_bench,
        "synthetic": record.synthetic,
        "synthetic_notice": SYNTHETIC_NOTICE,
        "abstract": _abstract(run),
        "stats": run_stats(record),
        "warnings": run_warnings(run),
        "tables": _table_parts(results_tables(record)),
        "legend": LEGEND,
        "sections": _sections(sections),
    }


def _sections(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Sections as typst takes them; a figure is the number of its image."""
    numbers = count()
    found = []
    for section in sections:
        parts = [printed for part in section.parts for printed in _part(part, numbers)]
        quiet = any(table.quiet for table in section.tables)
        found.append({"title": _short(section.title, 160), "main": section.main, "quiet": quiet, "parts": parts})
    return found


def _part(part: Part, numbers: Iterator[int]) -> list[dict[str, Any]]:
    """A part of a section; players and rankings are for a page only."""
    match part:
        case Table(layout="results"):
            return [{"kind": "table", **piece} for piece in _table_parts([part])]
        case Table():
            return [{"kind": "list", **_list(part.for_print)}]
        case Text():
            return [{"kind": "text", "text": _short(part.text, 900)}]
        case Notes():
            return [{"kind": "notes", "lines": [_short(item, 900) for item in part.items]}]
        case NamedFigure():
            return [{"kind": "figure", "number": next(numbers)}]
        case Facts():
            return [{"kind": "facts", "facts": [[fact.label, _fact(fact)] for fact in part.items]}]
        case Entries():
            return [{"kind": "entries", "entries": [_entry(entry) for entry in part.items]}]
        case Listing():
            return [{"kind": "listing", "title": part.title, "text": part.text}]
    return []


def _list(table: Table) -> dict[str, Any]:
    heads = (Head(table.first, words="name"), *table.heads)
    rows = [
        [
            shortened(row.label, LONGEST_NAME),
            *(
                _short(cell.text, 900) if head.words == "prose" else shortened(cell.text, LONGEST_NAME)
                for head, cell in zip(table.heads, row.cells, strict=True)
            ),
        ]
        for row in table.rows
    ]
    columns = [{"label": head.text, "words": head.words} for head in heads]
    return {"title": table.title, "columns": columns, "rows": rows, "notes": list(table.notes)}


def _fact(fact: Fact) -> str:
    return f"{fact.text} {_short(fact.code, 17)}" if fact.code else fact.text


def _entry(entry: Entry) -> dict[str, Any]:
    details = " ".join(f"{fact.label}: {_fact(fact).rstrip('.')}." for fact in entry.facts)
    return {"name": entry.name, "title": entry.title, "off": entry.off, "tag": entry.tag, "details": details}


def _table_parts(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Tables cut to the width of a page; what an earlier one has said already is not said again."""
    said: set[str] = set()
    found = []
    for table in _merged(tables):
        found += _parts(replace(table, notes=tuple(note for note in table.notes if note not in said)))
        said |= set(table.notes)
    return found


def _short(text: str, longest: int = LONGEST_NAME) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _abstract(run: RunData) -> list[str]:
    record = run.record
    tested = [system.name for system in record.systems if not system.anchor]
    people = len({clip.identity for clip in record.clips})
    names = _short(", ".join(tested), 200)
    sentences = [
        f"This report evaluates {counted(len(tested), 'system')}{f' ({names})' if tested else ''} and "
        f"{counted(len(record.systems) - len(tested), 'anchor')} on {counted(len(record.clips), 'clip')} of "
        f"{counted(people, 'person', 'people')} from {record.dataset_name}.",
        coverage_sentence(record),
    ]
    best = [
        (column.value.label, row.system.name)
        for table in build_tables(record)
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
        if cell.mark == "best"
    ]
    for name in dict.fromkeys(system for _, system in best):
        labels = ", ".join(label for label, system in best if system == name)
        sentences.append(
            f"{shortened(name, LONGEST_NAME)} is significantly better than every other system in {labels}."
        )
    if len(tested) > 1 and not best:
        sentences.append("No system is significantly better than all others in any value.")
    passed, failed, tied = (sum(check.verdict == kind for check in record.checks) for kind in ("pass", "fail", "tie"))
    if record.checks:
        sentences.append(
            f"Of the {passed + failed + tied} anchor checks that apply, {passed} pass, {failed} fail and {tied} end in "
            "a tie; a metric that does not pass one cannot be trusted with that kind of error on this data."
        )
    return sentences


def _merged(tables: Sequence[Table]) -> list[Table]:
    """The smaller tables as one where they fit side by side, to save paper."""
    main, rest = list(tables[:1]), tables[1:]
    heads = tuple(head for table in rest for head in table.heads)
    if len(rest) < 2 or len(heads) > COLUMNS_ACROSS:
        return [*main, *rest]
    rows = tuple(
        replace(lines[0], cells=tuple(cell for line in lines for cell in line.cells))
        for lines in zip(*(table.rows for table in rest), strict=True)
    )
    title = " and ".join([rest[0].title, *(table.title.lower() for table in rest[1:])])
    notes = tuple(dict.fromkeys(note for table in rest for note in table.notes))
    return [*main, Table("rest", title, heads, rows, notes=notes)]


def _parts(table: Table) -> list[dict[str, Any]]:
    # Parts of equal width: a last part of one column would waste half a page.
    across = max(1, math.ceil(len(table.heads) / max(1, math.ceil(len(table.heads) / COLUMNS_ACROSS))))
    starts = range(0, len(table.heads), across)
    continued = f"{table.title}, continued" if table.title else ""
    return [
        {
            "title": table.title if start == 0 else continued,
            "first": table.first,
            "quiet": table.quiet,
            "columns": [
                {"label": head.label, "arrow": head.arrow, "unit": head.unit}
                for head in table.heads[start : start + across]
            ],
            "rows": _rows(table, start, across),
            "notes": list(table.notes) if start == starts[-1] else [],
        }
        for start in starts
    ]


def _rows(table: Table, start: int, across: int) -> list[dict[str, Any]]:
    found = []
    seen = False
    for row in table.rows:
        first = not row.anchor and not seen
        seen = seen or not row.anchor
        cells = [_cell(cell) for cell in row.cells[start : start + across]]
        found.append(
            {"name": shortened(row.label, LONGEST_NAME), "anchor": row.anchor, "first_system": first, "cells": cells}
        )
    return found


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "text": cell.text,
        "missing": cell.is_missing,
        "mark": cell.mark,
        "interval": cell.interval_text,
        "partial": cell.coverage_text,
        "dagger": bool(cell.watermark),
    }
