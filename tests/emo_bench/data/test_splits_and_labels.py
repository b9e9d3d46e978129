"""Published splits and TalkVid's labels, written into manifests of small folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tiny_sets import write_tiny_set
from typer.testing import CliRunner

import emo_bench
from emo_bench.cli.main import app
from emo_bench.data.label_tables import OWN_META, read_label_file
from emo_bench.data.manifest import people_of_several_splits, read_manifest, write_manifest
from emo_bench.data.published_splits import published_splits, write_split
from emo_bench.data.talkvid import labelled, read_labels
from emo_core.errors import ConfigError, DataError


def hdtf(folder: Path) -> Path:
    """Three clips under names of HDTF's."""
    path = write_tiny_set(folder)
    names = ("WRA_TomPrice_000", "wra_erikpaulsen_000-02", "RD_Radio46_000")
    entries = [
        entry.model_copy(update={"id": name}) for entry, name in zip(read_manifest(path).entries, names, strict=True)
    ]
    write_manifest(path, entries)
    return path


def test_every_split_has_a_source_and_no_name_twice() -> None:
    known = published_splits()
    assert {"gagavatar-test", "difftalk-train", "omniavatar-test"} <= set(known)
    for split in known.values():
        assert split.source.startswith("https://")
        assert len(set(split.clips)) == len(split.clips)
    assert len(known["gagavatar-test"].clips) == 19


def test_a_published_split(tmp_path: Path) -> None:
    path = hdtf(tmp_path)
    found = write_split(path, "gagavatar-test", output=tmp_path / "new.jsonl")
    assert found.listed == ("WRA_TomPrice_000", "wra_erikpaulsen_000-02")
    assert len(found.missing) == 17
    splits = {entry.id: entry.split for entry in read_manifest(tmp_path / "new.jsonl").entries}
    assert splits == {"WRA_TomPrice_000": "test", "wra_erikpaulsen_000-02": "test", "RD_Radio46_000": "train"}
    write_split(path, "difftalk-train")
    assert {entry.id for entry in read_manifest(path).entries if entry.split == "train"} == {"RD_Radio46_000"}
    with pytest.raises(ConfigError, match="not public"):
        write_split(path, "hallo-test")
    with pytest.raises(ConfigError, match="gagavatar-test"):
        write_split(path, "gagavatar")
    with pytest.raises(DataError, match="no clip"):
        write_split(write_tiny_set(tmp_path / "other"), "gagavatar-test")


def test_people_on_both_sides_of_a_split_are_named(tmp_path: Path) -> None:
    path = hdtf(tmp_path)
    given = enumerate(read_manifest(path).entries)
    entries = [entry.model_copy(update={"identity": f"p{number % 2}"}) for number, entry in given]
    write_manifest(path, entries)
    assert people_of_several_splits(entries) == {}
    result = CliRunner().invoke(app, ["data", "split", str(path), "--published", "difftalk-train"])
    assert "note: people in several splits: p0 (test, train)" in result.stderr
    assert people_of_several_splits(read_manifest(path).entries) == {"p0": ("test", "train")}


def test_labels_of_talkvid(tmp_path: Path) -> None:
    entries = read_manifest(write_tiny_set(tmp_path)).entries
    rows = [
        {"id": "CLIP-00", "info": {"Person ID": "597", "Gender": "Male", "Language": "English", "Age Group": "60+"}},
        {"id": "clip-01", "info": {"Person ID": "597", "Gender": "Male"}},
    ]
    for text in (json.dumps(rows), "\n".join(map(json.dumps, rows))):
        (tmp_path / "labels.json").write_text(text, encoding="utf-8")
        found, without = labelled(entries, read_labels(tmp_path / "labels.json"))
        assert [entry.identity for entry in found] == ["talkvid-597", "talkvid-597", "person-2"]
        assert found[0].meta == {
            "gender": "Male",
            "language": "English",
            "age": "60+",
            "identity_by": "a file of labels",
        }
        assert without == ["clip-02"]
    for text, said in (("{", "not JSON"), ('[{"id": 3}]', "another form"), (json.dumps([rows[0], rows[0]]), "repeats")):
        (tmp_path / "labels.json").write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=said):
            read_labels(tmp_path / "labels.json")


def test_labels_of_a_clip_are_not_given_to_another_of_its_name_in_a_folder(tmp_path: Path) -> None:
    entries = read_manifest(write_tiny_set(tmp_path, n_clips=3)).entries
    names = ("clip-01", "other__clip-01", "clip-02")
    entries = tuple(e.model_copy(update={"id": name}) for e, name in zip(entries, names, strict=True))
    (tmp_path / "labels.csv").write_text("id,person\nclip-01,anna\nclip-02,ben\n", encoding="utf-8")
    clips, without = labelled(entries, read_label_file(tmp_path / "labels.csv"))
    assert [clip.identity for clip in clips] == ["anna", "person-1", "ben"]
    assert without == ["other__clip-01"]


def test_labels_of_a_table(tmp_path: Path) -> None:
    entries = read_manifest(write_tiny_set(tmp_path, n_clips=3)).entries
    table = tmp_path / "labels.csv"
    table.write_text(
        "File,Speaker,language,style\nsub/CLIP-00.mp4,anna,de,calm\nclip-01,,en,\nother.mp4,x,y,z\n", encoding="utf-8"
    )
    clips, without = labelled(entries, read_label_file(table))
    assert [(clip.identity, clip.meta) for clip in clips] == [
        ("anna", {"language": "de", "style": "calm", "identity_by": "a file of labels"}),
        ("person-1", {"language": "en"}),
        ("person-2", {}),
    ]
    assert without == ["clip-02"]


