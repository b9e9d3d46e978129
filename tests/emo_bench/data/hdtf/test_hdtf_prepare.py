"""HDTF from a fake of it: what is cut, what is reported, and that a second run makes only what is missing."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emo_bench.data.hdtf import cut as cut_module
from emo_bench.data.hdtf.prepare import prepare_hdtf
from emo_bench.data.manifest import read_manifest
from emo_bench.data.prepare import disk
from emo_bench.data.prepare.report import PrepareReport
from emo_bench.data.verify import verify_manifest
from emo_bench.media.decode import load_pair, open_video
from emo_core.atomic import owner
from emo_core.errors import ConfigError, DataError

Run = Callable[..., PrepareReport]


@pytest.fixture
def run(fake_hdtf: Any) -> Run:
    def prepare(**options: Any) -> PrepareReport:
        values = {"annotations": fake_hdtf.annotations, "target": fake_hdtf.target, "size": 64, **options}
        return prepare_hdtf(fake_hdtf.raw, **values)

    return prepare


def test_everything_there(fake_hdtf: Any, run: Run) -> None:
    report = run(quality="lossless")
    assert (report.made, report.kept, report.problems) == (4, 0, ())
    manifest = read_manifest(fake_hdtf.target / "manifest.jsonl")
    ids = ["RD_Radio10_000", "WDA_AdamSchiff_000", "WDA_AdamSchiff_001", "WDA_JohnLewis0_000"]
    assert [entry.id for entry in manifest.entries] == ids
    assert [entry.identity for entry in manifest.entries] == ["Radio10", "AdamSchiff", "AdamSchiff", "JohnLewis"]
    assert [entry.split for entry in manifest.entries] == ["test", "train", "train", "train"]
    assert all(checked.code == "ok" for checked in verify_manifest(report.manifest))
    second = manifest.entries[2]
    assert second.meta["interval_seconds"] == [1.0, 2.0]
    assert second.meta["crop"] == [16, 0, 48, 48]
    assert second.meta["licence"].startswith("CC BY 4.0")
    assert second.meta["zoom"] == 1.2
    assert manifest.entries[0].meta["crop"] == [0, 0, 48, 48]  # drawn at 96 rows, the video has 48
    assert any("scaled" in note for note in manifest.entries[0].meta["notes"])
    assert not list(fake_hdtf.target.rglob("*.tmp*"))


def test_pixels_and_sound_are_the_right_ones(fake_hdtf: Any, run: Run) -> None:
    run(quality="lossless", size=48)
    made = load_pair(fake_hdtf.target / "clips" / "WDA_AdamSchiff_001.mkv")
    source = load_pair(fake_hdtf.raw / "AdamSchiff.mkv")
    assert made.video.spec.n_frames == 25
    # A window of the wanted size is copied, so without loss every pixel is the source's own.
    np.testing.assert_array_equal(made.video.read_all(), source.video.read_all()[25:50, 0:48, 16:64])
    np.testing.assert_array_equal(made.audio.samples, source.audio.samples[16000:32000])


def test_near_lossless_is_near(fake_hdtf: Any, run: Run) -> None:
    run()
    near = open_video(fake_hdtf.target / "clips" / "WDA_AdamSchiff_000.mkv").read_all().astype(int)
    shutil.rmtree(fake_hdtf.target)
    run(quality="lossless")
    exact = open_video(fake_hdtf.target / "clips" / "WDA_AdamSchiff_000.mkv").read_all().astype(int)
    error = np.abs(near - exact)
    assert 0 < error.max() <= 24
    assert np.square(error).mean() < 255**2 / 10**4.5  # 45 dB


def test_thirty_frames_a_second_and_short_clips(fake_hdtf: Any, run: Run) -> None:
    report = run(fps=30, clip_seconds=0.4, clips_per_video=3)
    assert [entry.id for entry in report.entries if entry.identity == "AdamSchiff"] == [
        "WDA_AdamSchiff_000-00",
        "WDA_AdamSchiff_000-01",
        "WDA_AdamSchiff_001-00",
    ]
    spec = open_video(fake_hdtf.target / report.entries[0].video, fps=None).spec
    assert (spec.fps, spec.n_frames, spec.width) == (Fraction(30), 12, 64)


def test_each_video_is_read_once(fake_hdtf: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = cut_module.load_pair
    monkeypatch.setattr(
        cut_module, "load_pair", lambda path, *a, **k: (read.append(path.name), original(path, *a, **k))[1]
    )
    run(clip_seconds=0.2)
    assert sorted(read) == sorted(path.name for path in fake_hdtf.raw.iterdir())


def test_overlapping_intervals(fake_hdtf: Any, run: Run) -> None:
    fake_hdtf.write("WDA", annotion_time="AdamSchiff.mp4 00:00-00:02 00:01-00:02\n")
    run(quality="lossless", size=32)
    frames = {
        number: open_video(fake_hdtf.target / "clips" / f"WDA_AdamSchiff_00{number}.mkv").spec for number in (0, 1)
    }
    assert (frames[0].n_frames, frames[1].n_frames) == (50, 25)


def test_what_is_missing_is_named_and_counted(fake_hdtf: Any, run: Run) -> None:
    (fake_hdtf.raw / "WDA_JohnLewis0.mkv").unlink()
    fake_hdtf.write(
        "WDA",
        annotion_time="AdamSchiff.mp4 00:00-00:01 00:01-00:02 00:07-00:09\nJohnLewis0.mp4 00:00-00:01\nwrong line\n",
        crop_wh="AdamSchiff_0.mp4 40 48 0 48\nAdamSchiff_2.mp4 0 48 0 48\n",
    )
    report = run()
    assert report.counts() == {"annotation": 1, "crop_outside": 1, "missing_video": 1, "no_crop": 1, "too_short": 1}
    told = {problem.code: problem for problem in report.problems}
    assert told["annotation"].name == "WDA_annotion_time.txt:3"
    assert told["missing_video"].name == "WDA_JohnLewis0"
    assert "AAAAAAAAAAA" in told["missing_video"].reason
    assert told["too_short"].name == "WDA_AdamSchiff_002"
    assert "end at 2.00 s" in told["too_short"].reason
    assert [entry.id for entry in report.entries] == ["RD_Radio10_000"]
    assert "1 no_crop" in report.summary()


def test_two_files_for_one_video_are_a_problem_that_names_both(fake_hdtf: Any, run: Run) -> None:
    shutil.copyfile(fake_hdtf.raw / "AdamSchiff.mkv", fake_hdtf.raw / "AdamSchiff.mp4")
    report = run(size=32)
    (problem,) = report.problems
    assert (problem.code, problem.name) == ("ambiguous_name", "WDA_AdamSchiff")
    assert "AdamSchiff.mkv, AdamSchiff.mp4" in problem.reason
    assert [entry.id for entry in report.entries] == ["RD_Radio10_000", "WDA_JohnLewis0_000"]


def test_a_video_that_ends_within_its_cut(fake_hdtf: Any, run: Run) -> None:
    fake_hdtf.video("AdamSchiff.mkv", seconds=4.0)
    fake_hdtf.write("WDA", annotion_time="AdamSchiff.mp4 00:00-00:09\n")
    for attempt in (1, 2):  # the second run keeps the clip and still tells
        report = run(size=32)
        assert report.counts() == {"shortened": 1}, attempt
        clip = next(entry for entry in report.entries if entry.identity == "AdamSchiff")
        assert clip.meta["interval_seconds"] == [0.0, 4.0]
        assert "9.00 s" in clip.meta["shortened"]
    # A length that was asked for is never shortened.
    with pytest.raises(DataError, match="no clip could be made") as told:
        run(size=32, clip_seconds=5.0)
    assert "too_short: WDA_AdamSchiff_000-00" in told.value.found


def test_missing_sound_and_broken_videos(fake_hdtf: Any, run: Run) -> None:
    fake_hdtf.video("AdamSchiff.mkv", seconds=2.0, silent=True)
    broken = fake_hdtf.raw / "WDA_JohnLewis0.mkv"
    broken.write_bytes(broken.read_bytes()[:2000])
    report = run()
    assert report.counts() == {"decode_error": 1, "no_audio": 2}
    assert [entry.id for entry in report.entries] == ["RD_Radio10_000"]


def test_sound_in_a_file_of_its_own(fake_hdtf: Any, run: Run, tiny: Any) -> None:
    import soundfile

    fake_hdtf.video("AdamSchiff.mkv", seconds=2.0, silent=True)
    soundfile.write(fake_hdtf.raw / "AdamSchiff.wav", tiny.speech(seconds=2.0), 16000)
    assert run().problems == ()


def test_a_half_finished_preparation_goes_on(fake_hdtf: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    original = cut_module._OpenClip.finish

    def dies(self: Any) -> Any:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(self.job.cut.id)
        return original(self)

    monkeypatch.setattr(cut_module._OpenClip, "finish", dies)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not list((fake_hdtf.target / "clips").glob(".*"))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = owner().partition(".")[0]
    (fake_hdtf.target / "clips" / f".left.{host}.{gone.pid}-00.tmp.mkv").write_bytes(b"of a killed run")
    other = fake_hdtf.target / "clips" / f".made.{owner()}-00.tmp.mkv"
    other.write_bytes(b"another run is at it")
    monkeypatch.undo()
    report = run()
    assert (report.made, report.kept, report.problems) == (2, 2, ())
    again = run()
    assert (again.made, again.kept) == (0, 4)
    assert again.entries == report.entries
    assert list((fake_hdtf.target / "clips").glob(".*")) == [other]


def test_changed_bytes_and_changed_options_are_made_again(fake_hdtf: Any, run: Run) -> None:
    first = run()
    clip = fake_hdtf.target / "clips" / "WDA_AdamSchiff_000.mkv"
    clip.write_bytes(clip.read_bytes()[:-1])
    assert (run().made, clip.stat().st_size) == (1, clip.stat().st_size)
    shutil.copy(fake_hdtf.raw / "AdamSchiff.mkv", fake_hdtf.raw / "WDA_JohnLewis0.mkv")
    assert run().made == 1
    for part in (fake_hdtf.target / ".state").iterdir():
        part.write_text("{", encoding="utf-8")
    last = run(size=64)
    assert last.made == 4
    assert last.entries[0].sha256 == first.entries[0].sha256


def test_too_little_room_is_said_before_the_work(run: Run, monkeypatch: pytest.MonkeyPatch, fake_hdtf: Any) -> None:
    usage = shutil.disk_usage(fake_hdtf.raw)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(DataError, match="not enough disk space") as told:
        run()
    assert "0 MB" in told.value.found
    assert not (fake_hdtf.target / "clips").exists()


def test_a_disk_that_fills_up(run: Run, monkeypatch: pytest.MonkeyPatch, fake_hdtf: Any) -> None:
    original = cut_module._OpenClip.add
    count = iter(range(100))

    def full(self: Any, frames: Any) -> bool:
        if next(count) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, frames)

    monkeypatch.setattr(cut_module._OpenClip, "add", full)
    with pytest.raises(DataError, match="No space left"):
        run()
    monkeypatch.undo()
    report = run()
    assert (report.kept + report.made, report.kept >= 1) == (4, True)


def test_a_list_of_test_identities_with_a_byte_order_mark_and_unknown_names(
    fake_hdtf: Any, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "people.txt").write_text("\ufeffAdamSchiff\nJohnLewis0\n", encoding="utf-8")
    report = run(test_identities=tmp_path / "people.txt")
    assert {entry.identity: entry.split for entry in report.entries} == {
        "AdamSchiff": "test",
        "JohnLewis": "train",
        "Radio10": "train",
    }
    assert [note for note in report.notes if "JohnLewis0" in note]
    assert not [note for note in run().notes if "test identities" in note]


def test_names_that_find_nothing(fake_hdtf: Any, run: Run, tmp_path: Path) -> None:
    for number, path in enumerate(list(fake_hdtf.raw.iterdir())):
        path.rename(fake_hdtf.raw / f"other{number}.mkv")
    with pytest.raises(DataError, match="none of HDTF's 3 videos"):
        run()
    with pytest.raises(DataError, match="no folder"):
        prepare_hdtf(tmp_path / "absent", target=tmp_path / "out")


@pytest.mark.parametrize(
    "options", [{"fps": 24}, {"size": 63}, {"clip_seconds": 0.0}, {"clips_per_video": 0}, {"quality": "best"}]
)
def test_options_out_of_range(run: Run, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        run(**options)


def test_real_clips_in_the_published_format(tmp_path: Path) -> None:
    clips = Path(__file__).resolve().parents[4] / ".." / "shared" / "assets" / "clips"
    if not clips.is_dir():
        pytest.skip(f"real clips are not there: {clips}")
    raw, text = tmp_path / "raw", tmp_path / "raw" / "HDTF_dataset"
    text.mkdir(parents=True)
    shutil.copy(clips / "RD_Radio10_0_clip_0.mp4", raw / "RD_Radio10.mp4")
    shutil.copy(clips / "May_5s.mp4", raw / "abcdefghij0.mp4")
    lines = {
        "RD_video_url.txt": "Radio10 https://www.youtube.com/watch?v=ZoRK17RCZHY&t=6s\n",
        "RD_annotion_time.txt": "Radio10.mp4 00:00-00:02\n",
        "RD_crop_wh.txt": "Radio10_0.mp4 100 824 0 824\n",
        "RD_resolution.txt": "Radio10.mp4 1024\n",
        "RD_crop_ratio.txt": "Radio10_0.mp4 1.2\n",
        "WRA_video_url.txt": "DebFischer2 https://www.youtube.com/watch?v=abcdefghij0\n",
        "WRA_annotion_time.txt": "DebFischer2.mp4 00:01-00:02 00:03-00:04\n",
        "WRA_crop_wh.txt": "DebFischer2_0.mp4 40 400 10 400\nDebFischer2_1.mp4 0 512 0 512\n",
        "WRA_resolution.txt": "DebFischer2.mp4 512\n",
        "WRA_crop_ratio.txt": "DebFischer2_0.mp4 1.2\nDebFischer2_1.mp4 1.0\n",
    }
    for name, content in lines.items():
        (text / name).write_text(content, encoding="utf-8")
    report = prepare_hdtf(raw, target=tmp_path / "out", size=128)
    assert (report.made, report.problems) == (3, ())
    assert {entry.identity: entry.split for entry in report.entries} == {"Radio10": "test", "DebFischer": "test"}
    assert any("resampled to 25 fps" in note for note in report.notes)
    assert all(checked.code == "ok" for checked in verify_manifest(report.manifest))
    lines_written = (tmp_path / "out" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    assert len({json.loads(line)["id"] for line in lines_written}) == 3


def test_the_command_reports_and_counts(fake_hdtf: Any, tiny: Any) -> None:
    (fake_hdtf.raw / "AdamSchiff.mkv").unlink()
    options = ["--annotations", fake_hdtf.annotations, "-o", fake_hdtf.target, "--size", "32", "--quiet"]
    done = tiny.cli("data", "prepare", "hdtf", "--raw", fake_hdtf.raw, *options, cwd=fake_hdtf.raw.parent)
    assert done.code == 3, done.err
    assert "missing_video: WDA_AdamSchiff" in done.err
    assert "2 clips (2 made, 0 kept) of 2 identities" in done.out
    assert "1 missing_video" in done.out
    wrong = tiny.cli("data", "prepare", "hdtf", "--raw", fake_hdtf.raw, "--fps", "24", cwd=fake_hdtf.raw.parent)
    assert wrong.code == 2
    assert "25 or 30" in wrong.err
