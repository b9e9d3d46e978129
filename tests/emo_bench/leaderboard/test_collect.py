"""Which records count: everything else is named with its reason."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import record_factory

from emo_bench.leaderboard.collect import collect
from emo_bench.record.proof import write_proof
from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import sealed
from emo_bench.record.store import read_record, write_record
from emo_core.errors import ConfigError


@pytest.fixture
def folder(records: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(records, tmp_path / "records"))


def edit(path: Path, **changes: Any) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")


def reasons(folder: Path) -> dict[str, tuple[str, str]]:
    return {item.place: (item.why, item.reason) for item in collect(folder).exclusions}


def test_every_whole_record_counts_wherever_it_lies(folder: Path) -> None:
    found = collect(folder)
    assert [entry.place for entry in found.entries] == ["a", "b", "c", "deep/few"]
    assert found.exclusions == ()
    assert all(entry.reproduced == "" for entry in found.entries)


def test_reasons_name_no_place_outside_the_folder(folder: Path) -> None:
    """They stand on pages that are published."""
    for name, spoil in (("run-only", "run/record.json"), ("proof-only", "proof.json")):
        again = folder / name
        shutil.copytree(folder / "a", again / "run")
        write_proof(again, folder / "a", again / "run", exact=True, tolerance=0.001)
        (again / spoil).write_bytes(b"{" * 100_000)
    (folder / "b" / "record.json").unlink()
    (folder / "b" / "record.json").symlink_to(folder / "b" / "record.json")
    for place in (folder, Path(os.path.relpath(folder))):
        found = reasons(place)
        assert {name for name, (why, _) in found.items() if why == "proof"} == {"run-only", "proof-only"}
        assert found["proof-only"][1] == "proof-only/proof.json is too large"
        assert found["b"][0] == "unreadable"
        assert not any(str(folder) in reason for _, reason in found.values())


def test_a_changed_number_is_found(folder: Path) -> None:
    path = folder / "a" / "record.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    next(entry for entry in values["values"] if entry["value"])["value"] += 1
    path.write_text(json.dumps(values), encoding="utf-8")
    assert reasons(folder)["a"][0] == "altered"
    assert [entry.place for entry in collect(folder).entries] == ["b", "c", "deep/few"]


def test_rows_of_another_run_are_found(folder: Path) -> None:
    shutil.copyfile(folder / "b" / "clips.parquet", folder / "a" / "clips.parquet")
    why, reason = reasons(folder)["a"]
    assert why == "altered"
    assert "clips.parquet is not the file" in reason


@pytest.mark.parametrize(
    ("changes", "why", "words"),
    [
        ({"schema_version": 99}, "unreadable", "another version"),
        ({"values": "none"}, "unreadable", "damaged"),
        ({"seal": None}, "unsealed", "no seal"),
    ],
)
def test_other_schemas_and_records_without_seal(folder: Path, changes: dict[str, Any], why: str, words: str) -> None:
    edit(folder / "a" / "record.json", **changes)
    found = reasons(folder)
    assert set(found) == {"a"}
    assert found["a"][0] == why
    assert words in found["a"][1]
    assert str(folder) not in found["a"][1]


def test_text_that_is_no_json_is_named(folder: Path) -> None:
    (folder / "b" / "record.json").write_text("[" * 100_000, encoding="utf-8")
    assert reasons(folder)["b"][0] == "unreadable"


def test_a_cancelled_run_and_one_without_values(folder: Path) -> None:
    for name, update in (("a", {"status": "cancelled"}), ("b", {"values": ()})):
        record = read_record(folder / name).model_copy(update=update)
        write_record(folder / name, sealed(record, folder / name))
    assert {place: why for place, (why, _) in reasons(folder).items()} == {"a": "cancelled", "b": "empty"}


def test_a_copy_counts_once(folder: Path) -> None:
    shutil.copytree(folder / "a", folder / "z")
    assert reasons(folder) == {"z": ("repeated", "equal to a")}


def test_missing_media_costs_nothing_but_is_told(folder: Path) -> None:
    run = record_factory.make_run(name="filmed", systems=("seen",), n_clips=2, failing=0)
    record_factory.write_run(run, folder / "filmed", previews=True)
    for name in ("previews", "clips.parquet"):
        target = folder / "filmed" / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    found = {entry.place: entry for entry in collect(folder).entries}
    assert "clips.parquet" in found["filmed"].missing
    assert any(name.startswith("previews/") for name in found["filmed"].missing)


def test_links_out_of_the_folder_are_not_followed(folder: Path, records: Path) -> None:
    (folder / "link").symlink_to(records / "a", target_is_directory=True)
    assert "link" not in {entry.place for entry in collect(folder).entries}


def test_a_folder_without_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no records below"):
        collect(tmp_path)
    with pytest.raises(ConfigError, match="there is no folder"):
        collect(tmp_path / "absent")


def test_records_are_what_they_were(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    collect(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert isinstance(collect(folder).entries[0].record, RunRecord)
