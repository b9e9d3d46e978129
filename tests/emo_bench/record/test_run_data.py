from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import record_factory

from emo_bench.report import load_run
from emo_core.errors import RecordError


def test_a_run_folder_comes_back_as_it_was_written(run_folder: Path) -> None:
    written = record_factory.make_run()
    read = load_run(run_folder)
    assert read.record.model_copy(update={"seal": None, "timings": written.record.timings}) == written.record
    assert (read.damage, read.unsealed) == ((), False)
    assert read.rows == written.rows
    assert len(read.series) == len(written.series)
    assert len(read.previews) == 2 * len(read.record.systems)
    assert read.notes == ()


def test_the_record_file_itself_may_be_named(run_folder: Path) -> None:
    assert load_run(run_folder / "record.json").record.name == "quickstart"


@pytest.mark.parametrize(("version", "advice"), [(0, "run the suite again"), (2, "update emo-bench"), ("x", "again")])
def test_other_versions_are_refused_with_advice(tmp_path: Path, version: object, advice: str) -> None:
    record = json.loads(record_factory.make_run(n_clips=2, anchors=("ground_truth",)).record.model_dump_json())
    (tmp_path / "record.json").write_text(json.dumps({**record, "schema_version": version}))
    with pytest.raises(RecordError, match="another version") as caught:
        load_run(tmp_path)
    assert advice in caught.value.fix


@pytest.mark.parametrize("text", ["", "not json", "[1]", "{}", '{"schema_version": 1}'])
def test_damaged_records_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(RecordError):
        load_run(tmp_path)


def test_a_missing_record_says_where_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no run record"):
        load_run(tmp_path)


def test_missing_and_broken_extra_files_leave_a_note(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    (tmp_path / "record.json").write_text(run.record.model_dump_json())
    assert any("clips.parquet is missing" in note for note in load_run(tmp_path).notes)
    (tmp_path / "clips.parquet").write_bytes(b"PAR1 broken")
    (tmp_path / "previews").mkdir()
    (tmp_path / "previews" / "index.json").write_text("{")
    notes = " ".join(load_run(tmp_path).notes)
    assert "clips.parquet cannot be read" in notes
    assert "index.json cannot be read" in notes


def test_previews_never_come_from_outside_of_their_folder(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    (tmp_path / "record.json").write_text(run.record.model_dump_json())
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "previews").mkdir()
    entries = [{"clip": "clip-00", "system": "emo-synth", "file": name} for name in ("../secret.mp4", "absent.mp4")]
    (tmp_path / "previews" / "index.json").write_text(json.dumps(entries))
    assert load_run(tmp_path).previews == ()


def test_numbers_that_are_not_finite_are_no_values(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    broken = record_factory.dataclasses.replace(run.rows[0], value=math.nan)
    record_factory.write_run(record_factory.dataclasses.replace(run, rows=(broken,)), tmp_path, previews=False)
    row = load_run(tmp_path).rows[0]
    assert row.value is None
    assert row.status == "undefined"


def test_a_clip_counts_only_when_every_seed_has_a_value() -> None:
    run = record_factory.make_run(n_clips=2, seeds=(0, 1), anchors=("ground_truth",), failing=0)
    rows = [row for row in run.rows if (row.system, row.key) == ("emo-synth", "psnr")]
    rows[0] = record_factory.dataclasses.replace(rows[0], value=None, status="no_face")
    means = record_factory.dataclasses.replace(run, rows=tuple(rows)).clip_means("emo-synth", "psnr/rgb@1", "psnr")
    assert list(means) == ["clip-01"]
    assert means["clip-01"] == pytest.approx((rows[2].value + rows[3].value) / 2)
