"""Raters' votes on the run's clips, where a study of them was scored."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.record.human_study import QuestionResult, StudyResult
from emo_bench.report.content import Cell, Head, Material, Notes, Row, Section, Table, Text
from emo_bench.report.sections import section
from emo_core.text import format_number


@section("human-study", place=15)
def human_study(material: Material) -> Sequence[Section]:
    """A table for each question of each study."""
    found = []
    for study in material.run.studies:
        parts: list[Table | Text | Notes] = [Text(_about(study))]
        for number, question in enumerate(study.questions, start=1):
            parts.append(_table(study, question, number) if question.strengths else Text(_nothing(question)))
        excluded = tuple(
            f"{entry.n_votes} votes not counted ({entry.where}): {entry.reason}."
            if entry.n_votes
            else f"Not counted: {entry.where}, {entry.reason}."
            for entry in study.exclusions
        )
        if study.notes or excluded:
            parts.append(Notes((*study.notes, *excluded)))
        found.append(Section(f"human-study-{study.study}", f"Human study: {study.title}", tuple(parts)))
    return found


def _about(study: StudyResult) -> str:
    kept = sum(not rater.excluded for rater in study.raters)
    unit = (
        "Strengths are Bradley-Terry log odds against the mean system"
        if study.kind == "pairs"
        else "Numbers are mean opinions from 1 to 5"
    )
    return f"Study {study.study}: {kept} raters. {unit}; intervals resample raters and people shown."


def _nothing(question: QuestionResult) -> str:
    return f"{question.text} No numbers: {question.reason or 'no votes'}."


def _table(study: StudyResult, question: QuestionResult, number: int) -> Table:
    pairs = study.kind == "pairs"
    heads = (
        Head("Strength" if pairs else "Opinion", "↑", key="value", descending=True),
        *((Head("Votes won", key="won"),) if pairs else ()),
        Head("Votes", key="n_votes"),
    )
    rows = []
    for item in question.strengths:
        ends = (
            ""
            if item.low is None or item.high is None
            else f"[{format_number(item.low, 2)}, {format_number(item.high, 2)}]"
        )
        number_cell = Cell(
            format_number(item.value, 2),
            item.value,
            low=item.low,
            high=item.high,
            interval_text=ends,
            level=study.level,
            method="raters and people resampled",
        )
        share = Cell("–", status="missing") if item.won is None else Cell(f"{item.won:.0%}", item.won)
        won = (share,) if pairs else ()
        rows.append(Row(item.system, (number_cell, *won, Cell(str(item.n_votes), item.n_votes))))
    notes = [f"{question.n_votes} votes of {question.n_raters} raters on {question.n_clips} clips."]
    if question.agreement is not None:
        what = "agrees with the majority of the others in" if pairs else "has a rank correlation with the others of"
        shown = f"{question.agreement:.0%}" if pairs else f"{question.agreement:.2f}"
        notes.append(f"A rater {what} {shown}.")
    notes += [
        f"{pair.a if pair.verdict == 'a_better' else pair.b} is preferred to "
        f"{pair.b if pair.verdict == 'a_better' else pair.a}."
        if pair.verdict in ("a_better", "b_better")
        else f"{pair.a} and {pair.b}: a tie."
        for pair in question.pairs
        if pair.verdict != "undefined"
    ]
    name = f"study-{study.study}-{number}"
    return Table(name, question.text, heads, tuple(rows), notes=tuple(notes))
