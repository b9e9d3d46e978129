"""Manifests that escape, repeat themselves, lie or are not JSON at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_bench.data.manifest import Manifest, ManifestEntry, file_hashes, read_manifest, write_manifest
from emo_core.errors import DataError

DIGEST = "a" * 64
SOUND = {"id": "c", "video": "c.mp4", "identity": "p", "sha256": {"video": DIGEST}}


def entry(**changes: Any) -> ManifestEntry:
    return ManifestEntry.model_validate_json(json.dumps({**SOUND, **changes}), strict=True)


@pytest.mark.parametrize(
    "path",
    [
        "../c.mp4",
        "a/../../c.mp4",
        "a/..",
        "/etc/passwd",
        "//host/share/c.mp4",
        "C:/c.mp4",
        "c:c.mp4",
        "C:\\c.mp4",
        "a\\..\\c.mp4",
        "\\\\host\\c.mp4",
        "a\0.mp4",
        "file:///etc/passwd",
        "concat:a|b",
        "",
    ],
)
@pytest.mark.parametrize("field", ["video", "audio", "truth"])
def test_paths_stay_inside(path: str, field: str) -> None:
    with pytest.raises(ValueError, match="stays inside the manifest's folder"):
        entry(**{field: path, "sha256": {"video": DIGEST, "audio": DIGEST, "truth": DIGEST}})


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_symbolic_links_do_not_lead_out(tmp_path: Path, kind: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "c.mp4").write_bytes(b"secret")
    root = tmp_path / "set"
    root.mkdir()
    if kind == "file":
        (root / "c.mp4").symlink_to(tmp_path / "outside" / "c.mp4")
        relative = "c.mp4"
    else:
        (root / "sub").symlink_to(tmp_path / "outside")
        relative = "sub/c.mp4"
    with pytest.raises(DataError, match="leaves the manifest's folder"):
        Manifest(root, []).path(relative)


def test_links_within_the_folder_and_a_linked_folder_are_fine(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "c.mp4").write_bytes(b"x")
    (tmp_path / "set" / "d.mp4").symlink_to("c.mp4")
    (tmp_path / "link").symlink_to("set")
    manifest = Manifest(tmp_path / "link", [])
    assert manifest.path("d.mp4") == manifest.path("c.mp4") == (tmp_path / "set" / "c.mp4").resolve()


@given(st.text(alphabet=st.sampled_from([*"ab./\\:", "\0", "~", "\u2044", "\uff0e"]), max_size=12))
def test_no_accepted_path_leaves_the_folder(path: str) -> None:
    root = Path("/nowhere/set")
    try:
        accepted = entry(video=path)
    except ValueError:
        return
    assert Manifest(root, [accepted]).path(path).is_relative_to(root)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/b",
        "a\\b",
        "..",
        ".hidden",
        "end.",
        " a",
        "a ",
        "line\nfeed",
        "tab\t",
        "\x1b[31mred",
        "\u202egnp",
        "zero\u200bwidth",
        "a\0b",
        'quote"',
        "star*",
        "what?",
        "a:b",
        "a|b",
        "<a>",
        "x" * 121,
        "é" * 150,
        "\udcff",
    ],
)
def test_hostile_ids_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        entry(id=name)


@pytest.mark.parametrize(
    "name", ["a", "日本語", "naïve (1) 'x'", "--help", "-", "x" * 120, "{id}", "%s", "a..b", "$(id)"]
)
def test_odd_but_harmless_ids_are_only_ids(name: str) -> None:
    assert entry(id=name).id == name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": {}}, "digest of the video"),
        ({"sha256": {"video": "A" * 64}}, "hexadecimal"),
        ({"sha256": {"video": "a" * 63}}, "hexadecimal"),
        ({"audio": "c.wav"}, "digest of 'audio'"),
        ({"truth": "c.safetensors"}, "digest of 'truth'"),
        ({"reference_frame": -1}, "greater than"),
        ({"reference_frame": "0"}, "integer"),
        ({"face_box": [0, 0, 1]}, "face_box"),
        ({"identity": ""}, "identity"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_fields(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        entry(**changes)


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    lines = [
        json.dumps(SOUND),
        "",
        "{not json",
        json.dumps({**SOUND, "id": "a/b", "video": "../x"}),
        "[]",
        json.dumps({**SOUND, "id": "d", "sha256": {"video": "z"}}),
        "null",
    ]
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    told = str(caught.value).splitlines()
    places = [line.removeprefix(f"{path}:").split(": ")[:2] for line in told]
    assert places == [
        ["3", "line"],
        ["4", "id"],
        ["4", "video"],
        ["5", "line"],
        ["6", "sha256"],
        ["7", "line"],
    ], told


def test_many_wrong_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text("x\n" * 50, encoding="utf-8")
    with pytest.raises(DataError, match=r"and 30 more"):
        read_manifest(path)


def test_repeated_ids_are_refused_when_read_and_when_written(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(f"{json.dumps(SOUND)}\n{json.dumps({**SOUND, 'video': 'other.mp4'})}\n", encoding="utf-8")
    with pytest.raises(DataError, match="duplicate ids") as caught:
        read_manifest(path)
    assert "found:    c" in str(caught.value)
    with pytest.raises(DataError, match="duplicate ids"):
        write_manifest(tmp_path / "new.jsonl", [entry(), entry(video="x.mp4")])
    assert not (tmp_path / "new.jsonl").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"\x89PNG\r\n\x1a\n\0\0", bytes(range(256))])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_manifest(path)


def test_an_absent_or_empty_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="emo-bench data import"):
        read_manifest(tmp_path / "absent.jsonl")
    (tmp_path / "manifest.jsonl").write_bytes(b"\n\n")
    with pytest.raises(DataError, match="no clips"):
        read_manifest(tmp_path / "manifest.jsonl").select()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT, st.integers(0, 9)), max_size=5))
def test_what_is_written_is_read(rows: list[tuple[str, str, int]]) -> None:
    import tempfile

    entries = [
        entry(id=f"c{index}", identity=identity, split=split, reference_frame=frame, meta={identity: split})
        for index, (identity, split, frame) in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.jsonl"
        write_manifest(path, reversed(entries))
        assert read_manifest(path).entries == tuple(entries)
        assert path.read_bytes().count(b"\n") == len(entries)


def test_the_digest_ignores_order_and_paths_but_no_content() -> None:
    first, second = entry(id="a"), entry(id="b")
    base = Manifest(Path("x"), [first, second]).digest
    assert Manifest(Path("y"), [second, first]).digest == base
    assert Manifest(Path("x"), [entry(id="a", video="moved/else.mkv", meta={"n": 1}), second]).digest == base
    others = [
        entry(id="a", identity="q"),
        entry(id="a", split="train"),
        entry(id="a", reference_frame=1),
        entry(id="a", sha256={"video": "b" * 64}),
        entry(id="aa"),
    ]
    assert len({base, *(Manifest(Path("x"), [other, second]).digest for other in others)}) == 6


def test_selection(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, [entry(id="b"), entry(id="a", split="train"), entry(id="c")])
    assert [item.id for item in manifest.select(split="test").entries] == ["b", "c"]
    assert [item.id for item in manifest.select(max_clips=2).entries] == ["a", "b"]
    with pytest.raises(DataError, match="no clips in split 'dev'") as caught:
        manifest.select(split="dev")
    assert "test, train" in str(caught.value)


def test_hashes_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_hashes(tmp_path, video="a", truth="a") == {"video": digest, "truth": digest}
