"""``prepare_folder`` on real clips with the real face analysis, and its errors without either."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emo_bench.data.prepare.face_crop import FaceFilter
from emo_bench.data.prepare.folder import FolderOptions, prepare_folder, reference_frame
from emo_bench.data.prepare.labels import Measures
from emo_bench.data.verify import verify_manifest
from emo_core.atomic import owner
from emo_core.errors import ConfigError, DataError, WeightsError

ASSETS = Path(__file__).resolve().parents[4] / ".." / "shared" / "assets"


@pytest.fixture
def weights() -> Path:
    if not (ASSETS / "weights" / "face_landmarker_v2_with_blendshapes.task").is_file():
        pytest.skip(f"the face analysis needs weights in {ASSETS / 'weights'}")
    return ASSETS / "weights"


def _without_speech(path: Path, tiny: Any) -> None:
    import soundfile

    shutil.copy(ASSETS / "clips" / "grid_pwij3p.mpg", path)
    soundfile.write(path.with_suffix(".wav"), 0.1 * tiny.speech(seconds=3.0)[:1] * np.ones(48000, np.float32), 16000)


def test_real_clips_become_labelled_clips(tmp_path: Path, weights: Path, tiny: Any) -> None:
    from safetensors.numpy import load_file

    raw, target = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    shutil.copy(ASSETS / "clips" / "grid_id2_swwp2s.mpg", raw / "man.mpg")
    _without_speech(raw / "mute.mpg", tiny)
    tiny.clip(raw / "oval.mkv", seconds=2.0, size=(160, 120))
    tiny.clip(raw / "short.mkv", seconds=0.6)
    tiny.clip(raw / "silent.mkv", seconds=2.0, silent=True)
    (raw / "broken.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42 and nothing else")
    options = FolderOptions(size=128, shortest=1.0, longest=3.0)
    report = prepare_folder(raw, target=target, options=options, weights=(weights,))
    codes = {"decode_error": 1, "no_audio": 1, "no_face": 1, "no_speech": 1, "short_scene": 1}
    assert report.counts() == codes, report.problems
    assert [entry.id for entry in report.entries] == ["man_000"]
    assert all(checked.code == "ok" for checked in verify_manifest(report.manifest))
    entry = report.entries[0]
    labels = load_file(target / entry.meta["labels"])
    n_frames = round((entry.meta["interval_seconds"][1] - entry.meta["interval_seconds"][0]) * 25)
    assert all(len(rows) == n_frames for name, rows in labels.items() if name != "log_mel")
    assert labels["found"].mean() > 0.95
    boxes = labels["box"]
    assert ((boxes[:, 2] - boxes[:, 0]) / 128 > 0.25).all()
    assert ((boxes[:, :2] + boxes[:, 2:]) / 2 / 128 < 0.8).all()
    assert 0.05 < labels["head_velocity"].mean() < 5.0
    again = prepare_folder(raw, target=target, options=options, weights=(weights,))
    assert (again.made, again.kept, again.counts()) == (0, 1, codes)
    (target / entry.meta["labels"]).write_bytes(b"changed")
    once_more = prepare_folder(raw, target=target, options=options, weights=(weights,))
    assert once_more.made == 1
    assert once_more.entries[0].meta["labels_sha256"] == entry.meta["labels_sha256"]


def test_a_video_that_was_cut_off_gets_the_split_and_identity_asked_for_now(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, target = tmp_path / "raw", tmp_path / "out"
    (raw / "anna").mkdir(parents=True)
    shutil.copy(ASSETS / "clips" / "grid_id2_swwp2s.mpg", raw / "anna" / "man.mpg")
    options = FolderOptions(size=64, shortest=1.0, longest=3.0)
    prepare_folder(raw, target=target, options=options, weights=(weights,))
    for state in (target / ".state").glob("*.json"):
        if '"name": "video ' in state.read_text():
            state.unlink()  # as after a kill: the clip is finished, its video is not
    usage = shutil.disk_usage(target)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1))  # what is finished needs no room
    again = prepare_folder(
        raw, target=target, options=options, weights=(weights,), split="validation", identity="folder"
    )
    assert (again.made, again.kept) == (0, 1)
    assert [(entry.split, entry.identity) for entry in again.entries] == [("validation", "anna")]


@pytest.mark.parametrize("fps", [12, 25, 30, 60])
def test_the_portrait_is_a_frame_with_a_face(fps: int) -> None:
    for first in range(1, 40):
        found = np.arange(60) >= first
        shown = round(reference_frame(found, fps=fps) / 25 * fps)
        assert found[shown]
        assert shown - first <= max(2, fps / 25)


def test_places_and_options_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        prepare_folder(tmp_path / "absent", target=tmp_path / "out")
    with pytest.raises(DataError, match="no videos"):
        prepare_folder(tmp_path, target=tmp_path.parent / "out")
    with pytest.raises(DataError, match="lies inside"):
        prepare_folder(tmp_path, target=tmp_path / "out")
    face = {"faces": FaceFilter(least_width=float("nan"))}
    refused = ({"fps": 5}, {"size": 63}, {"shortest": 8.0}, {"longest": float("inf")}, {"expansion": 0.5}, face)
    for options in (*refused, {"threshold": 1.0}):
        with pytest.raises(ConfigError, match="out of range"):
            prepare_folder(tmp_path, target=tmp_path.parent / "out", options=FolderOptions(**options))


def test_without_weights_it_says_so(tmp_path: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMO_BENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tiny.clip(tmp_path / "raw" / "a.mkv")
    with pytest.raises(WeightsError, match="face_"):
        prepare_folder(tmp_path / "raw", target=tmp_path / "out")


def test_unfinished_files_of_another_run_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = None
    monkeypatch.setattr(Measures, "load", lambda weights: Measures(nothing, nothing, ()))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "broken.mp4").write_bytes(b"no video")
    other = tmp_path / "out" / "clips" / f".a_000.{owner()}-00.tmp.mkv"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another run is at it")
    with pytest.raises(DataError, match="no clip could be made"):
        prepare_folder(tmp_path / "raw", target=tmp_path / "out")
    assert other.is_file()
