"""Numbers that rest on unequal clips or frames are never ranked silently."""

from __future__ import annotations

import dataclasses

import pytest
import record_factory

from emo_bench.record.columns import Column, columns_of
from emo_bench.record.coverage import lost_coverage, uneven_coverage
from emo_bench.record.rows import ClipRow, read_rows, write_rows
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import ValueEntry
from emo_bench.report.content import Material
from emo_bench.report.notes import table_notes
from emo_bench.report.tables import build_tables, rank_marks
from emo_bench.report.text_tables import markdown_report

SURE = "a_better"


@pytest.fixture(scope="module")
def run() -> RunData:
    return record_factory.make_run(failing=0)


def psnr(run: RunData) -> Column:
    return next(column for column in columns_of(run.record) if column.value.key == "psnr")


def changed(run: RunData, system: str, **fields: object) -> RunData:
    values = tuple(
        value.model_copy(update=fields) if (value.system, value.key) == (system, "psnr") else value
        for value in run.record.values
    )
    return dataclasses.replace(run, record=run.record.model_copy(update={"values": values}))


def test_equal_coverage_is_ranked_and_not_talked_of(run: RunData) -> None:
    assert uneven_coverage(run.record, psnr(run)) == ""
    assert rank_marks(run.record, psnr(run))
    assert "Not ranked" not in markdown_report(Material(run))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n_scored": 11}, "clips: emo-synth 12/12, wav2lip-like 11/12"),
        ({"frame_coverage": 0.85}, "frames: emo-synth 100 %, wav2lip-like 85 %"),
        ({"value": None, "status": "failed"}, "clips: emo-synth 12/12, wav2lip-like 0/12"),
    ],
)
def test_unequal_coverage_takes_the_marks_away_and_says_so(run: RunData, fields: dict[str, object], words: str) -> None:
    other = changed(changed(run, "emo-synth", frame_coverage=1.0), "wav2lip-like", frame_coverage=1.0)
    assert rank_marks(other.record, psnr(run))
    uneven = changed(other, "wav2lip-like", **fields)
    assert uneven_coverage(uneven.record, psnr(run)) == words
    assert rank_marks(uneven.record, psnr(run)) == {}
    (note,) = [note for note in table_notes(uneven.record, build_tables(uneven.record)[0]) if "Not ranked" in note]
    assert "PSNR" in note
    assert "--common" in note


def test_one_frame_in_a_hundred_is_no_difference(run: RunData) -> None:
    near = changed(changed(run, "emo-synth", frame_coverage=1.0), "wav2lip-like", frame_coverage=0.991)
    assert uneven_coverage(near.record, psnr(run)) == ""


def test_the_share_stands_beside_the_number(run: RunData) -> None:
    text = markdown_report(Material(changed(run, "wav2lip-like", frame_coverage=0.85, n_scored=11)))
    assert "<sub>11/12 clips, 85 % of frames</sub>" in text


def entry(**fields: object) -> ValueEntry:
    base = {"system": "a", "protocol": "p@1", "key": "v", "value": 1.0, "status": "ok", "n_planned": 3, "n_scored": 3}
    return ValueEntry.model_validate({**base, **fields})


def test_what_a_newer_run_lost_is_told() -> None:
    whole = entry(frame_coverage=1.0)
    assert lost_coverage(whole, whole) == ""
    assert lost_coverage(None, whole) == ""
    assert "2 clips, before on 3" in lost_coverage(whole, entry(n_scored=2))
    assert "85 % of the frames, before on 100 %" in lost_coverage(whole, entry(frame_coverage=0.85))
    assert "no face" in lost_coverage(whole, entry(value=None, status="failed", reason="no face"))
    assert lost_coverage(entry(frame_coverage=0.85), whole) == ""


def test_rows_of_older_runs_have_no_share(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import pyarrow.parquet as pq

    common = {"system": "a", "identity": "p", "protocol": "x@1", "key": "v", "seed": 0, "status": "ok"}
    rows = [ClipRow(**common, clip="a", value=0.1, coverage=0.5), ClipRow(**common, clip="b", value=0.2)]
    path = write_rows(tmp_path, rows)
    assert [row.coverage for row in read_rows(path)] == [0.5, None]
    pq.write_table(pq.read_table(path).drop_columns(["coverage"]), path)
    assert [(row.value, row.coverage) for row in read_rows(path)] == [(0.1, None), (0.2, None)]
