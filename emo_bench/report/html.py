"""The report as one HTML file that opens from disk: no network, no markup from data, everything inside."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from emo_bench.record.run_data import RunData
from emo_bench.report.content import Material, Part, Section, Table
from emo_bench.report.figure_style import NamedFigure, figure_bytes
from emo_bench.report.notes import (
    MARK_LEGEND,
    SYNTHETIC_NOTICE,
    coverage_sentence,
    failure_groups,
    run_stats,
    run_warnings,
)
from emo_bench.report.page_parts import Players
from emo_bench.report.page_tables import TableView, table_views
from emo_bench.report.results import results_tables
from emo_bench.report.sections import make_sections


def html_report(material: Material) -> str:
    """The whole page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    css, script = _template("report.css"), _template("report.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_template("report.html.j2"))
    sections = make_sections(material, "html")
    players = next((part for section in sections for part in section.parts if isinstance(part, Players)), None)
    return template.render(
        **_head(material.run),
        csp=content_policy(css, script),
        # Only these texts of our own, and JSON without any '<', enter the page as they are.
        css=Markup(css),  # noqa: S704
        js=Markup(script),  # noqa: S704
        players_json=Markup(_players_json(players)) if players else "",  # noqa: S704
        videos=[base64.b64encode(video).decode("ascii") for video in players.videos] if players else [],
        sections=[_section(section) for section in sections],
        nav=[("results", "Results"), *((f"section-{one.name}", one.nav) for one in sections if one.nav)],
        record=material.run.record,
    )


def content_policy(css: str, script: str) -> str:
    """A policy that allows exactly this style, this script, and images and videos from within the file."""

    def pin(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {pin(css)}; script-src {pin(script)}; "
        "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'"
    )


def _template(name: str) -> str:
    return (files("emo_bench.report") / "templates" / name).read_text(encoding="utf-8")


def _script_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _players_json(players: Players) -> str:
    return _script_json({"clips": [asdict(clip) for clip in players.clips], "fps": players.fps})


def _section(section: Section) -> dict[str, Any]:
    """A section as the template takes it: each part with its kind."""
    # What an earlier table of the section has said already is not said again.
    views = {table.name: view for table, view in zip(section.tables, table_views(section.tables), strict=True)}
    parts = [{"kind": type(part).__name__, "part": part, "view": _view(part, views)} for part in section.parts]
    quiet = any(table.quiet for table in section.tables)
    figures = [part for part in parts if part["kind"] == "NamedFigure"]
    return {"section": section, "quiet": quiet, "parts": parts, "all_figures": len(figures) == len(parts)}


def _view(part: Part, views: Mapping[str, TableView]) -> Any:
    """What the template needs beyond the part itself."""
    if isinstance(part, Table):
        return views[part.name]
    if isinstance(part, NamedFigure):
        data = base64.b64encode(figure_bytes(part.figure, part.file_kind)).decode("ascii")
        return f"data:{'image/png' if part.photo else 'image/svg+xml'};base64,{data}"
    return None


def _head(run: RunData) -> dict[str, Any]:
    """Title, coverage and results."""
    record = run.record
    tables = table_views(results_tables(record))
    marks = {cell.mark for view in tables for row in view.table.rows for cell in row.cells}
    planned = max(record.counts.planned, 1)
    good, bad = (round(1000 * count / planned) for count in (record.counts.done, record.counts.failed))
    return {
        "title": record.title or record.name,
        "synthetic_notice": SYNTHETIC_NOTICE,
        "stats": run_stats(record),
        "coverage": {"sentence": coverage_sentence(record), "good": good, "bad": good + bad if bad else 0},
        "failures": failure_groups(record),
        "warnings": run_warnings(run),
        "tables": tables,
        "legend": [(mark, words) for mark, words in MARK_LEGEND.items() if mark in marks],
    }
