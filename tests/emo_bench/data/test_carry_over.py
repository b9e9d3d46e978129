"""Importing or preparing a set again keeps what other commands wrote into its manifest, for the same clips only."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from emo_bench.cli.main import app
from emo_bench.data.carry_over import EarlierManifest, set_by
from emo_bench.data.import_folder import import_videos
from emo_bench.data.manifest import ManifestEntry, read_manifest, write_manifest


def entry(clip: str, *, digest: str = "0", identity: str = "file", **meta: object) -> ManifestEntry:
    return ManifestEntry(id=clip, video=f"{clip}.mkv", identity=identity, sha256={"video": digest * 64}, meta=meta)


def test_people_labels_and_splits_stay(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    known = set_by(
        set_by(entry("a", labels="labels/a", fps=25), "identity", "ann", "data identify"), "split", "dev", "x"
    )
    write_manifest(path, [known, entry("gone")])
    earlier = EarlierManifest(path)
    written = earlier.write([entry("b"), entry("a", fps=30)])
    assert written == read_manifest(path).entries
    a, b = written
    assert (a.identity, a.split, a.meta["labels"], a.meta["fps"]) == ("ann", "dev", "labels/a", 30)
    assert b == entry("b")
    notes = earlier.notes(written)
    assert [note.split(";")[0] for note in notes] == [
        "1 of 2 clips keep the identity that data identify gave them",
        "1 of 2 clips keep the split that x gave them",
        "clips that m.jsonl listed before and lists no more, 1: gone",
    ]


def test_another_file_of_the_same_name_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [set_by(entry("a", labels="labels/a"), "identity", "ann", "data identify")])
    earlier = EarlierManifest(path)
    assert earlier.write([entry("a", digest="1")]) == (entry("a", digest="1"),)
    assert earlier.notes([entry("a", digest="1")]) == []


def test_an_identity_that_was_only_named_may_be_named_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [entry("a", identity="old")])
    assert EarlierManifest(path).write([entry("a", identity="new")])[0].identity == "new"


def test_an_interruption_loses_no_clip_that_was_not_reached(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    marked = [set_by(entry(clip), "identity", "ann", "data identify") for clip in "abc"]
    write_manifest(path, marked)
    EarlierManifest(path).write([entry("a")], unfinished=True)  # and no more
    assert EarlierManifest(path).write([entry(clip) for clip in "abd"]) == (*marked[:2], entry("d"))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"id": 1}\n'])
def test_a_damaged_manifest_gives_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(content)
    assert EarlierManifest(path).write([entry("a")]) == (entry("a"),)
    assert read_manifest(path).entries == (entry("a"),)


def test_import_after_labels_and_splits(tiny, tmp_path: Path) -> None:
    for name in ("one", "two"):
        tiny.clip(tmp_path / f"{name}.mkv", person=0)
    (tmp_path / "facts.csv").write_text("id,identity,style\none,ann,photo\n", encoding="utf-8")
    given = ["data", "import", str(tmp_path), "--quiet"]
    labelled = CliRunner().invoke(app, [*given, "--labels", str(tmp_path / "facts.csv")])
    assert labelled.exit_code == 0, labelled.output
    before = read_manifest(tmp_path / "manifest.jsonl").entries
    again = import_videos(tmp_path)
    assert read_manifest(tmp_path / "manifest.jsonl").entries == again.entries == before
    assert any("keep the identity that a file of labels gave" in notice for notice in again.notices)
    by_name = {item.id: item for item in again.entries}
    assert (by_name["one"].identity, by_name["one"].meta["style"]) == ("ann", "photo")
    assert by_name["two"].identity == "two"
