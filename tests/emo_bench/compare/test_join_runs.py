"""Several runs in one report: one table where that is fair, blocks with the reason where it is not."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import record_factory
from record_factory import dataclasses
from typer.testing import CliRunner

from emo_bench.cli.main import app
from emo_bench.compare.join_runs import incompatibility, join_runs, joint_folder_name, run_labels
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import Counts, NoteEntry
from emo_bench.report import write_joint_report
from emo_bench.report.content import Material
from emo_bench.report.html import html_report
from emo_bench.report.notes import clip_notes
from emo_bench.report.pdf import pdf_report
from emo_bench.report.tables import build_tables
from emo_core.errors import ConfigError

ANCHORS = ("ground_truth", "frozen")
TEXTS = ("csv", "json", "md", "latex")


def make(name: str = "a", systems: tuple[str, ...] = ("one",), **options: Any) -> RunData:
    settings = {"n_clips": 6, "anchors": ANCHORS, "failing": 0, **options}
    return record_factory.make_run(name=name, systems=systems, **settings)


def changed(run: RunData, **update: Any) -> RunData:
    return dataclasses.replace(run, record=run.record.model_copy(update=update))


@pytest.fixture(scope="module")
def pair() -> tuple[RunData, RunData]:
    return make("a", ("one",)), make("b", ("two", "three"), worse_by=3.0, noise_seed=1)


def test_systems_of_equal_terms_share_a_table(pair: tuple[RunData, RunData]) -> None:
    (block,) = join_runs(pair)
    record = block.run.record
    assert block.why == ""
    assert [s.name for s in record.systems if not s.anchor] == ["one", "two", "three"]
    assert record.name == "a + b"
    assert block.run.notes[0] == "From a: one. From b: two, three."
    rows = {row.system.name: row for row in build_tables(record)[0].rows}
    for run in pair:
        for row in build_tables(run.record)[0].rows:
            if not row.system.anchor:
                assert [c.value for c in rows[row.system.name].cells] == [c.value for c in row.cells]


def test_systems_of_different_runs_are_compared_with_the_right_sign(pair: tuple[RunData, RunData]) -> None:
    (block,) = join_runs(pair)
    found = {(c.system_a, c.system_b, c.key): c for c in block.run.record.comparisons}
    assert {(a, b) for a, b, _ in found} == {("one", "two"), ("one", "three"), ("two", "three")}
    psnr = found["one", "two", "psnr"]
    means = [block.run.clip_means(name, "psnr/rgb@1", "psnr") for name in ("one", "two")]
    expected = sum(means[0][clip] - means[1][clip] for clip in means[0]) / len(means[0])
    assert psnr.difference == pytest.approx(expected)
    assert psnr.interval is not None
    assert psnr.interval.low <= expected <= psnr.interval.high
    assert (psnr.verdict == "a_better") == (psnr.interval.low > 0 and (psnr.p_corrected or 0) <= 0.05)
    lmd = found["one", "two", "lmd"]
    means = [block.run.clip_means(name, lmd.protocol, "lmd") for name in ("one", "two")]
    assert lmd.difference == pytest.approx(sum(means[0][c] - means[1][c] for c in means[0]) / len(means[0]))


def test_a_correction_over_all_never_makes_p_smaller(pair: tuple[RunData, RunData]) -> None:
    (block,) = join_runs(pair)
    within = {(c.system_a, c.system_b, c.key): c.p_value for c in pair[1].record.comparisons}
    for entry in block.run.record.comparisons:
        if entry.p_value is not None and entry.p_corrected is not None:
            assert entry.p_corrected >= entry.p_value
        if entry.verdict in ("a_better", "b_better") and entry.p_corrected is not None:
            assert entry.p_corrected <= 0.05
        if (entry.system_a, entry.system_b, entry.key) in within:
            assert entry.p_value == within[entry.system_a, entry.system_b, entry.key]


def test_a_winner_on_fewer_clips_says_so_between_runs_too() -> None:
    """Either run lacks a clip that the other one has."""
    runs = make("a", ("one",)), make("b", ("two",), worse_by=3.0, noise_seed=1)
    lacking = ("one", "clip-00"), ("two", "clip-01")
    runs = tuple(  # type: ignore[assignment]
        dataclasses.replace(run, rows=tuple(row for row in run.rows if (row.system, row.clip) != lost))
        for run, lost in zip(runs, lacking, strict=True)
    )
    (block,) = join_runs(runs)
    found = [c for c in block.run.record.comparisons if c.key in ("psnr", "lmd")]
    assert [c.n_pairs for c in found] == [4, 4]
    assert all("on the 4 clips that both have, of 6 that either has" in c.reason for c in found)


def test_notes_on_the_clips_of_every_run_stay_with_the_names_of_its_systems() -> None:
    note = NoteEntry(system="one", code="more_faces_than_reference", text="more faces are seen", clips=("clip-00",))
    real = NoteEntry(system="ground-truth", code="several_faces", text="more than one face is seen", clips=("clip-00",))
    a = changed(make("a", ("one",)), notes=(real,))
    b = changed(make("b", ("one",), worse_by=3.0, noise_seed=1), notes=(real, note))
    (block,) = join_runs((a, b))
    assert [n.system for n in block.run.record.notes] == ["ground-truth", "one (b)"]
    assert any(text.startswith("Clips of one (b): more faces are seen") for text in clip_notes(block.run.record))


def test_counts_hold_shared_anchors_once() -> None:
    runs = [make("a", ("one",)), make("b", ("two",))]
    (block,) = join_runs(runs)
    clips = len(block.run.record.clips)
    systems = len(block.run.record.systems)
    assert block.run.record.counts.planned == clips * systems
    assert block.run.record.counts.done == clips * systems


def test_counts_know_that_anchors_are_run_with_one_of_several_seeds() -> None:
    def with_single_anchors(run: RunData) -> RunData:
        single = {system.name for system in run.record.systems if system.anchor}
        values = tuple(
            value.model_copy(update={"n_planned": 6, "n_scored": min(value.n_scored, 6)})
            if value.system in single
            else value
            for value in run.record.values
        )
        units = 6 * len(single) + 6 * 3
        return changed(run, values=values, counts=Counts(planned=units, done=units, failed=0))

    runs = make("a", ("one",), seeds=(0, 1, 2)), make("b", ("two",), seeds=(0, 1, 2), noise_seed=1)
    anchors = len(ANCHORS)
    (block,) = join_runs([with_single_anchors(run) for run in runs])
    # Systems of other values than in the first run, here the frozen face, stand in the table twice.
    frozen = sum(system.kind == "frozen" for system in block.run.record.systems)
    counts = block.run.record.counts
    assert counts.planned == counts.done == 6 * (anchors - 1 + frozen) + 2 * 6 * 3


def test_the_same_system_with_other_values_gets_the_name_of_its_run() -> None:
    a, b = make("old", ("one",)), make("new", ("one",), worse_by=2.0, noise_seed=3)
    (block,) = join_runs([a, b])
    assert [s.name for s in block.run.record.systems if not s.anchor] == ["one (old)", "one (new)"]
    assert {row.system for row in block.run.rows} >= {"one (old)", "one (new)", "ground-truth"}


def test_a_system_with_equal_values_is_shown_once() -> None:
    a = make("a", ("one",))
    (block,) = join_runs([a, changed(a, name="b")])
    assert [s.name for s in block.run.record.systems] == [s.name for s in a.record.systems]
    assert len(block.run.rows) == len(a.rows)
    assert block.run.record.counts.planned == a.record.counts.planned


def test_real_clips_that_score_differently_are_told(pair: tuple[RunData, RunData]) -> None:
    values = tuple(
        v.model_copy(update={"value": v.value + 1.0}) if v.system == "ground-truth" and v.value is not None else v
        for v in pair[1].record.values
    )
    (block,) = join_runs([pair[0], changed(pair[1], values=values)])
    assert any("real clips themselves score differently in b and a" in note for note in block.run.notes)


def other_protocols(run: RunData, **update: Any) -> RunData:
    first, *rest = run.record.protocols
    return changed(run, protocols=(first.model_copy(update=update), *rest))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: changed(r, digests=r.record.digests.model_copy(update={"dataset": "e" * 64})), "another data set"),
        (lambda r: changed(r, clips=r.record.clips[:-1]), "another list of clips: 1 differ"),
        (lambda r: changed(r, config={**r.record.config, "seeds": [1]}), "another list of seeds"),
        (lambda r: changed(r, config={**r.record.config, "media": {"fps": "30"}}), "other frame rate"),
        (lambda r: other_protocols(r, weights=()), "other weights"),
        (lambda r: other_protocols(r, extractors=("another@1",)), "other extractors"),
        (lambda r: other_protocols(r, values=r.record.protocols[0].values[:-1]), "other values"),
        (lambda r: changed(r, protocols=()), "no protocol in common"),
    ],
)
def test_other_terms_keep_runs_apart_and_say_why(pair: tuple[RunData, RunData], change: Any, word: str) -> None:
    other = change(pair[1])
    assert word in incompatibility(pair[0].record, other.record)
    blocks = join_runs([pair[0], other, make("c", ("four",), noise_seed=5)])
    assert [len(blocks), blocks[0].run.record.name] == [2, "a + c"]
    assert word in blocks[1].why
    page = html_report(Material(blocks[0].run, blocks[1:]))
    assert "Not comparable with the first table" in page
    assert word in page


def test_a_protocol_that_one_run_lacks_is_missing_with_the_reason(pair: tuple[RunData, RunData]) -> None:
    kept = tuple(p for p in pair[1].record.protocols if not p.name.startswith("psnr"))
    values = tuple(v for v in pair[1].record.values if not v.protocol.startswith("psnr"))
    (block,) = join_runs([pair[0], changed(pair[1], protocols=kept, values=values)])
    cell = next(v for v in block.run.record.values if v.system == "two" and v.key == "psnr")
    assert cell.value is None
    assert cell.reason == "the run b does not compute this protocol"


def test_runs_without_rows_are_shown_without_comparisons(pair: tuple[RunData, RunData]) -> None:
    (block,) = join_runs([pair[0], dataclasses.replace(pair[1], rows=())])
    between = [c for c in block.run.record.comparisons if c.system_a == "one" and c.key == "psnr"]
    assert {c.verdict for c in between} == {"undefined"}
    assert all(c.reason for c in between)


@pytest.mark.parametrize("options", [{"n_clips": 0}, {"n_clips": 1}, {"systems": ()}, {"failing": 6}])
def test_odd_runs_can_be_joined(options: dict[str, Any], tmp_path: Path) -> None:
    runs = [make("a", **options), make("b", **{"systems": ("two",), **options})]
    paths = write_joint_report(runs, output=tmp_path, formats=TEXTS)
    assert all(path.is_file() for path in paths)


def test_hostile_names_stay_text_in_a_joint_report(tmp_path: Path) -> None:
    a = make(record_factory.HOSTILE[0], record_factory.HOSTILE[:2], n_clips=3)
    b = make("=cmd()", (*record_factory.HOSTILE[:1], record_factory.RTL), n_clips=3, noise_seed=2)
    c = changed(make(record_factory.HOSTILE[2], (record_factory.HOSTILE[4],), n_clips=3), dataset_name="<i>$x$")
    c = changed(c, digests=c.record.digests.model_copy(update={"dataset": "e" * 64}))
    paths = {p.name: p for p in write_joint_report([a, b, c], output=tmp_path, formats=(*TEXTS, "html"), figures=False)}
    page = paths["report.html"].read_text()
    assert "<script>alert" not in page
    assert "<i>$x$" not in page
    assert "\\input{/etc" not in paths["tables.tex"].read_text()
    assert "<script>" not in paths["table.md"].read_text()
    with paths["table-2.csv"].open() as file:
        assert all(not cell.startswith(("=", "+", "@")) for row in csv.reader(file) for cell in row)
    blocks = join_runs([a, b, c])
    assert pdf_report(Material(blocks[0].run, blocks[1:])).startswith(b"%PDF")


def test_files_of_a_joint_report(pair: tuple[RunData, RunData], tmp_path: Path) -> None:
    apart = changed(pair[1], digests=pair[1].record.digests.model_copy(update={"dataset": "e" * 64}))
    paths = write_joint_report([pair[0], apart], output=tmp_path, formats=TEXTS)
    assert [path.name for path in paths] == [
        "table.csv", "values.csv", "table-2.csv", "values-2.csv", "table.json", "table.md", "tables.tex",
    ]  # fmt: skip
    other = json.loads((tmp_path / "table.json").read_text())["other_runs"][0]
    assert "another data set" in other["why_apart"]
    assert {row["system"] for row in other["values"]} >= {"two", "three"}
    assert "Not comparable with the first table: another data set" in (tmp_path / "table.md").read_text()
    tex = (tmp_path / "tables.tex").read_text()
    assert tex.count(r"\label{tab:main}") == tex.count(r"\label{tab:main-2}") == 1


def test_no_run_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run"):
        write_joint_report([], output=tmp_path)


def test_labels_are_unique(pair: tuple[RunData, RunData]) -> None:
    assert run_labels(pair) == ["a", "b"]
    same = [dataclasses.replace(run, folder=Path(folder)) for run, folder in zip((pair[0],) * 2, "xy", strict=True)]
    assert run_labels(same) == ["x", "y"]
    assert run_labels([pair[0], pair[0]]) == ["a #1", "a #2"]


def test_folder_names_are_plain_and_short() -> None:
    assert joint_folder_name([Path("x/a b"), Path("$(c)")]) == "a-b+--c-"
    assert len(joint_folder_name([Path("n" * 200), Path("m" * 200)])) < 120


def test_the_command_joins_runs(pair: tuple[RunData, RunData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, run in zip("ab", pair, strict=True):
        record_factory.write_run(run, tmp_path / "runs" / name, previews=False)
    done = CliRunner().invoke(app, ["report", "runs/a", "runs/b", "-f", "md"], standalone_mode=False)
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(Path("reports/a+b/table.md"))
    text = Path("reports/a+b/table.md").read_text()
    assert all(f"| {name} |" in text for name in ("one", "two", "three"))
    done = CliRunner().invoke(app, ["report", "runs/a", "runs/b", "-f", "md", "--separate"], standalone_mode=False)
    assert done.output.split() == [str(Path(f"runs/{name}/report/table.md")) for name in "ab"]
