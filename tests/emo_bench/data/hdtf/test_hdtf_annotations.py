"""The published text files: what they hold, and every way in which a line can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emo_bench.data.hdtf.annotations import CropWindow, Interval, parse_time, read_annotations, youtube_id
from emo_bench.data.hdtf.plan import annotated_height, plan_clips, window_in
from emo_core.errors import DataError


def test_files_as_published(fake_hdtf: Any) -> None:
    found = read_annotations(fake_hdtf.annotations)
    assert found.problems == ()
    radio, schiff, lewis = found.videos
    assert (radio.part, radio.name, radio.height, radio.intervals) == ("RD", "Radio10", 96, (Interval(0, 1),))
    assert (schiff.name, schiff.intervals) == ("AdamSchiff", (Interval(0, 1), Interval(1, 2)))
    assert schiff.youtube_id == "wMypCqkYKS8"  # behind the byte order mark, before a parameter
    assert schiff.windows == {0: CropWindow(8, 0, 32, 32), 1: CropWindow(16, 0, 48, 48)}
    assert schiff.zooms == {0: 1.2, 1: 1.2}
    assert lewis.url.endswith("AAAAAAAAAAA")


def test_the_folder_above_is_accepted(fake_hdtf: Any) -> None:
    assert len(read_annotations(fake_hdtf.annotations.parent).videos) == 3


def test_wrong_lines_are_named_and_the_rest_is_read(fake_hdtf: Any) -> None:
    fake_hdtf.write(
        "WDA",
        annotion_time="AdamSchiff.mp4 00:00-00:01\nNoTimes.mp4\nBack.mp4 00:09-00:03\nOdd.mp4 0:5-1:00\n"
        "Much.mp4 00:61-01:00\n../up.mp4 00:00-00:01\nAdamSchiff.mp4 00:02-00:03\n",
        crop_wh="AdamSchiff_0.mp4 8 32 0\nAdamSchiff_0.mp4 8 x 0 32\nAdamSchiff 8 32 0 32\nAdamSchiff_0.mp4 8 0 0 32\n",
        resolution="AdamSchiff.mp4 0\nAdamSchiff.mp4 high\n",
        crop_ratio="AdamSchiff_0.mp4 nan\n",
    )
    (fake_hdtf.annotations / "WDA_video_url.txt").unlink()
    found = read_annotations(fake_hdtf.annotations)
    assert [video.name for video in found.videos] == ["Radio10", "AdamSchiff"]
    assert {problem.code for problem in found.problems} == {"annotation"}
    lines = [problem.name for problem in found.problems]
    assert lines == [
        *(f"WDA_annotion_time.txt:{number}" for number in (2, 3, 4, 5, 6, 7)),
        "WDA_video_url.txt",
        *(f"WDA_resolution.txt:{number}" for number in (1, 2)),
        *(f"WDA_crop_wh.txt:{number}" for number in (1, 2, 3, 4)),
        "WDA_crop_ratio.txt:1",
    ]
    assert all("expected" in problem.reason and "found" in problem.reason for problem in found.problems[:5])


def test_bytes_that_are_no_text(fake_hdtf: Any) -> None:
    (fake_hdtf.annotations / "RD_crop_wh.txt").write_bytes(b"\xff\xfe\x00\x01\nRadio10_0.mp4 0 96 0 96\n")
    found = read_annotations(fake_hdtf.annotations)
    assert [problem.name for problem in found.problems] == ["RD_crop_wh.txt:1"]
    assert found.videos[0].windows == {0: CropWindow(0, 0, 96, 96)}


def test_no_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no HDTF annotations"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:05", 5), ("75:10", 4510), ("1:02:03", 3723), ("01:02:03", 3723), ("120:00", 7200)]
)
def test_times(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "00:60", "1:60:00", "-0:05", "00:05.5", "a:b", "00:00:00:00"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="mm:ss"):
        parse_time(text)


def test_ids_of_addresses() -> None:
    known = {
        "https://www.youtube.com/watch?v=uBWJJvynXpA&t=6s": "uBWJJvynXpA",
        "https://www.youtube.com/watch?t=6s&v=-BWJJvynXp_": "-BWJJvynXp_",
        "https://youtu.be/uBWJJvynXpA": "uBWJJvynXpA",
        "https://www.youtube.com/watch?v=tooshort": "",
        "https://example.org/": "",
    }
    assert {url: youtube_id(url) for url in known} == known


def test_clips_of_a_video(fake_hdtf: Any) -> None:
    fake_hdtf.write("WDA", annotion_time="AdamSchiff.mp4 00:10-00:20 00:30-00:35 01:00-01:10\n")
    video = read_annotations(fake_hdtf.annotations).videos[1]
    whole, problems = plan_clips(video, fps=30, clip_seconds=None, clips_per_video=None)
    assert [(cut.id, cut.start, cut.n_frames) for cut in whole] == [
        ("WDA_AdamSchiff_000", 300, 300),
        ("WDA_AdamSchiff_001", 900, 150),
    ]
    assert [(problem.code, problem.name) for problem in problems] == [("no_crop", "WDA_AdamSchiff_002")]
    parts, problems = plan_clips(video, fps=25, clip_seconds=4.0, clips_per_video=None)
    assert [(cut.id[-6:], cut.start) for cut in parts] == [("000-00", 250), ("000-01", 350), ("001-00", 750)]
    assert len(plan_clips(video, fps=25, clip_seconds=4.0, clips_per_video=2)[0]) == 2
    _, problems = plan_clips(video, fps=25, clip_seconds=8.0, clips_per_video=None)
    assert [problem.code for problem in problems] == ["too_short", "no_crop"]


def test_windows_follow_the_picture() -> None:
    window = CropWindow(x=608, y=0, width=726, height=726)
    assert window_in(window, annotated=1080, width=1920, height=1080) == (608, 0, 726, 726)
    assert window_in(window, annotated=1080, width=1280, height=720) == (405, 0, 484, 484)
    assert window_in(window, annotated=None, width=1280, height=720) is None
    edge = CropWindow(x=100, y=1, width=100, height=100)
    assert window_in(edge, annotated=100, width=199, height=100) == (99, 0, 100, 100)
    # A window that is larger than the listed picture was drawn on a larger one.
    assert annotated_height(CropWindow(x=178, y=0, width=872, height=872), 720)[0] == 1080
    assert annotated_height(window, 1080) == (1080, "")
    assert annotated_height(window, None)[0] is None
