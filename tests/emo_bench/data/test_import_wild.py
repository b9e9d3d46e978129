"""Portraits and audio files become clips without ground truth; what does not fit is named with what lies near."""

from __future__ import annotations

import shutil
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from tiny_sets import write_wild_lines
from typer.testing import CliRunner

from emo_bench.cli.main import app
from emo_bench.data.doctor import examine
from emo_bench.data.import_wild import WildOptions, import_wild, pair_plan
from emo_bench.data.manifest import ManifestEntry, read_manifest, video_of
from emo_bench.data.verify import verify_manifest
from emo_core.errors import ConfigError, DataError

ANY = WildOptions(face="any")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_wild_lines(tmp_path / "in", n_clips=3)
    return tmp_path / "in"


def test_pairs_by_name(folder: Path, tmp_path: Path) -> None:
    (folder / "wild-10.png").rename(folder / "WILD-10.PNG")
    report = import_wild(folder, folder, options=ANY, manifest=tmp_path / "out" / "m.jsonl")
    assert [entry.id for entry in report.entries] == ["WILD-10", "wild-11", "wild-12"]
    assert report.refused == ()
    entry = read_manifest(report.manifest).entries[1]
    assert (entry.portrait, entry.audio, entry.wild) == ("portraits/wild-11.png", "audio/wild-11.wav", True)
    assert entry.meta == {"portrait": "wild-11", "audio": "wild-11"}
    assert {checked.code for checked in verify_manifest(report.manifest)} == {"ok"}
    (tmp_path / "out" / "audio" / "wild-12.wav").write_bytes(b"other")
    assert [checked.code for checked in verify_manifest(report.manifest)] == ["ok", "ok", "wrong_bytes"]
    with pytest.raises(DataError, match="has a portrait and an audio file, no video"):
        video_of(entry)


def test_what_is_unusual_about_the_audio_is_told(folder: Path) -> None:
    wave_form = (np.sin(np.arange(16_000) / 9) * 9_000).astype("<i2")
    with wave.open(str(folder / "wild-11.wav"), "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.stack([wave_form, -wave_form], axis=1).tobytes())
    report = import_wild(folder, folder, options=ANY, manifest=folder / "m.jsonl")
    assert [line for line in report.notices if "the channels cancel each other" in line and "wild-11.wav" in line]
    (found,) = [one for one in examine([report.manifest], weights=(), faces=False) if one.name == "wild-11"]
    assert {(finding.code, finding.level) for finding in found.findings} >= {
        ("channels_cancel", "warning"),
        ("audio_converted", "note"),
    }


def test_audio_of_a_portrait_is_not_given_to_one_that_differs_in_case(folder: Path) -> None:
    shutil.copyfile(folder / "wild-11.png", folder / "Wild-10.png")  # another person
    report = import_wild(folder, folder, options=ANY)
    assert [entry.id for entry in report.entries] == ["wild-10", "wild-11", "wild-12"]
    assert [(item.file, item.code) for item in report.refused] == [("Wild-10.png", "no_audio")]


def test_what_fits_nothing_is_named_with_what_lies_near(folder: Path) -> None:
    (folder / "wild-12.wav").rename(folder / "wild-13.wav")
    report = import_wild(folder, folder, options=ANY)
    assert {(item.file, item.code) for item in report.refused} == {
        ("wild-12.png", "no_audio"),
        ("wild-13.wav", "no_portrait"),
    }
    assert "near: wild-13.wav" in report.refused[0].reason
    for name in ("wild-10", "wild-11"):
        (folder / f"{name}.wav").rename(folder / f"speech of {name}.wav")
    with pytest.raises(DataError, match="--pairs all"):
        import_wild(folder, folder, options=ANY)


def test_files_that_are_refused_take_no_place_among_so_many_pairs(folder: Path) -> None:
    Image.new("CMYK", (64, 64)).save(folder / "ink.jpg")
    (folder / "broken.wav").write_bytes(b"no audio")
    report = import_wild(folder, folder, options=WildOptions(face="any", pairs="all", clips=6))
    assert {item.file for item in report.refused} == {"ink.jpg", "broken.wav"}
    assert len(report.entries) == 6
    assert set(Counter(entry.portrait for entry in report.entries).values()) == {2}


def test_files_of_other_kinds_are_named(folder: Path) -> None:
    (folder / "photo.HEIC").write_bytes(b"x")
    (folder / "talk.mp4").write_bytes(b"x")
    for _ in range(2):  # the second time the manifest lies there
        report = import_wild(folder, folder, options=ANY)
        (notice,) = [line for line in report.notices if "neither like an image" in line]
        assert notice.endswith(": photo.HEIC, talk.mp4")


def test_every_pair_or_so_many(folder: Path) -> None:
    every = import_wild(folder, folder, options=WildOptions(face="any", pairs="all"))
    assert len(every.entries) == 9
    assert every.entries[1].id == "wild-10--wild-11"
    assert every.identities == 3
    some = import_wild(folder, folder, options=WildOptions(face="any", pairs="all", clips=6))
    assert Counter(entry.identity for entry in some.entries) == {"wild-10": 2, "wild-11": 2, "wild-12": 2}
    with pytest.raises(ConfigError, match="--pairs all"):
        import_wild(folder, folder, options=WildOptions(clips=2))


@pytest.mark.parametrize("more", [("--crop",), ("--clips", "2"), ("--pairs", "all"), ("--face", "any")])
def test_options_for_portraits_are_not_left_out_for_videos(tmp_path: Path, more: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["data", "import", str(tmp_path), *more], standalone_mode=False)
    assert isinstance(result.exception, ConfigError), result.output
    assert more[0] in str(result.exception)


def test_portraits_need_a_face(folder: Path) -> None:
    for name in ("wild-11", "wild-12"):
        (folder / f"{name}.png").write_bytes(b"no image")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / "wild-10.png")
    with pytest.raises(DataError, match="no face was found"):
        import_wild(folder, folder)
    report = import_wild(folder, folder, options=ANY)
    assert {(item.file, item.code) for item in report.refused} == {
        ("wild-11.png", "decode_error"),
        ("wild-12.png", "decode_error"),
    }
    (found,) = examine([report.manifest], faces=False)
    assert [finding.code for finding in found.findings] == ["portrait"]


