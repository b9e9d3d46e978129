"""A section is written once and stands in every format."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import record_factory

from emo_bench.record.human_study import QuestionResult, StrengthEntry, StudyResult
from emo_bench.report import sections, write_report
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
    Row,
    Section,
    Table,
    Text,
)
from emo_bench.report.figure_style import NamedFigure, new_figure
from emo_bench.report.pdf import pdf_data
from emo_bench.report.sections.comparisons import comparisons
from emo_bench.report.sections.human_study import human_study

HOSTILE = "<script>alert(1)</script> \\input{x} | #panic"


def everything(material: Material) -> Sequence[Section]:
    """One of each kind of part."""
    figure, axes = new_figure(3, 2)
    axes[0].plot([0, 1], [1, 0])
    rows = (
        Row("anchor", (Cell("1.5", 1.5), Cell("undefined", status="undefined", reason="nothing there")), anchor=True),
        Row(HOSTILE, (Cell("2.5", 2.5, mark="best", n_scored=2, n_planned=3), Cell("0.25", 0.25))),
    )
    heads = (Head("Weight", "↓", "kg", key="weight"), Head("Share", key="share"))
    parts = (
        Text("A paragraph of its own."),
        Table("probe", "", heads, rows, first="Thing", notes=("A note below.",)),
        NamedFigure("probe-figure", "What the probe shows.", figure),
        Notes(("One point.", "Another point.")),
        _list(),
        Table(
            "probe-matrix",
            "",
            (Head("Pair"),),
            (Row("One", (Cell("orders", badge="pass", sign="+"),)),),
            layout="matrix",
        ),
        Facts((Fact("Kept in", "a drawer"), Fact("Digest", "of the drawer", "abc123"))),
        Entries((Entry("thing/one@1", "The first thing", "odd", True, (Fact("Weighs", "much"),)),)),
        Listing("The file", "line one\n```\n# \\end{document}"),
    )
    return (Section("probe", f"Probe of {len(material.run.record.clips)} clips", parts),)


def _list() -> Table:
    heads = (Head("Who", words="name"), Head("Number"), Head("Why", words="prose"))
    rows = tuple(
        Row(f"line {i}", (Cell(HOSTILE, badge="bad"), Cell(str(i), i), Cell("So it is.")), group="all", clip="clip-00")
        for i in range(3)
    )
    return Table(
        "probe-list", "", heads, rows, first="Line", layout="list", groups="All lines", search="Filter lines",
        printed=2, cut="{n} more lines are elsewhere.",
    )  # fmt: skip


def _matrix() -> Table:
    cell = Cell("orders", badge="pass", sign="+")
    return Table("probe-matrix", "", (Head("Pair"),), (Row("One", (cell,)),), layout="matrix")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sections.section_kinds()
    monkeypatch.setattr(sections, "_kinds", dict(sections._kinds))
    sections.section("probe", place=35, data=True)(everything)
    return


@pytest.mark.usefixtures("registered")
def test_every_part_is_in_every_format(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    paths = write_report(run, output=tmp_path, formats=("csv", "json", "md", "html", "latex", "pdf"), figures=False)
    texts = {path.name: path.read_text() for path in paths if path.suffix != ".pdf"}
    for name in ("table.md", "tables.tex", "report.html"):
        for words in ("A paragraph of its own.", "A note below.", "Another point.", "What the probe shows.", "Thing"):
            assert words in texts[name], (name, words)
        for words in ("So it is.", "orders", "a drawer", "abc123", "The first thing", "Weighs", "The file", "line one"):
            assert words in texts[name], (name, words)
        assert ("1 more lines are elsewhere." in texts[name]) == (name != "report.html")
        assert ("line 2" in texts[name]) == (name == "report.html")
        assert "2/3 clips" in texts[name]
        assert "<script>alert" not in texts[name]
    assert (tmp_path / "figures" / "probe-figure.svg").is_file()
    assert "(figures/probe-figure.svg)" in texts["table.md"]
    assert "{figures/probe-figure.pdf}" in texts["tables.tex"]
    assert next(iter(csv.DictReader(texts["probe.csv"].splitlines()))) == {
        "system": "anchor", "anchor": "true", "weight": "1.5", "share": "",
    }  # fmt: skip
    assert json.loads(texts["table.json"])["probe"][1]["share"] == 0.25
    material = Material(run)
    printed = pdf_data(material, sections.make_sections(material, "pdf"))["sections"]
    parts = next(one for one in printed if one["title"] == "Probe of 2 clips")["parts"]
    assert [part["kind"] for part in parts] == [
        "text", "table", "figure", "notes", "list", "list", "facts", "entries", "listing",
    ]  # fmt: skip
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_sections_have_an_order_and_each_name_is_there_once() -> None:
    kinds = sections.section_kinds()
    assert [kind.name for kind in kinds if "md" in kind.formats] == [
        "human-study",
        "slices",
        "speed",
        "others",
        "published",
    ]
    assert [kind.name for kind in kinds if "pdf" in kind.formats][5:] == [
        "comparisons", "figures", "limitations", "failure-groups", "protocols", "provenance",
    ]  # fmt: skip
    assert [kind.place for kind in kinds] == sorted(kind.place for kind in kinds)


def test_two_sections_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sections.section_kinds()
    monkeypatch.setattr(sections, "_kinds", dict(sections._kinds))
    with pytest.raises(ValueError, match="speed"):
        sections.section("speed", place=1)(everything)


def test_a_study_without_the_share_of_votes_won_is_shown(tmp_path: Path) -> None:
    strengths = (
        StrengthEntry(system="emo-synth", value=-0.001, low=-0.4, high=0.4, n_votes=7, won=0.5),
        StrengthEntry(system="wav2lip-like", value=0.001, n_votes=7),
    )
    question = QuestionResult(key="q", text="Which?", n_votes=7, n_raters=2, n_clips=2, strengths=strengths)
    study = StudyResult(
        study="s", title="S", kind="pairs", run="r", level=0.95, questions=(question,), raters=(), exclusions=()
    )
    run = dataclasses.replace(record_factory.make_run(n_clips=2), studies=(study,))
    (section,) = human_study(Material(run))
    first, second = section.tables[0].rows
    assert [cell.text for cell in first.cells] == ["0.00", "50%", "7"]
    assert [cell.text for cell in second.cells] == ["0.00", "–", "7"]
    paths = write_report(run, output=tmp_path, formats=("html", "md", "latex", "pdf"), figures=False)
    assert "Human study: S" in paths[0].read_text()


def test_comparisons_say_where_a_difference_is_of_distances() -> None:
    (section,) = comparisons(Material(record_factory.make_run(n_clips=3)))
    assert (
        "(F-SIM, F-SIM min, Mean, Within-clip variance), A − B is the difference of the distances" in section.texts[0]
    )
