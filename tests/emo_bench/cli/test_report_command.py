"""``emo-bench report`` on folders that are not as they should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import record_factory
from typer.testing import CliRunner, Result

from emo_bench.cli.main import app
from emo_core.errors import ConfigError, RecordError


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments], standalone_mode=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = record_factory.make_run(n_clips=2, systems=("one",), anchors=("ground_truth",), failing=0)
    return record_factory.write_run(made, tmp_path / "runs" / "good", previews=False)


@pytest.fixture
def newer(run: Path) -> Path:
    folder = run.parent / "newer"
    folder.mkdir()
    record = json.loads((run / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps({**record, "schema_version": 99, "field_of_the_future": 1}))
    return folder


def test_a_record_of_a_newer_version_is_refused_also_beside_good_ones(run: Path, newer: Path) -> None:
    for arguments in ((str(newer),), (str(run), str(newer)), (str(run), str(newer), "--separate")):
        done = ask(*arguments, "-o", str(run.parent / "out"), "-f", "md")
        assert isinstance(done.exception, RecordError)
        assert "update emo-bench" in done.exception.fix


def test_a_refused_run_leaves_no_joint_report(run: Path, newer: Path) -> None:
    ask(str(run), str(newer), "-o", str(run.parent / "out"), "-f", "md")
    assert not (run.parent / "out").exists()


def test_a_folder_without_a_record_says_what_one_is(tmp_path: Path) -> None:
    done = ask(str(tmp_path))
    assert isinstance(done.exception, RecordError)
    assert "emo-bench run" in done.exception.fix


def test_a_record_alone_is_enough(run: Path) -> None:
    (run / "clips.parquet").unlink()
    (run / "series.parquet").unlink()
    assert ask(str(run), "-f", "md").exit_code == 0
    assert "clips.parquet is missing" in (run / "report" / "table.md").read_text()


def test_unknown_formats_and_tables_are_told(run: Path) -> None:
    for arguments in (("-f", "docx"), ("--published", "no-such-table"), ("--published", "no-such-file.yaml")):
        done = ask(str(run), *arguments)
        assert isinstance(done.exception, ConfigError), done.output


def test_several_runs_can_be_written_one_by_one(run: Path, tmp_path: Path) -> None:
    second = record_factory.write_run(
        record_factory.make_run(name="second", n_clips=2, systems=("two",), anchors=("ground_truth",), failing=0),
        run.parent / "second",
        previews=False,
    )
    done = ask(str(run), str(second), "--separate", "-o", str(tmp_path / "out"), "-f", "md")
    assert done.exit_code == 0, done.output
    assert {path.parent.name for path in (tmp_path / "out").rglob("table.md")} == {"good", "second"}