def test_what_could_not_be_cropped_is_told(folder: Path) -> None:
    for name in ("wild-10", "wild-11", "wild-12"):
        Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / f"{name}.png")
    report = import_wild(folder, folder, options=WildOptions(face="any", crop=True))
    assert [entry.portrait for entry in report.entries] == ["wild-10.png", "wild-11.png", "wild-12.png"]
    assert report.notices == tuple(f"wild-1{i}.png: no face was found; not cropped" for i in range(3))


def test_no_file_of_the_user_is_replaced_by_a_crop(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emo_bench.data.portrait.largest_face", lambda image: ((20.0, 20.0, 40.0, 40.0), []))
    own = tmp_path / "set" / "cropped" / "wild-11.png"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    crop, target = WildOptions(crop=True), tmp_path / "set" / "manifest.jsonl"
    report = import_wild(folder, folder, options=crop, manifest=target)
    assert own.read_bytes() == b"mine"
    assert [entry.id for entry in report.entries] == ["wild-10", "wild-12"]
    assert "cropped/wild-11.png" in report.refused[0].reason
    Image.fromarray(np.full((64, 64, 3), 30, np.uint8)).save(folder / "wild-12.png")
    again = import_wild(folder, folder, options=crop, manifest=target)  # its own crops are made anew
    assert again.entries[1].sha256["portrait"] != report.entries[1].sha256["portrait"]


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 60), st.integers(0, 5))
def test_plans_use_portraits_and_audio_evenly(portraits: int, audio: int, clips: int, seed: int) -> None:
    plan = pair_plan(portraits, audio, clips, seed)
    assert len(plan) == len(set(plan)) == min(clips, portraits * audio)
    for place, number in ((0, portraits), (1, audio)):
        counts = Counter(pair[place] for pair in plan)
        assert max(counts.values()) - min(counts[i] for i in range(number)) <= 1
    assert plan == pair_plan(portraits, audio, clips, seed)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"video": "a.mkv"}, "found both"),
        ({"portrait": None}, "found neither"),
        ({"audio": None}, "expected 'audio' beside"),
        ({"reference_frame": 2}, "which is one image"),
        ({"sha256": {"portrait": "0" * 64}}, "digest of 'audio'"),
        ({"portrait": "../a.png"}, "stays inside"),
    ],
)
def test_lines_that_are_wrong(changes: dict[str, object], said: str) -> None:
    digests = {"portrait": "0" * 64, "audio": "1" * 64, "video": "2" * 64}
    good = {"id": "a", "identity": "a", "portrait": "a.png", "audio": "a.wav", "sha256": digests}
    with pytest.raises(ValidationError, match=said):
        ManifestEntry.model_validate({**good, **changes})


def test_an_import_into_the_folder_itself_does_not_take_its_copies(folder: Path) -> None:
    target = folder / "out" / "manifest.jsonl"
    every = WildOptions(face="any", pairs="all")
    first = import_wild(folder, folder, options=every, manifest=target)
    assert import_wild(folder, folder, options=every, manifest=target).entries == first.entries


def test_a_name_that_no_manifest_holds_refuses_that_file_alone(folder: Path) -> None:
    for ending in (".png", ".wav"):
        (folder / f"wild-10{ending}").rename(folder / f"wild:10{ending}")
    report = import_wild(folder, folder, options=ANY)
    assert [entry.id for entry in report.entries] == ["wild-11", "wild-12"]
    assert {item.file for item in report.refused} == {"wild:10.png", "wild:10.wav"}


def test_copies_replace_their_like_and_no_other_file(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "manifest.jsonl"
    other = target.parent / "portraits" / "wild-10.png"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"other work")
    report = import_wild(folder, folder, options=ANY, manifest=target)
    assert [item.file for item in report.refused] == ["wild-10.png"]
    assert "another file lies where the copy would go" in report.refused[0].reason
    assert other.read_bytes() == b"other work"
    shutil.copyfile(folder / "wild-10.png", folder / "wild-11.png")  # a source that changed since
    assert import_wild(folder, folder, options=ANY, manifest=target).entries[0].id == "wild-11"
    assert (other.parent / "wild-11.png").read_bytes() == (folder / "wild-10.png").read_bytes()
