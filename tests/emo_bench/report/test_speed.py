"""Times from the journal, the speed table in every format, and the frontier."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import record_factory
from record_factory import dataclasses

from emo_bench.record.run_data import RunData
from emo_bench.record.unit_times import UnitTime, read_unit_times
from emo_bench.report import load_run, write_report
from emo_bench.report.content import Material
from emo_bench.report.figures import make_figures
from emo_bench.report.figures_values import frontier_of
from emo_bench.report.html import html_report
from emo_bench.report.pdf import pdf_data
from emo_bench.report.sections import make_sections
from emo_bench.report.sections.speed import speed
from emo_bench.report.speed import significant, speed_rows, step_groups


def line(system: str, clip: str, seconds: float, **other: Any) -> str:
    entry = {
        "system": system, "clip": clip, "seed": 0, "code": "ok", "clip_key": f"{system}-{clip}", "reused": 0,
        "seconds": {"generate": seconds, "extract": 1.0}, **other,
    }  # fmt: skip
    return json.dumps(entry) + "\n"


def timed(run: RunData, **seconds: float) -> RunData:
    times = [
        UnitTime(system, clip.id, 0, spent * (1 + 0.1 * index))
        for system, spent in seconds.items()
        for index, clip in enumerate(run.record.clips)
    ]
    return dataclasses.replace(run, unit_times=tuple(times))


@pytest.fixture(scope="module")
def run() -> RunData:
    made = record_factory.make_run(n_clips=3, systems=("slow", "fast"), anchors=("ground_truth", "frozen"), failing=0)
    return timed(made, slow=30.0, fast=3.0, frozen=0.3, **{"ground-truth": 0.2})


def test_only_clips_that_were_really_made_have_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(
        line("a", "new", 2.0)
        + line("a", "reused", 0.01, reused=1)
        + line("a", "failed", 5.0, code="timeout")
        + line("a", "again", 4.0)
        + line("a", "again", 0.01, reused=7)  # a later run that found the same clip keeps the time it took to make it
        + line("a", "changed", 4.0)
        + line("a", "changed", 0.01, reused=7, clip_key="another")
        + line("a", "truth", 4.0).replace("generate", "prepare")
        + "\n[]\n"
        + line("a", "torn", 1.0)[:20]
    )
    assert list(read_unit_times(path)) == [UnitTime("a", "again", 0, 4.0), UnitTime("a", "new", 0, 2.0)]


def test_a_run_folder_brings_its_times(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    folder = record_factory.write_run(run, tmp_path, previews=False)
    (folder / "journal.jsonl").write_text(line("emo-synth", "clip-00", 6.0))
    assert load_run(folder).unit_times == (UnitTime("emo-synth", "clip-00", 0, 6.0),)


def test_seconds_are_for_one_second_of_video(run: RunData) -> None:
    rows = {row.system.name: row for row in speed_rows(run)}
    assert list(rows) == ["frozen", "slow", "fast"]
    length = run.record.clips[0].n_frames / 25
    assert rows["slow"].median == pytest.approx(33.0 / length)
    assert rows["slow"].mean == pytest.approx(33.0 / length)
    assert rows["slow"].frames_per_second == pytest.approx(25 / rows["slow"].median)
    assert rows["slow"].n_clips == 3


def test_anchors_alone_make_no_table(run: RunData) -> None:
    fewer = tuple(item for item in run.unit_times if item.system == "frozen")
    assert speed(Material(dataclasses.replace(run, unit_times=fewer))) == ()
    assert speed(Material(dataclasses.replace(run, unit_times=()))) == ()


def test_three_digits_are_enough() -> None:
    assert [significant(v) for v in (0.0, 0.01234, 0.5, 9.996, 12.34, 123.4, 123456.0)] == [
        "0", "0.0123", "0.500", "10.00", "12.3", "123", "123456",
    ]  # fmt: skip


def test_the_table_is_in_every_format(run: RunData, tmp_path: Path) -> None:
    folder = record_factory.write_run(run, tmp_path / "run", previews=False)
    (folder / "journal.jsonl").write_text(
        "".join(line(item.system, item.clip, item.seconds) for item in run.unit_times if item.system != "ground-truth")
    )
    paths = {path.name: path for path in write_report(folder, formats=("csv", "json", "md", "latex"))}
    with paths["speed.csv"].open() as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert float(rows["fast"]["median_seconds_per_second"]) == pytest.approx(
        next(row.median for row in speed_rows(run) if row.system.name == "fast")
    )
    assert {row["system"] for row in json.loads(paths["table.json"].read_text())["speed"]} == {"frozen", "slow", "fast"}
    for name in ("table.md", "tables.tex"):
        assert "frames/s" in paths[name].read_text()
    page = html_report(Material(load_run(folder)))
    assert 'id="section-speed"' in page
    assert "Peak memory is not recorded" in page
    material = Material(load_run(folder))
    printed = pdf_data(material, make_sections(material, "pdf"))["sections"]
    assert printed[0]["parts"][0]["rows"][0]["name"] == "frozen"


def test_runs_without_times_have_no_trace_of_the_table(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    folder = record_factory.write_run(run, tmp_path, previews=False)
    paths = write_report(folder, formats=("csv", "json", "md"))
    assert "speed.csv" not in {path.name for path in paths}
    assert not any("frames/s" in path.read_text() for path in paths)
    assert 'id="section-speed"' not in html_report(Material(run))


def test_a_table_that_no_longer_holds_is_taken_away(run: RunData, tmp_path: Path) -> None:
    write_report(run, formats=("csv",), output=tmp_path)
    assert (tmp_path / "speed.csv").is_file()
    write_report(dataclasses.replace(run, unit_times=()), formats=("csv",), output=tmp_path)
    assert not (tmp_path / "speed.csv").exists()


def test_the_frontier_needs_two_timed_systems(run: RunData) -> None:
    (figure,) = make_figures(run, names=("frontier",))
    assert "logarithmic" in figure.caption
    fewer = tuple(item for item in run.unit_times if item.system != "slow")
    assert make_figures(dataclasses.replace(run, unit_times=fewer), names=("frontier",)) == []


def test_the_frontier_leaves_out_what_is_slower_and_worse() -> None:
    points = {"a": (1.0, 5.0), "b": (2.0, 5.0), "c": (3.0, 1.0), "d": (0.5, 9.0), "e": (4.0, 2.0)}
    assert frontier_of(points) == ["d", "a", "c"]
    assert frontier_of({}) == []


def test_step_groups_ignore_truth_values_and_anchors(run: RunData) -> None:
    systems = tuple(s.model_copy(update={"options": {"steps": True}}) for s in run.record.systems)
    assert step_groups(run.record.model_copy(update={"systems": systems})) == ()


def test_every_id_of_the_page_is_there_once(run: RunData, tmp_path: Path) -> None:
    """The script finds the players' controls by id; a section of the same id would take their place."""
    record_factory.write_run(run, tmp_path)
    page = html_report(Material(dataclasses.replace(load_run(tmp_path), unit_times=run.unit_times)))
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert "section-speed" in ids
    assert "speed" in ids
    assert sorted(ids) == sorted(set(ids))