def test_a_dot_in_an_id_is_no_ending(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("id,person\nanna,a\nanna.v2,b\nanna.v3.MP4,c\n", encoding="utf-8")
    assert {name: found.identity for name, found in read_label_file(table).items()} == {
        "anna": "a", "anna.v2": "b", "anna.v3": "c",
    }  # fmt: skip


def test_the_list_of_emtd(tmp_path: Path) -> None:
    """Segments of one video are one person; clips have the names that the published script gives them."""
    table = tmp_path / "list.txt"
    address = "https://www.youtube.com/watch?v="
    table.write_text(
        f"URL,Start Timecode,End Timecode\n{address}abcdefghij1,00:00:54.596,00:01:01.561\n"
        f"{address}abcdefghij1,00:02:04.207,00:02:11.006\n{address}-_cdefghij2&t=3,00:00:01,00:00:09\n",
        encoding="utf-8",
    )
    labels = read_label_file(table)
    entries = [
        entry.model_copy(update={"id": name})
        for entry, name in zip(
            read_manifest(write_tiny_set(tmp_path, n_clips=3)).entries,
            ("000_abcdefghij1", "001_abcdefghij1", "002_-_cdefghij2"),
            strict=True,
        )
    ]
    clips, without = labelled(entries, labels)
    assert without == []
    assert [clip.identity for clip in clips] == ["emtd-abcdefghij1", "emtd-abcdefghij1", "emtd--_cdefghij2"]
    told = {"source": "abcdefghij1", "start": "00:00:54.596", "end": "00:01:01.561"}
    assert clips[0].meta == {**told, "identity_by": "a file of labels"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty table"),
        ("id,age\n", "empty table"),
        ("name,age\na,1\n", "no column of ids"),
        ("id,age\na,1\nA.mp4,2\n", "row 3 repeats an id"),
        ("id,name,ID\na,b,c\n", "columns of one name"),
        ("id,,\na,b,c\n", "columns of one name"),
        ("id,age\n,1\n", "row 2 has no id"),
        ('id,title\na,"open\nb,1\n', "line 3 is no CSV"),
        (f"id,title\na,{'x' * 200_000}\n", "line 2 is no CSV"),
        ("id,fps,reenacted\na,50,no\n", r"facts of their own[\s\S]*fps, reenacted"),
        ("id,age\na\n", "row 2 has another number of columns"),
        ("id,age\na,1,2\n", "row 2 has another number of columns"),
        ("URL,Start Timecode,End Timecode\nhttps://example.org,1,2\n", "row 2 has no video"),
    ],
)
def test_tables_of_another_form(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_label_file(table)


@pytest.mark.parametrize("name", ["labels.csv", "labels.json"])
def test_labels_in_another_encoding_do_not_make_two_people_one(tmp_path: Path, name: str) -> None:
    texts = {
        "labels.csv": "id,identity\na,José\nb,Josè\n",
        "labels.json": '[{"id": "a", "info": {"Person ID": "José"}}, {"id": "b", "info": {"Person ID": "Josè"}}]',
    }
    (tmp_path / name).write_bytes(texts[name].encode("cp1252"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_label_file(tmp_path / name)
    (tmp_path / name).write_text(texts[name], encoding="utf-8-sig")
    assert len({labels.identity for labels in read_label_file(tmp_path / name).values()}) == 2


def test_labels_without_a_folder_are_not_given_to_clips_of_two_folders(tmp_path: Path) -> None:
    entries = [
        entry.model_copy(update={"id": name})
        for entry, name in zip(
            read_manifest(write_tiny_set(tmp_path, n_clips=3)).entries, ("a__take", "b__take", "c__other"), strict=True
        )
    ]
    table = tmp_path / "labels.csv"
    table.write_text("file,identity\na/take.mp4,anna\n", encoding="utf-8")
    with pytest.raises(DataError, match="fit 2 clips"):
        labelled(entries, read_label_file(table))
    table.write_text("id,identity\na__take,anna\nb__take,ben\nother,cara\n", encoding="utf-8")
    clips, without = labelled(entries, read_label_file(table))
    assert [clip.identity for clip in clips] == ["anna", "ben", "cara"]
    assert without == []
    table.write_text("id,identity\na__take,anna\ntake,ben\n", encoding="utf-8")
    assert [clip.identity for clip in labelled(entries, read_label_file(table))[0]] == ["anna", "ben", "person-2"]


def test_no_table_can_set_what_the_program_reads_of_a_clip() -> None:
    """Every key of ``meta`` that is read somewhere is either reserved or meant to be given by people."""
    given = {"style", "licence"}
    root = Path(emo_bench.__file__).parent
    read = {
        found
        for path in root.rglob("*.py")
        for found in re.findall(r"meta(?:\.get\(|\[)\"(\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert {"fps", "labels"} <= read
    assert read - given <= OWN_META


def test_cells_may_hold_line_breaks_of_every_kind(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    text = 'id,title,note\r\nclip-00,one\u2028two,"first\nsecond"\r\nclip-01,three,\r\n'
    table.write_bytes(text.encode("utf-8"))
    found = read_label_file(table)
    assert found["clip-00"].meta == {"title": "one\u2028two", "note": "first\nsecond"}
    assert found["clip-01"].meta == {"title": "three"}
