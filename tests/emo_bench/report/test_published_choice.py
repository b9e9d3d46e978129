"""Published tables stand in grey beside runs on their data set, without being asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import record_factory
from record_factory import dataclasses
from typer.testing import CliRunner

from emo_bench.cli.main import app
from emo_bench.config.load import read_yaml, validate
from emo_bench.config.schema import RunConfig
from emo_bench.data.manifest import ManifestEntry, write_manifest
from emo_bench.data.sets.kind import open_dataset
from emo_bench.record.published import find_published, published_tables
from emo_bench.record.run_data import RunData
from emo_bench.report import write_report
from emo_bench.report.published_choice import chosen_tables, is_on_dataset
from emo_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def on(dataset: str, *, synthetic: bool = False) -> RunData:
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",), synthetic=synthetic)
    return dataclasses.replace(run, record=run.record.model_copy(update={"dataset_name": dataset}))


@pytest.mark.parametrize(
    ("dataset", "found"),
    [("hdtf", True), ("HDTF-512", True), ("my_hdtf", True), ("hdtfx", False), ("HDTF-Synth (mini)", True), ("", False)],
)
def test_the_data_set_decides(dataset: str, found: bool) -> None:
    assert is_on_dataset(on(dataset).record, find_published("emo-table1-hdtf")) is found


def test_clips_of_a_program_never_get_numbers_of_real_ones() -> None:
    assert chosen_tables(on("HDTF-Synth (mini)", synthetic=True).record, None) == []


def test_tables_on_other_data_are_left_out() -> None:
    names = {table.table for table in chosen_tables(on("hdtf").record, None)}
    assert names == {"Table 1, HDTF", "Table 2, speed layers"}
    assert chosen_tables(on("somewhere else").record, None) == []


def test_tables_can_be_asked_for_by_name_or_file_or_not_at_all() -> None:
    record = on("hdtf").record
    path = ROOT / "configs" / "published" / "emo-user-study.yaml"
    wanted = chosen_tables(record, ["emo-table1-internet", path])
    assert [table.table for table in wanted] == ["Table 1, internet clips", "Supplement Table 1, user study"]
    assert chosen_tables(record, []) == []
    with pytest.raises(ConfigError, match="no published table"):
        chosen_tables(record, ["emo-table9"])


def test_a_run_on_hdtf_has_the_papers_table_in_grey_in_every_format(tmp_path: Path) -> None:
    paths = write_report(on("hdtf"), output=tmp_path, formats=("md", "html", "latex"), figures=False)
    markdown, page, tex = (path.read_text() for path in paths)
    for text in (markdown, page, tex):
        assert "67.66" in text
        assert "never ranked" in text or "not comparable" in text
    assert r"\color{gray}" in tex
    block = page[page.index('id="section-published-1"') :].split("</section>")[0]
    assert "67.66" in block
    assert 'class="best"' not in block


def test_the_suite_of_the_papers_table_is_on_its_data_set(tmp_path: Path) -> None:
    """The name of the data set comes from the folder that the suite's manifest lies in."""
    suite = validate(RunConfig, read_yaml(ROOT / "configs" / "suites" / "hdtf-table1.yaml"))
    folder = tmp_path / "data" / "hdtf"
    folder.mkdir(parents=True)
    entry = ManifestEntry(id="a", video="a.mp4", identity="p", split="test", sha256={"video": "0" * 64})
    write_manifest(folder / "manifest.jsonl", [entry])
    base = tmp_path / "configs" / "suites"
    base.mkdir(parents=True)
    opened = open_dataset(suite, base)
    assert not opened.synthetic
    record = on(opened.name).record
    assert any(table.value("EMO", "FID") == 8.76 for table in chosen_tables(record, None))


def test_all_shipped_tables_can_be_read() -> None:
    assert len(published_tables()) >= 4


def test_the_command_can_leave_them_out(tmp_path: Path) -> None:
    folder = record_factory.write_run(on("hdtf"), tmp_path / "run", previews=False)
    with_them = CliRunner().invoke(app, ["report", str(folder), "-f", "md"], standalone_mode=False)
    assert with_them.exit_code == 0, with_them.output
    assert "67.66" in (folder / "report" / "table.md").read_text()
    CliRunner().invoke(app, ["report", str(folder), "-f", "md", "--published", "none"], standalone_mode=False)
    assert "67.66" not in (folder / "report" / "table.md").read_text()
    CliRunner().invoke(app, ["report", str(folder), "-f", "md", "--published", "emo-user-study"], standalone_mode=False)
    assert "Vividness" in (folder / "report" / "table.md").read_text()
