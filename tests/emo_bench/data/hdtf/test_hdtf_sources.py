"""The file of a video is found under any of its names, and two files for one video are never settled silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from emo_bench.data.hdtf.annotations import AnnotatedVideo
from emo_bench.data.hdtf.sources import RawVideos
from emo_bench.data.naming import AmbiguousNameError

VIDEO = AnnotatedVideo(part="WDA", name="AdamSchiff", youtube_id="wMypCqkYKS8", intervals=(), windows={}, height=720)


def lay(folder: Path, *names: str) -> RawVideos:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return RawVideos(folder)


@pytest.mark.parametrize(
    "name",
    ["AdamSchiff.mp4", "sub/WDA_AdamSchiff.MKV", "wMypCqkYKS8.webm", "Some title [wMypCqkYKS8].mp4", "adamschiff.mp4"],
)
def test_any_of_its_names_finds_a_video(tmp_path: Path, name: str) -> None:
    assert lay(tmp_path, name, "Other.mp4", "wmypcqkyks8.mp4").find(VIDEO) == tmp_path / name


@pytest.mark.parametrize(
    "names",
    [
        ("AdamSchiff.mp4", "AdamSchiff.mkv"),
        ("AdamSchiff.mp4", "old/AdamSchiff.mp4"),
        ("WDA_AdamSchiff.mp4", "AdamSchiff.mp4"),
        ("AdamSchiff.mp4", "Some title [wMypCqkYKS8].mp4"),
        ("adamschiff.mp4", "ADAMSCHIFF.mp4"),
    ],
)
def test_two_files_for_one_video_are_named(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(AmbiguousNameError) as caught:
        lay(tmp_path, *names).find(VIDEO)
    assert all(name in caught.value.found for name in names)


def test_an_exact_name_goes_before_another_case(tmp_path: Path) -> None:
    assert lay(tmp_path, "AdamSchiff.mp4", "adamschiff.mp4").find(VIDEO) == tmp_path / "AdamSchiff.mp4"
