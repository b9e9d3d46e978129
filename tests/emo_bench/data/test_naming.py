"""Files find their clips by one rule, whatever their case, Unicode form, ending or folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_bench.data.manifest import MAX_ID_LENGTH, ManifestEntry
from emo_bench.data.naming import (
    AmbiguousNameError,
    AudioFiles,
    ClipVideos,
    clip_id,
    files_below,
    listed,
)
from emo_bench.media.containers import AUDIO_EXTENSIONS, VIDEO_EXTENSIONS

NFC, NFD = "Zo\u00e9", "Zoe\u0301"


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def test_audio_beside_a_video_is_not_given_to_one_that_differs_in_case() -> None:
    folder = Path("x")
    videos = [folder / "Take.mp4", folder / "take.mp4"]
    files = AudioFiles([folder / "take.wav"], videos=videos)
    assert [files.beside(video) for video in videos] == [None, folder / "take.wav"]
    assert AudioFiles([folder / "take.wav"], videos=videos[:1]).beside(videos[0]) == folder / "take.wav"


def test_every_file_is_of_one_kind(tmp_path: Path) -> None:
    lay(tmp_path, "b.MPEG", "a/x.Mp4", "a/x.WAV", "c.opus", "notes.txt", ".DS_Store", ".git/d.mp4")
    found = files_below(tmp_path)
    names = [
        [path.relative_to(tmp_path).as_posix() for path in kind] for kind in (found.videos, found.audio, found.others)
    ]
    assert names == [["a/x.Mp4", "b.MPEG"], ["a/x.WAV", "c.opus"], ["notes.txt"]]
    assert not set(VIDEO_EXTENSIONS) & set(AUDIO_EXTENSIONS)


@given(
    st.lists(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1), min_size=1)
)
def test_ids_can_stand_in_a_manifest(parts: list[str]) -> None:
    relative = Path(*[part if part not in (".", "..") else "x" for part in parts])
    if relative.name:
        made = clip_id(relative)
        assert made == unicodedata.normalize("NFC", made)
        assert ManifestEntry(id=made, video="v", identity="p", sha256={"video": "0" * 64}).id == made


def test_a_copy_of_an_imported_folder_fits_however_it_was_renamed(tmp_path: Path) -> None:
    ids = [clip_id(Path(name)) for name in (f"{NFC}.MP4", "may.mp4", "sub/wda.mp4")]
    nested = lay(tmp_path / "nested", f"{NFD}.MP4", "may.mp4", "sub/wda.mp4")
    upper = lay(tmp_path / "upper", f"{NFC}.mp4", "MAY.MP4", "sub__wda.mpeg")
    flat = lay(tmp_path / "flat", f"{NFD}.mp4", "may.mkv", "sub__wda.mp4")
    for folder in (nested, upper, flat):
        videos = ClipVideos(folder, clip_ids=ids)
        assert videos.missing() == ()
        assert videos.unmatched() == ()
        assert len({videos.find(name) for name in ids}) == 3
    # The other way round: a manifest that holds the decomposed form.
    assert ClipVideos(upper).find(NFD) == upper / f"{NFC}.mp4"


@pytest.mark.parametrize("names", [("may.mkv", "may.mp4"), ("May.mp4", "MAY.mp4"), (f"{NFC}.mp4", f"{NFD}.mp4")])
def test_what_fits_equally_well_is_named(tmp_path: Path, names: tuple[str, str]) -> None:
    clip = clip_id(Path(names[0].lower()))
    videos = ClipVideos(lay(tmp_path, *names), clip_ids=[clip])
    wanted = NFC if "Zo" in names[0] else clip
    with pytest.raises(AmbiguousNameError) as caught:
        videos.find(wanted)
    assert all(name in caught.value.found for name in names)


def test_an_exact_name_goes_before_another_case(tmp_path: Path) -> None:
    videos = ClipVideos(lay(tmp_path, "a.mp4", "A.mp4"), clip_ids=["a", "A"])
    assert [videos.find(name) for name in ("a", "A")] == [tmp_path / "a.mp4", tmp_path / "A.mp4"]
    alone = ClipVideos(lay(tmp_path / "one", "a.mp4"), clip_ids=["a", "A"])
    assert alone.find("A") is None
    assert alone.missing() == ("A",)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("out_{id}_best", "OUT_wda_best.mp4"),
        ("{id}/result", "wda/result.mp4"),
        ("{id}/{id}_1", "wda/wda_1.mp4"),
        ("best/{id}", "best/wda.mp4"),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, name: str) -> None:
    videos = ClipVideos(lay(tmp_path, name, "other/x.mp4"), pattern=pattern, clip_ids=["wda"])
    assert videos.find("wda") == tmp_path / name
    assert videos.unmatched() == (tmp_path / "other" / "x.mp4",)


def test_long_names_fit_themselves(tmp_path: Path) -> None:
    deep = Path("a" * 100, "b" * 100 + ".mp4")
    assert len(clip_id(deep)) == MAX_ID_LENGTH
    assert ClipVideos(lay(tmp_path, str(deep))).find(clip_id(deep)) == tmp_path / deep


def test_links_that_lead_out_fit_nothing(tmp_path: Path) -> None:
    lay(tmp_path, "secret.mp4", "out/b.mp4")
    (tmp_path / "out" / "a.mp4").symlink_to(tmp_path / "secret.mp4")
    videos = ClipVideos(tmp_path / "out", clip_ids=["a", "b"])
    assert videos.find("a") is None
    assert videos.unmatched() == (tmp_path / "out" / "a.mp4",)


def test_audio_beside_videos(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "u.mp4",
        "u.WAV",
        "Case.mp4",
        "case.opus",
        "s_silent.mkv",
        "s.aac",
        f"{NFC}.mp4",
        f"{NFD}.flac",
        "n.mp4",
    )
    audio = AudioFiles(files_below(tmp_path).audio)
    found = {path.name: audio.beside(path) for path in files_below(tmp_path).videos}
    assert {name: path.name if path else None for name, path in found.items()} == {
        "u.mp4": "u.WAV",
        "Case.mp4": "case.opus",
        "s_silent.mkv": "s.aac",
        f"{NFC}.mp4": f"{NFD}.flac",
        "n.mp4": None,
    }
    lay(tmp_path, "u.flac")
    with pytest.raises(AmbiguousNameError) as caught:
        AudioFiles(files_below(tmp_path).audio).beside(tmp_path / "u.mp4")
    assert caught.value.found == "u.WAV, u.flac"


def test_long_lists_are_counted() -> None:
    assert listed(["a"]) == "a"
    assert listed("abcdef") == "a, b, c, d, e and 1 more"
