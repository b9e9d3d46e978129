"""A validity result as table, figure and page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from emo_bench.humans.result import Estimate, Finding, QuestionEntry, ValidityResult, write_validity
from emo_bench.report.figure_style import PALETTE, figure_bytes, new_figure, short_label, style
from emo_bench.report.html import content_policy
from emo_core.atomic import write_bytes, write_text

READINGS = {"higher": "more is better", "lower": "less is better", "closer": "closer to GT is better"}
LONGEST_PANEL = 18
"""Lines of a panel of the figure; the table has them all."""


def write_validity_report(result: ValidityResult, folder: Path) -> tuple[Path, ...]:
    """Writes ``validity.json``, ``.csv``, ``.md``, ``.html``, ``.svg`` and ``.pdf``; equal results as equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_validity(result, folder / "validity.json")
    write_text(folder / "validity.csv", validity_csv(result))
    write_text(folder / "validity.md", validity_markdown(result))
    figure = validity_figure(result)
    drawing = figure_bytes(figure, "svg")
    write_bytes(folder / "validity.svg", drawing)
    write_bytes(folder / "validity.pdf", figure_bytes(figure, "pdf"))
    write_text(folder / "validity.html", validity_page(result, drawing))
    return tuple(folder / f"validity.{kind}" for kind in ("html", "md", "csv", "json", "svg", "pdf"))


def ranked(result: ValidityResult, question: str) -> list[Finding]:
    """The findings on a question, best first; those without a number last, by name."""
    found = [item for item in result.findings if item.question == question]

    def order(item: Finding) -> tuple[float, str, str, str]:
        value = item.headline.value
        return (9.0 if value is None else -value, item.protocol, item.key, item.reading)

    return sorted(found, key=order)


def number(estimate: Estimate, *, interval: bool = True) -> str:
    """``0.83 [0.72, 0.92]``, or a dash."""
    if estimate.value is None:
        return "–"
    return " ".join(part for part in (_two(estimate.value), _ends(estimate) if interval else "") if part)


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _ends(part: Estimate) -> str:
    return "" if part.low is None or part.high is None else f"[{_two(part.low)}, {_two(part.high)}]"


def name_of(finding: Finding) -> str:
    """Protocol and key, or the column's name."""
    return f"{finding.protocol} {finding.key}".strip()


def question_sentence(entry: QuestionEntry) -> str:
    """What was asked, in a sentence."""
    what = "pairs" if entry.kind == "pairs" else "clips"
    people = f" by {entry.n_raters} raters" if entry.n_raters else ""
    units = f" ({entry.n_units} independent ones)" if entry.n_units != entry.n_clips else ""
    tied = f"; raters are tied on {entry.n_tied}, which are left out" if entry.n_tied else ""
    text = f"{entry.n_items} {what} of {entry.n_clips} sources{units}, {entry.n_votes:g} votes{people}{tied}."
    if entry.ceiling.value is None:
        return f"{text} No ceiling: {entry.ceiling.reason}."
    measure = "with the majority of the others in" if entry.kind == "pairs" else "with the mean of the others at"
    return f"{text} A rater agrees {measure} {number(entry.ceiling)}: the ceiling."


def validity_markdown(result: ValidityResult) -> str:
    """The tables, one for each question."""
    lines = [f"# Do numbers agree with people? {result.name}", "", _about(result), ""]
    for entry in result.questions:
        lines += [f"## {entry.question or 'all'}", "", question_sentence(entry), ""]
        lines += [
            "| value | better is | pairs | overall | within systems | between systems |",
            "|---|---|---|---|---|---|",
        ]
        for item in ranked(result, entry.question):
            mark = "" if item.declared else " (not its direction)"
            cells = [name_of(item).replace("|", "\\|"), READINGS[item.reading] + mark]
            cells += [number(part) for part in (item.agreement, item.overall, item.within, item.between)]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    if result.without_values:
        shown = ", ".join(result.without_values[:5])
        lines += [f"Without any value, and left out: {len(result.without_values)} clips ({shown}).", ""]
    return "\n".join(lines)


def _about(result: ValidityResult) -> str:
    parts = [
        f"Votes: {result.source or result.name}.",
        "Pairs: share in which the number prefers what most raters prefer, 0.5 is chance. Overall, within and between "
        f"systems: rank correlations. Brackets: {100 * result.level:g}% intervals that resample source clips "
        f"({result.resamples} draws).",
        result.note,
    ]
    return " ".join(part for part in parts if part)


