"""The report as one HTML file that opens from disk: no network, no markup from data, everything inside."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from emo_bench.compare.join_runs import Block
from emo_bench.record.columns import DIRECTION_WORDS
from emo_bench.record.published import PublishedTable
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import RunRecord
from emo_bench.report.content import Material, Notes, Section, Table, Text
from emo_bench.report.figure_style import NamedFigure, figure_bytes
from emo_bench.report.notes import MARK_LEGEND, SYNTHETIC_NOTICE, coverage_sentence, failure_groups, run_warnings
from emo_bench.report.page_clips import extremes, per_clip, players
from emo_bench.report.page_tables import check_matrix, comparison_views, table_views
from emo_bench.report.results import head_of, results_tables
from emo_bench.report.sections import make_sections

MAX_FAILURE_LINES = 500


@dataclass(frozen=True)
class PageFigure:
    """An image of the page.

    Attributes:
        data: Bytes of an SVG or PNG file.
        kind: ``svg`` or ``png``.
        caption: What it shows.
        full: Whether it takes the whole width.
        photo: Whether it shows video frames, which must keep their colours in the dark.
    """

    data: bytes
    kind: str
    caption: str
    full: bool = False
    photo: bool = False


def html_report(
    run: RunData,
    *,
    figures: Sequence[PageFigure] = (),
    published: Sequence[PublishedTable] = (),
    others: Sequence[Block] = (),
) -> str:
    """The whole page.

    Args:
        run: The run.
        figures: Images to show.
        published: Tables of papers, shown apart and never ranked.
        others: Runs that cannot stand in the same table, with the reason.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    css, script = _template("report.css"), _template("report.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_template("report.html.j2"))
    record = run.record
    shown = players(run)
    sections = make_sections(Material(run, others, published))
    context = _context(run, shown_clips=[clip["name"] for clip in shown["clips"]] if shown else [])
    return template.render(
        **context,
        csp=content_policy(css, script),
        # Only these texts of our own, and JSON without any '<', enter the page as they are.
        css=Markup(css),  # noqa: S704
        js=Markup(script),  # noqa: S704
        players=shown,
        players_json=Markup(_script_json({"clips": shown["clips"], "fps": shown["fps"]})) if shown else "",  # noqa: S704
        figures=[_figure(figure) for figure in figures],
        sections=[_section(section) for section in sections],
        nav=_nav(context, figures=bool(figures), clips=bool(shown), others=bool(others)),
        record=record,
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


def _figure(figure: PageFigure) -> dict[str, Any]:
    kind = {"svg": "image/svg+xml", "png": "image/png"}[figure.kind]
    source = f"data:{kind};base64,{base64.b64encode(figure.data).decode('ascii')}"
    return {"src": source, "caption": figure.caption, "full": figure.full, "photo": figure.photo}


def _section(section: Section) -> dict[str, Any]:
    """A section as the template takes it: each part with its kind."""
    views = iter(table_views(section.tables))
    parts: list[dict[str, Any]] = []
    for part in section.parts:
        if isinstance(part, Table):
            parts.append({"kind": "table", "view": next(views)})
        elif isinstance(part, Text):
            parts.append({"kind": "text", "text": part.text})
        elif isinstance(part, Notes):
            parts.append({"kind": "notes", "lines": part.items})
        else:
            parts.append({"kind": "figure", "figure": _figure(page_figure(part))})
    quiet = any(table.quiet for table in section.tables)
    return {"name": section.name, "title": section.title, "quiet": quiet, "parts": parts}


def page_figure(figure: NamedFigure) -> PageFigure:
    """A figure as the page takes it."""
    kind = figure.picture_kind
    return PageFigure(figure_bytes(figure.figure, kind), kind, figure.caption, figure.full, figure.photo)


def _nav(context: dict[str, Any], *, figures: bool, clips: bool, others: bool) -> list[tuple[str, str]]:
    present = (
        ("results", "Results", True),
        ("section-others-2", "Other runs", others),
        ("comparisons", "Comparisons", bool(context["comparisons"])),
        ("checks", "Anchor checks", bool(context["checks"]["rows"])),
        ("clips", "Clips", clips),
        ("extremes", "Worst and best", bool(context["extremes"])),
        ("figures", "Figures", figures),
        ("per-clip", "Every clip", bool(context["per_clip"]["rows"])),
        ("failures", "Failures", bool(context["failed_units"])),
        ("protocols", "Protocols", True),
        ("provenance", "Provenance", True),
    )
    return [(anchor, label) for anchor, label, shown in present if shown]


def _context(run: RunData, *, shown_clips: Sequence[str]) -> dict[str, Any]:
    record = run.record
    comparisons = comparison_views(record)
    tables = table_views(results_tables(record))
    marks = {cell.mark for view in tables for row in view.table.rows for cell in row.cells}
    planned = max(record.counts.planned, 1)
    good, bad = (round(1000 * count / planned) for count in (record.counts.done, record.counts.failed))
    clips = per_clip(run, shown_clips)
    clips["columns"] = [head_of(column) for column in clips["columns"]]
    beyond = len(record.failures) - MAX_FAILURE_LINES
    return {
        "title": record.title or record.name,
        "synthetic_notice": SYNTHETIC_NOTICE,
        "stats": run_stats(record),
        "coverage": {"sentence": coverage_sentence(record), "good": good, "bad": good + bad if bad else 0},
        "failures": failure_groups(record),
        "warnings": run_warnings(run),
        "tables": tables,
        "legend": [(mark, words) for mark, words in MARK_LEGEND.items() if mark in marks],
        "comparisons": comparisons,
        "comparison_labels": list(dict.fromkeys(entry["label"] for entry in comparisons)),
        "checks": check_matrix(record),
        "extremes": extremes(run),
        "per_clip": clips,
        "failed_units": record.failures[:MAX_FAILURE_LINES],
        "failed_left_out": f"{beyond} more failures are in record.json." if beyond > 0 else "",
        "protocols": record.protocols,
        "directions": DIRECTION_WORDS,
        "provenance": provenance_facts(record),
        "config_json": json.dumps(record.config, indent=2, ensure_ascii=False, default=str),
    }


def run_stats(record: RunRecord) -> list[dict[str, str]]:
    """The few numbers that describe a run at a glance."""
    usable = sum(clip.status == "ok" for clip in record.clips)
    people = len({clip.identity for clip in record.clips})
    tested = sum(not system.anchor for system in record.systems)
    computed = sum(protocol.status == "ok" for protocol in record.protocols)
    verdicts = [check.verdict for check in record.checks]
    judged = sum(verdict in ("pass", "fail", "tie") for verdict in verdicts)

    def stat(label: str, value: object, note: str, of: object = "") -> dict[str, str]:
        return {"label": label, "value": str(value), "of": "" if of == value else str(of), "note": note}

    stats = [
        stat(
            "Clips",
            usable,
            f"{people} {'person' if people == 1 else 'people'}, {record.dataset_name}",
            len(record.clips),
        ),
        stat("Systems", tested, f"and {len(record.systems) - tested} anchors"),
        stat("Protocols", computed, "computed", len(record.protocols)),
        stat("Generated clips", record.counts.done, "complete", record.counts.planned),
    ]
    if verdicts:
        stats.append(stat("Anchor checks", verdicts.count("pass"), "pass, of those that apply", judged))
    return [*stats, stat("Time", _duration(record.timings.seconds), f"on {record.provenance.device}")]


def _duration(seconds: float) -> str:
    """Seconds as people write them.

    >>> _duration(161.0), _duration(12.3), _duration(7300)
    ('2 min 41 s', '12.3 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"


def provenance_facts(record: RunRecord) -> list[tuple[str, str]]:
    """What made the numbers, as pairs of label and text."""
    made = record.provenance
    git = f"{made.git.commit}{', with uncommitted changes' if made.git.dirty else ''}" if made.git else "no repository"
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in record.timings.by_stage.items())
    facts = [
        ("Run", f"{record.name}, {record.status}"),
        ("Started", record.timings.started),
        ("Finished", f"{record.timings.finished} ({_duration(record.timings.seconds)})"),
        ("Work by stage", stages),
        ("Units", f"{record.timings.units_computed} computed, {record.timings.units_reused} reused"),
        ("Data set", f"{record.dataset_name}, SHA-256 {record.digests.dataset}"),
        ("Configuration", f"SHA-256 {record.digests.config}"),
        ("Overrides", ", ".join(record.overrides)),
        ("Git", git),
        ("emo-bench", made.emo_bench),
        ("Python", made.python),
        ("Device", made.device),
        ("Host", ", ".join(f"{key} {value}" for key, value in made.host.items())),
        ("Packages", ", ".join(f"{name} {version}" for name, version in sorted(made.packages.items()))),
        ("Systems", "; ".join(f"{system.name} ({system.kind}, {system.digest[:12]})" for system in record.systems)),
    ]
    return [(label, value) for label, value in facts if value]
