"""Records and rows: what is written is read, equal records are equal bytes, and damage is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from emo_bench.record.provenance import git_state, provenance
from emo_bench.record.rows import CLIP_COLUMNS, ClipRow, rows_table, write_rows
from emo_bench.record.schema import RunRecord
from emo_bench.record.store import read_record, write_record
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_core.errors import RecordError

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tiny, tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("record")
    suite = tiny.suite(tiny_set, root, anchors=["frozen"], metrics=["flicker/luma@1"])
    run_suite(load_suite(suite, ["report.title=Ä <title>"]))
    return root / "run"


def test_a_record_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    record = read_record(folder)
    assert record == read_record(folder / "record.json")
    written = write_record(tmp_path, record)
    assert written.read_bytes() == (folder / "record.json").read_bytes()
    assert (record.title, record.overrides) == ("Ä <title>", ("report.title=Ä <title>",))
    assert record.config_given == (folder.parent / "suite.yaml").read_text(encoding="utf-8")


def test_a_record_holds_what_is_needed_to_trust_it(folder: Path) -> None:
    record = read_record(folder)
    assert record.synthetic is False
    assert (record.counts.planned, record.counts.done, record.counts.failed) == (6, 6, 0)
    assert len(record.digests.config) == len(record.digests.dataset) == 64
    assert {"numpy", "av"} <= set(record.provenance.packages)
    assert record.provenance.host["cores"].isdigit()
    assert record.timings.by_stage.keys() == {"prepare", "generate", "extract"}
    assert [system.name for system in record.systems] == ["ground-truth", "frozen"]


def test_the_schema_accepts_it_and_is_that_of_the_code(folder: Path) -> None:
    schema = json.loads((REPOSITORY / "configs" / "schema" / "record.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((folder / "record.json").read_text(encoding="utf-8")), schema)
    assert schema == json.loads(json.dumps({"$schema": schema["$schema"], **RunRecord.model_json_schema()}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: {**raw, "schema_version": 2}, "update emo-bench"),
        (lambda raw: {**raw, "schema_version": None}, "run the suite again"),
        (lambda raw: {**raw, "counts": {}}, "counts.planned"),
        (lambda raw: {**raw, "colour": 1}, "colour"),
        (lambda raw: [raw], "a JSON object"),
    ],
)
def test_other_records_are_refused(folder: Path, tmp_path: Path, change, words: str) -> None:
    raw = change(json.loads((folder / "record.json").read_text(encoding="utf-8")))
    (tmp_path / "record.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        read_record(tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe"])
def test_damage_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "record.json").write_bytes(data)
    with pytest.raises(RecordError, match="damaged"):
        read_record(tmp_path)
    with pytest.raises(RecordError, match="no run record at"):
        read_record(tmp_path / "absent")


def test_rows_keep_types_and_missing_values(tmp_path: Path) -> None:
    common = {"system": "a", "clip": "ü", "identity": "p", "protocol": "x@1", "key": "v"}
    rows = [
        ClipRow(**common, seed=0, value=0.1, status="ok"),
        ClipRow(**common, seed=2**40, value=None, status="no_face", reason="nobody"),
    ]
    write_rows(tmp_path, rows)
    table = rows_table(tmp_path)
    assert list(table.columns) == list(CLIP_COLUMNS)
    assert table["value"].tolist()[0] == 0.1
    assert table["value"].isna().tolist() == [False, True]
    assert table["seed"].tolist() == [0, 2**40]
    first = (tmp_path / "clips.parquet").read_bytes()
    write_rows(tmp_path, rows)
    assert (tmp_path / "clips.parquet").read_bytes() == first
    assert list(rows_table(tmp_path / "absent").columns) == list(CLIP_COLUMNS)
    write_rows(tmp_path, [])
    assert len(rows_table(tmp_path)) == 0


def test_git_state(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "absent") is None

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "f").write_text("1", encoding="utf-8")
    git("add", "f")
    git("commit", "-m", "first")
    clean = git_state(tmp_path)
    assert clean is not None
    assert (len(clean.commit), clean.dirty) == (40, False)
    (tmp_path / "f").write_text("2", encoding="utf-8")
    assert git_state(tmp_path).dirty
    assert provenance(device="cpu", folder=tmp_path).git.commit == clean.commit