def validity_csv(result: ValidityResult) -> str:
    """All numbers, a line for each question, value and reading."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    kinds = ("agreement", "overall", "within", "between")
    heads = [f"{kind}{end}" for kind in kinds for end in ("", "_low", "_high", "_status")]
    writer.writerow(["question", "protocol", "key", "reading", "declared", "n_systems", *heads, "ceiling"])
    for item in result.findings:
        cells: list[Any] = []
        for kind in kinds:
            part: Estimate = getattr(item, kind)
            cells += [part.value, part.low, part.high, part.status]
        ceiling = result.question(item.question).ceiling.value
        head = [item.question, item.protocol, item.key, item.reading, item.declared, item.n_systems]
        writer.writerow([*head, *("" if cell is None else cell for cell in cells), "" if ceiling is None else ceiling])
    return stream.getvalue()


def validity_figure(result: ValidityResult) -> Any:
    """A panel for each question: values with intervals, best first, chance as a line and the raters as a band."""
    shown = {
        entry.question: [item for item in ranked(result, entry.question) if item.headline.value is not None]
        for entry in result.questions
    }
    most = max([len(items[:LONGEST_PANEL]) for items in shown.values()] or [1])
    with style():
        figure, axes = new_figure(2.6 + 3.4 * len(result.questions), 1.1 + 0.2 * max(1, most), 1, len(result.questions))
        for axis, entry in zip(axes, result.questions, strict=True):
            _panel(axis, entry, shown[entry.question][:LONGEST_PANEL])
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure


def _panel(axis: Any, entry: QuestionEntry, items: Sequence[Finding]) -> None:
    pairs = entry.kind == "pairs"
    ceiling = entry.ceiling
    if ceiling.value is not None:
        if ceiling.low is not None and ceiling.high is not None:
            axis.axvspan(ceiling.low, ceiling.high, color="#dfe7f3", zorder=0)
        axis.axvline(ceiling.value, color="#5b7db1", linewidth=1.0, zorder=1)
    axis.axvline(0.5 if pairs else 0.0, color="#9a9da6", linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    for y, item in enumerate(items):
        part = item.headline
        assert part.value is not None  # noqa: S101 - chosen so
        colour = PALETTE[0] if item.declared else PALETTE[1]
        if part.low is not None and part.high is not None:
            axis.plot([part.low, part.high], [y, y], color=colour, linewidth=1.2, alpha=0.55, zorder=2)
        face = colour if item.declared else "white"
        axis.plot(part.value, y, "o", color=colour, markerfacecolor=face, markersize=4, zorder=3)
    labels = [f"{short_label(name_of(item), 38)}  ({item.reading})" for item in items]
    axis.set_yticks(range(len(items)), labels, fontsize=6)
    axis.set_ylim(len(items) - 0.4, -0.6)
    # A number that ranks the wrong way round has a correlation below the usual range, and is shown too.
    ends = [end for item in items for end in (item.headline.value, item.headline.low) if end is not None]
    axis.set_xlim(*((0, 1) if pairs else (-0.5 if min(ends, default=0.0) >= -0.5 else -1, 1)))
    axis.set_title(entry.question or "all", fontsize=8)
    axis.set_xlabel("share of pairs as most raters" if pairs else "rank correlation with opinion", fontsize=7)
    axis.grid(visible=False, axis="y")


def validity_page(result: ValidityResult, drawing: bytes) -> str:
    """One HTML file that opens from disk."""
    import base64

    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    css = (files("emo_bench.report") / "templates" / "report.css").read_text(encoding="utf-8")
    text = (files("emo_bench.humans") / "templates" / "validity.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    questions = [
        {
            "title": entry.question or "all",
            "sentence": question_sentence(entry),
            "rows": [
                {
                    "name": name_of(item),
                    "label": item.label,
                    "reading": READINGS[item.reading],
                    "declared": item.declared,
                    "cells": [
                        {"text": number(part, interval=False), "ends": _ends(part), "reason": part.reason}
                        for part in (item.agreement, item.overall, item.within, item.between)
                    ],
                }
                for item in ranked(result, entry.question)
            ],
        }
        for entry in result.questions
    ]
    return environment.from_string(text).render(
        css=Markup(css),  # noqa: S704 - our own file
        csp=content_policy(css, ""),
        result=result,
        about=_about(result),
        figure=f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}",
        questions=questions,
    )
