from __future__ import annotations

import re
from pathlib import Path

import pytest
import record_factory
from record_factory import dataclasses

from emo_bench.report import load_run, write_report
from emo_bench.report.figure_style import PALETTE, NamedFigure, figure_bytes, looks_of
from emo_bench.report.figures import make_figures, write_figures
from emo_bench.report.pdf import pdf_data, pdf_report


@pytest.fixture(scope="module")
def drawn(run_folder: Path) -> list[NamedFigure]:
    return make_figures(load_run(run_folder))


def test_every_figure_is_there_when_there_is_data(drawn: list[NamedFigure]) -> None:
    names = [figure.name for figure in drawn]
    assert names == [
        "intervals", "profiles", "scatter", "anchor-checks", "method-by-time", "lag-curves", "traces",
    ]  # fmt: skip
    assert all(figure.caption.endswith(".") for figure in drawn)


def test_figures_have_the_same_bytes_when_drawn_again(drawn: list[NamedFigure], run_folder: Path) -> None:
    again = {figure.name: figure for figure in make_figures(load_run(run_folder))}
    for figure in drawn:
        if figure.name in ("intervals", "lag-curves"):
            for kind in ("svg", "pdf"):
                assert figure_bytes(figure.figure, kind) == figure_bytes(again[figure.name].figure, kind)  # type: ignore[arg-type]


def test_vector_figures_hold_no_text_nodes_dates_or_addresses(drawn: list[NamedFigure], tmp_path: Path) -> None:
    paths = write_figures([figure for figure in drawn if figure.name == "intervals"], tmp_path)
    assert [path.suffix for path in paths] == [".svg", ".pdf"]
    svg = paths[0].read_text()
    assert "<text" not in svg
    assert not re.search(r"\d{4}-\d\d-\d\dT", svg)
    assert b"CreationDate" not in paths[1].read_bytes()


def test_systems_keep_their_colours_and_anchors_are_grey() -> None:
    looks = looks_of(record_factory.make_run(n_clips=2).record)
    assert [look.colour for look in looks if not look.anchor] == list(PALETTE[:2])
    greys = [look.colour for look in looks if look.anchor]
    assert len(set(greys)) == len(greys)
    assert all(max(bytes.fromhex(c[1:])) - min(bytes.fromhex(c[1:])) < 16 for c in greys)


@pytest.mark.parametrize(
    "options", [{"n_clips": 1, "failing": 0}, {"systems": (), "anchors": ()}, {"n_clips": 0, "failing": 0}]
)
def test_odd_runs_draw_what_they_can_and_print(options: dict[str, object]) -> None:
    run = record_factory.make_run(**options)  # type: ignore[arg-type]
    assert pdf_report(run, figures=make_figures(run)[:1]).startswith(b"%PDF")


def test_hostile_names_neither_run_nor_break_the_pdf_and_the_figures(hostile_folder: Path) -> None:
    run = load_run(hostile_folder)
    figures = [figure for figure in make_figures(run) if figure.name in ("intervals", "traces")]
    first = pdf_report(run, figures=figures)
    assert first.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", first)) <= 10
    assert pdf_report(run, figures=figures) == first


def test_the_pdf_says_what_limits_the_run() -> None:
    data = pdf_data(record_factory.make_run())
    text = " ".join(data["limitations"])
    assert "Synthetic data" in text
    assert "generated once" in text
    assert "sync/joonson@1" in text
    assert "1 failed" in " ".join(data["abstract"])


def test_broken_previews_cost_only_their_picture(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",), systems=("a",))
    record_factory.write_run(run, tmp_path)
    for path in (tmp_path / "previews").glob("*.mp4"):
        path.write_bytes(b"not a video")
    names = [figure.name for figure in make_figures(load_run(tmp_path))]
    assert "intervals" in names
    assert "method-by-time" not in names


def test_traces_with_gaps_are_drawn() -> None:
    run = record_factory.make_run(n_clips=2)
    gaps = tuple(dataclasses.replace(s, values=(float("nan"), *s.values[1:])) for s in run.series)
    assert any(f.name == "traces" for f in make_figures(dataclasses.replace(run, series=gaps)))


def test_all_formats_at_once(run_folder: Path, tmp_path: Path) -> None:
    paths = write_report(run_folder, formats=("csv", "json", "md", "latex", "pdf", "figures"), output=tmp_path)
    assert {path.suffix for path in paths} == {".csv", ".json", ".md", ".tex", ".pdf", ".svg", ".png"}
    assert all(path.stat().st_size > 0 for path in paths)
