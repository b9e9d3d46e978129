"""Manifests from folders: identities, sounds beside videos, and what doctor and verify say of them."""

from __future__ import annotations

import unicodedata
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tiny_sets import write_tiny_set

from emo_bench.data.doctor import examine
from emo_bench.data.import_folder import identities_of, import_videos
from emo_bench.data.manifest import read_manifest, write_manifest
from emo_bench.data.naming import audio_beside
from emo_bench.data.sets.kind import open_dataset
from emo_bench.data.verify import verify_manifest
from emo_bench.media.lossless import write_clip
from emo_bench.runner.suite import suite_from_values
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import sha256_file


def write_wave(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as out:
        out.setparams((samples.ndim, 2, 16000, 0, "NONE", ""))
        out.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    tiny.clip(root / "anna" / "a1.mkv", person=0)
    tiny.clip(root / "anna" / "a2.mkv", person=1)
    write_clip(root / "ben" / "b1_silent.mkv", [tiny.frames(n_frames=10, person=2)], None, fps=Fraction(25))
    write_wave(root / "ben" / "b1.wav", tiny.speech(seconds=0.4))
    (root / ".hidden").mkdir()
    (root / ".hidden" / "x.mkv").write_bytes(b"x")
    (root / "notes.txt").write_text("no video", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("rule", "people"),
    [
        ("stem", {"anna__a1", "anna__a2", "ben__b1_silent"}),
        ("folder", {"anna", "ben"}),
        (r"/(.)\d", {"a", "b"}),
        (r"(ben)", {"anna__a1", "anna__a2", "ben"}),
    ],
)
def test_identities(folder: Path, rule: str, people: set[str]) -> None:
    report = import_videos(folder, identity=rule, split="dev", manifest=folder / "m.jsonl")
    assert {entry.identity for entry in report.entries} == people
    assert report.identities == len(people)
    assert report.refused == ()
    manifest = read_manifest(folder / "m.jsonl")
    assert manifest.entries == tuple(sorted(report.entries, key=lambda entry: entry.id))
    assert {entry.split for entry in manifest.entries} == {"dev"}
    assert [(e.id, e.video, e.audio) for e in manifest.entries] == [
        ("anna__a1", "anna/a1.mkv", None),
        ("anna__a2", "anna/a2.mkv", None),
        ("ben__b1_silent", "ben/b1_silent.mkv", "ben/b1.wav"),
    ]
    assert set(manifest.entries[2].sha256) == {"video", "audio"}


@pytest.mark.parametrize("rule", ["(", "no group", r"zzz(.)"])
def test_wrong_rules(folder: Path, rule: str) -> None:
    with pytest.raises(ConfigError, match="--identity"):
        import_videos(folder, identity=rule)


def test_places(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        import_videos(tmp_path / "absent")
    elsewhere = import_videos(folder, manifest=tmp_path / "set" / "m.jsonl")
    assert [(entry.video, entry.audio) for entry in elsewhere.entries][2] == ("ben/b1_silent.mkv", "ben/b1.wav")
    assert [entry.code for entry in verify_manifest(tmp_path / "set" / "m.jsonl")] == ["ok"] * 3
    above = import_videos(folder / "anna", manifest=folder / "above.jsonl")
    assert [entry.video for entry in above.entries] == ["anna/a1.mkv", "anna/a2.mkv"]


def test_folder_and_manifest_may_be_given_from_different_starts(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.clip(tmp_path / "videos" / "sub" / "a.mkv")
    monkeypatch.chdir(tmp_path)
    report = import_videos(Path("videos"), manifest=tmp_path / "videos" / "m.jsonl")
    assert [entry.video for entry in report.entries] == ["sub/a.mkv"]
    report = import_videos(tmp_path / "videos", manifest=Path("m.jsonl"))
    assert [entry.video for entry in report.entries] == ["videos/sub/a.mkv"]


@pytest.mark.parametrize("rule", ["folder", r"^(é)", "^(\\w+)/"])
def test_a_name_in_two_forms_of_unicode_is_one_person(rule: str) -> None:
    videos = [Path("v") / unicodedata.normalize(form, "é") / f"{form}.mp4" for form in ("NFC", "NFD")]
    people, unnamed = identities_of(videos, Path("v"), rule)
    assert set(people.values()) == {"é"}
    assert unnamed == []


def test_what_is_not_used_is_told(tiny, tmp_path: Path) -> None:
    tiny.clip(tmp_path / "id1_x.mkv", person=0)
    (tmp_path / "id2_x.mkv").write_bytes((tmp_path / "id1_x.mkv").read_bytes())
    tiny.clip(tmp_path / "b.mkv", person=1)
    (tmp_path / "B.txt").write_text("x", encoding="utf-8")
    write_wave(tmp_path / "alone.wav", tiny.speech(seconds=0.4))
    report = import_videos(tmp_path, identity=r"^(id\d)_")
    assert report.notices == (
        "audio files that belong to no video: alone.wav",
        "files that are neither named like video nor like audio: B.txt",
        "the same video is there 2 times under 2 identities (id1, id2): id1_x, id2_x",
        "--identity fits not every video; each of these is an identity of its own: b.mkv",
    )


def test_what_is_unusual_in_a_clip_is_told(tiny, tmp_path: Path) -> None:
    speech = tiny.speech(seconds=0.4)
    for name, samples in (("a", np.stack([speech, -speech], axis=1)), ("b", np.zeros_like(speech))):
        tiny.clip(tmp_path / f"{name}.mkv", person=0 if name == "a" else 1)
        write_wave(tmp_path / f"{name}.wav", samples)
    report = import_videos(tmp_path)
    assert report.notices == (
        "the channels cancel each other (100% of the audio): the first one is used (1 clip: a)",
        "the audio is silent from beginning to end (1 clip: b)",
    )


def test_two_audio_files_for_one_video_are_refused_by_name(tiny, tmp_path: Path) -> None:
    tiny.clip(tmp_path / "a.mkv", person=0)
    tiny.clip(tmp_path / "b.mkv", person=1)
    for name in ("b.wav", "b.WAV"):
        write_wave(tmp_path / name, tiny.speech(seconds=0.4))
    report = import_videos(tmp_path)
    assert [(item.file, item.code) for item in report.refused] == [("b.mkv", "ambiguous_name")]
    assert "b.WAV, b.wav" in report.refused[0].reason
    assert report.notices == ()


def test_two_videos_of_one_name_are_both_refused(tiny, tmp_path: Path) -> None:
    tiny.clip(tmp_path / "a.mkv", person=0)
    tiny.clip(tmp_path / "a.avi.mkv", person=1)
    tiny.clip(tmp_path / "sub" / "b.mkv", person=2)
    tiny.clip(tmp_path / "sub__b.mkv", person=3)
    report = import_videos(tmp_path)
    assert [entry.id for entry in report.entries] == ["a", "a.avi"]
    assert [(item.file, item.code) for item in report.refused] == [
        ("sub/b.mkv", "ambiguous_name"),
        ("sub__b.mkv", "ambiguous_name"),
    ]
    assert "sub/b.mkv, sub__b.mkv" in report.refused[0].reason


def test_a_manifest_may_begin_with_a_byte_order_mark(folder: Path) -> None:
    made = import_videos(folder, manifest=folder / "bom.jsonl")
    text = made.manifest.read_text(encoding="utf-8")
    made.manifest.write_text(text, encoding="utf-8-sig")
    assert read_manifest(made.manifest).entries == made.entries


def test_the_sound_beside_a_video(folder: Path) -> None:
    assert audio_beside(folder / "ben" / "b1_silent.mkv") == folder / "ben" / "b1.wav"
    assert audio_beside(folder / "anna" / "a1.mkv") is None


def test_a_file_that_cannot_be_read_is_that_clips_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_videos(folder, manifest=folder / "m.jsonl")

    def refuse(path: Path) -> str:
        if path.name == "a1.mkv":
            raise PermissionError(13, "Permission denied", str(path))
        return sha256_file(path)

    monkeypatch.setattr("emo_bench.data.verify.sha256_file", refuse)
    assert [checked.code for checked in verify_manifest(folder / "m.jsonl")] == ["unreadable", "ok", "ok"]


def test_verify_says_how_many_frames(folder: Path) -> None:
    import_videos(folder, manifest=folder / "v.jsonl")
    assert [(entry.code, entry.reason.split(";")[0]) for entry in verify_manifest(folder / "v.jsonl")] == [
        ("ok", "10 frames")
    ] * 3


def test_datasets_are_opened_relative_to_the_suite(folder: Path) -> None:
    import_videos(folder, manifest=folder / "d.jsonl")
    values = {"name": "a", "metrics": ["flicker/luma@1"]}
    data = {"kind": "manifest", "manifest": "d.jsonl", "max_clips": 2}
    opened = open_dataset(suite_from_values({**values, "dataset": data}, base=folder).config, folder)
    assert (len(opened.manifest.entries), opened.name, opened.synthetic) == (2, folder.name, False)


def test_doctor_without_weights_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("EMO_BENCH_WEIGHTS", "")
    (tmp_path / "bad.mp4").write_bytes(b"x")
    good, bad = examine([folder / "anna" / "a1.mkv", tmp_path / "bad.mp4"])
    assert "missing_weights" in {finding.code for finding in good.findings}
    assert bad.worst == "error"
    assert good.worst != "error"
    assert good.plain()["name"] == "a1.mkv"


def test_labels_and_stills_beside_a_clip_are_verified_too(tmp_path: Path) -> None:
    path = write_tiny_set(tmp_path, n_clips=2)
    first, second = read_manifest(path).entries
    (tmp_path / "a.safetensors").write_bytes(b"labels")
    meta = {"labels": "a.safetensors", "labels_sha256": sha256_file(tmp_path / "a.safetensors")}
    still = {"portrait": "gone.png", "portrait_sha256": "0" * 64}
    write_manifest(path, [first.model_copy(update={"meta": meta}), second.model_copy(update={"meta": still})])
    checked = verify_manifest(path)
    assert [(one.code, one.reason[:8]) for one in checked] == [("ok", checked[0].reason[:8]), ("missing", "portrait")]
    (tmp_path / "a.safetensors").write_bytes(b"others")
    assert verify_manifest(path)[0].code == "wrong_bytes"
