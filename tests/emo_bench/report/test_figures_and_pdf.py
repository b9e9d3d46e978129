from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import record_factory
import typst
from PIL import Image
from record_factory import dataclasses

from emo_bench.record.run_data import RunData
from emo_bench.report import load_run, write_report
from emo_bench.report.content import Material
from emo_bench.report.figure_style import (
    PALETTE,
    FigureKind,
    NamedFigure,
    figure_bytes,
    legend_below,
    new_figure,
    style,
    system_styles,
)
from emo_bench.report.figures import make_figures, write_figures
from emo_bench.report.latex import latex_document
from emo_bench.report.pdf import pdf_data, pdf_report, printed_width
from emo_bench.report.sections import make_sections

FIGURE_KINDS: tuple[FigureKind, ...] = ("svg", "pdf", "png")


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = record_factory.make_run(n_clips=4, systems=("a",), anchors=("ground_truth", "frozen"), failing=0)
    return record_factory.write_run(run, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def drawn(small_folder: Path) -> list[NamedFigure]:
    return make_figures(load_run(small_folder))


def test_every_figure_is_there_when_there_is_data(drawn: list[NamedFigure]) -> None:
    names = [figure.name for figure in drawn]
    assert names == [
        "intervals", "profiles", "scatter", "anchor-checks", "method-by-time", "lag-curves", "traces",
    ]  # fmt: skip
    assert all(figure.caption.endswith(".") for figure in drawn)


def test_figures_have_the_same_bytes_when_drawn_again(drawn: list[NamedFigure], small_folder: Path) -> None:
    again = make_figures(load_run(small_folder), names=("lag-curves",))[0]
    first = next(figure for figure in drawn if figure.name == "lag-curves")
    for kind in FIGURE_KINDS:
        assert figure_bytes(first.figure, kind) == figure_bytes(again.figure, kind)


def test_vector_figures_hold_no_text_nodes_dates_or_addresses(drawn: list[NamedFigure], tmp_path: Path) -> None:
    paths = write_figures([figure for figure in drawn if figure.name == "lag-curves"], tmp_path)
    assert [path.suffix for path in paths] == [".svg", ".pdf"]
    svg = paths[0].read_text()
    assert "<text" not in svg
    assert not re.search(r"\d{4}-\d\d-\d\dT", svg)
    assert b"CreationDate" not in paths[1].read_bytes()


def test_systems_keep_their_colours_and_anchors_are_grey() -> None:
    styles = system_styles(record_factory.make_run(n_clips=2).record)
    assert [style.colour for style in styles if not style.anchor] == list(PALETTE[:2])
    greys = [style.colour for style in styles if style.anchor]
    assert len(set(greys)) == len(greys)
    assert all(max(bytes.fromhex(c[1:])) - min(bytes.fromhex(c[1:])) < 16 for c in greys)


def test_many_systems_are_told_apart_and_their_legend_covers_nothing() -> None:
    names = [f"model-{number}" for number in range(30)]
    styles = [one for one in system_styles(record_factory.make_run(n_clips=2, systems=names).record) if not one.anchor]
    assert len({(one.colour, one.marker) for one in styles}) == 30
    assert len({(one.colour, one.dash) for one in styles[:18]}) == 18
    with style(), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure, (axis,) = new_figure(2.6, 2.6)
        legend_below(figure, styles)
        figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.y1 < axis.get_window_extent().y0
    assert legend.y0 >= 0


@pytest.mark.parametrize(
    "options", [{"n_clips": 1, "failing": 0}, {"systems": (), "anchors": ()}, {"n_clips": 0, "failing": 0}]
)
def test_odd_runs_draw_what_they_can_and_print(options: dict[str, object]) -> None:
    run = record_factory.make_run(**options)  # type: ignore[arg-type]
    assert pdf_report(Material(run, figures=make_figures(run, names=("intervals",)))).startswith(b"%PDF")


def test_a_table_of_eighty_more_systems_takes_more_pages() -> None:
    record = record_factory.make_run(n_clips=2, systems=("a",), failing=0).record
    tested = next(system for system in record.systems if system.name == "a")
    values = [value for value in record.values if value.system == "a"]

    def pages(n_systems: int) -> int:
        names = [f"model-{number}" for number in range(n_systems)]
        changes = {
            "systems": tuple(tested.model_copy(update={"name": name}) for name in names),
            "values": tuple(value.model_copy(update={"system": name}) for name in names for value in values),
            "comparisons": (),
        }
        return len(re.findall(rb"/Type\s*/Page\b", pdf_report(Material(RunData(record.model_copy(update=changes))))))

    assert pages(160) >= pages(80) + 3  # eighty more rows in two tables; they were printed beyond the page's edge


def test_hostile_names_neither_run_nor_break_the_pdf_and_the_figures(hostile_folder: Path) -> None:
    run = load_run(hostile_folder)
    figures = make_figures(run, names=("traces",))
    first = pdf_report(Material(run, figures=figures))
    assert first.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", first)) <= 10
    assert pdf_report(Material(run, figures=figures)) == first


def test_the_pdf_says_what_limits_the_run() -> None:
    material = Material(record_factory.make_run())
    data = pdf_data(material, make_sections(material, "pdf"))
    section = next(one for one in data["sections"] if one["title"] == "Limitations")
    text = " ".join(section["parts"][0]["lines"])
    assert "Synthetic data" in text
    assert "generated once" in text
    assert "sync/joonson@1" in text
    assert "1 failed" in " ".join(data["abstract"])


def test_broken_previews_cost_only_their_picture(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",), systems=("a",))
    record_factory.write_run(run, tmp_path)
    for path in (tmp_path / "previews").glob("*.mp4"):
        path.write_bytes(b"not a video")
    names = [figure.name for figure in make_figures(load_run(tmp_path), names=("method-by-time", "traces"))]
    assert names == ["traces"]


def test_traces_with_gaps_are_drawn() -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    gaps = tuple(dataclasses.replace(s, values=(float("nan"), *s.values[1:])) for s in run.series)
    assert len(make_figures(dataclasses.replace(run, series=gaps), names=("traces",))) == 1


@pytest.mark.slow
def test_all_formats_at_once(run_folder: Path, tmp_path: Path) -> None:
    paths = write_report(run_folder, formats=("csv", "json", "md", "latex", "pdf", "figures"), output=tmp_path)
    assert {path.suffix for path in paths} == {".csv", ".json", ".md", ".tex", ".pdf", ".svg", ".png"}
    assert all(path.stat().st_size > 0 for path in paths)


def test_captions_say_which_systems_and_values_a_figure_has_no_room_for() -> None:
    """Systems under test come before anchors, and what no longer fits is told."""
    names = tuple(f"system-{number:02d}" for number in range(18))
    run = record_factory.make_run(systems=names, failing=0)
    found = {figure.name: figure for figure in make_figures(run, ("intervals", "profiles", "scatter"))}
    assert "There is room for 16 of the 24 systems" in found["intervals"].caption
    assert "There is room for 16 of the 24 systems" in found["profiles"].caption
    assert "There is room for 6 of the 18 systems" in found["scatter"].caption
    shown = [label.get_text() for label in found["intervals"].figure.axes[0].get_yticklabels()]
    assert shown == ["ground-truth", *names[:15]]


def test_a_profile_beyond_the_axis_is_drawn_at_its_edge() -> None:
    """A system may score better than the ground truth; its mark does not leave the figure."""
    run = record_factory.make_run(failing=0)
    values = tuple(
        value.model_copy(update={"value": 5.0}) if (value.system, value.key) == ("emo-synth", "ssim") else value
        for value in run.record.values
    )
    run = dataclasses.replace(run, record=run.record.model_copy(update={"values": values}))
    (figure,) = make_figures(run, ("profiles",))
    (axis,) = figure.figure.axes
    low, high = axis.get_ylim()
    heights = [height for line in axis.lines for height in line.get_ydata() if height == height]
    assert low < min(heights)
    assert max(heights) < high
    assert "at the edge" in figure.caption


NAMES = tuple(f"a-system-with-a-rather-long-name-{number:02d}" for number in range(24))


def test_a_table_longer_than_a_page_goes_on_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[bytes] = []
    real = typst.Compiler

    class Both:
        """Sets the pages as images too."""

        def __init__(self, *given: Any, **options: Any) -> None:
            self.compiler = real(*given, **options)

        def compile(self, **options: Any) -> Any:
            found = self.compiler.compile(format="png", ppi=50)
            pages.extend(found if isinstance(found, list) else [found])
            return self.compiler.compile(**options)

    monkeypatch.setattr(typst, "Compiler", Both)
    run = record_factory.make_run(n_clips=3, systems=NAMES, failing=1)
    assert pdf_report(Material(run)).startswith(b"%PDF")
    for number, page in enumerate(pages, 1):
        image = np.asarray(Image.open(io.BytesIO(page)).convert("L"))
        rows = (image < 200).any(axis=1)
        assert not rows[-len(rows) // 30 :].any(), f"page {number} runs over its lower edge"
        assert rows[len(rows) // 6 : len(rows) // 2].any(), f"page {number} holds a headline alone"


def test_names_that_differ_at_their_end_are_told_apart() -> None:
    run = record_factory.make_run(n_clips=2, systems=[f"{'x' * 80}-{n}" for n in range(3)], failing=0)
    assert len({style.label for style in system_styles(run.record)}) == len(run.record.systems)
    material = Material(run)
    data = pdf_data(material, make_sections(material, "pdf"))
    assert len({row["name"] for row in data["tables"][0]["rows"]}) == len(run.record.systems)
    listed = next(part for section in data["sections"] for part in section["parts"] if part["kind"] == "list")
    assert all(len(text) <= 60 for row in listed["rows"] for text in row)
    labels = re.findall(r"^(\S+) &", latex_document(material), re.MULTILINE)
    assert len({label for label in labels if label.startswith("xxx")}) == 3


def test_no_legend_is_wider_than_its_figure() -> None:
    for item in make_figures(record_factory.make_run(n_clips=3, systems=NAMES, failing=0)):
        for legend in item.figure.legends:
            box = legend.get_window_extent()
            assert box.x0 >= 0, item.name
            assert box.x1 <= item.figure.bbox.x1, item.name
        if not item.photo:
            assert all(axis.get_window_extent().height > 60 for axis in item.figure.axes), item.name


def test_a_tall_drawing_keeps_readable_letters_in_print() -> None:
    drawn = make_figures(record_factory.make_run(n_clips=3, systems=NAMES, failing=0), ("intervals",))[0]
    width, _ = drawn.figure.get_size_inches()
    millimetres = 170 * printed_width(drawn) / 100
    assert 7 * millimetres / (25.4 * width) >= 4.5  # points of the axes' labels


def test_the_abstract_counts_all_anchor_checks() -> None:
    run = record_factory.make_run(n_clips=4)
    checks = tuple(
        check.model_copy(update={"verdict": "tie"}) if n < 3 else check for n, check in enumerate(run.record.checks)
    )
    tied = dataclasses.replace(run, record=run.record.model_copy(update={"checks": checks}))
    verdicts = [check.verdict for check in checks]
    passed, failed, ties = (verdicts.count(kind) for kind in ("pass", "fail", "tie"))
    abstract = " ".join(pdf_data(Material(tied), ())["abstract"])
    assert (
        f"Of the {passed + failed + ties} anchor checks that apply, {passed} pass, {failed} fail and {ties}" in abstract
    )
