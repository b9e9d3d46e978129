from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emo_bench.media.doctor import inspect_media
from emo_bench.media.probe import probe


def test_probe_measures_everything(talking: Path) -> None:
    info = probe(talking)
    assert (info.video_codec, info.width, info.height, info.n_frames) == ("h264", 128, 64, 50)
    assert (info.nominal_fps, info.average_fps, info.video_seconds) == (Fraction(25), Fraction(25), Fraction(2))
    assert (info.audio_codec, info.audio_rate, info.channels) == ("aac", 16000, 1)
    assert (info.n_video_streams, info.n_audio_streams, info.rotation, info.is_vfr) == (1, 1, 0, False)
    assert info.interval_min == info.interval_max == 0.04
    assert abs(float(info.audio_seconds) - 2) < 0.1
    plain = json.loads(json.dumps(info.as_json()))
    assert plain["average_fps"] == "25/1"
    assert plain["notes"] == []


def test_probe_of_sound_only(media, tmp_path: Path) -> None:
    sound = media.Sound(channels=np.stack([media.tone(1.0, 44100)] * 2), rate=44100, codec="pcm_s16le")
    info = probe(media.make(tmp_path / "a.wav", media.Recipe(codec=None, sound=sound)))
    assert not info.has_video
    assert info.has_audio
    assert (info.audio_rate, info.channels, info.audio_seconds) == (44100, 2, Fraction(1))


def test_rotation_is_told_clockwise(media, talking: Path) -> None:
    info = probe(media.set_display_matrix(talking, 0, 1, -1, 0))
    assert (info.rotation, info.width, info.height) == (90, 64, 128)


def codes(path: Path, audio: Path | None = None) -> dict[str, str]:
    return {finding.code: finding.level for finding in inspect_media(path, audio)}


def test_a_perfect_clip_is_ok(media, tmp_path: Path) -> None:
    sound = media.Sound(channels=media.tone(5.0, 16000)[None], rate=16000, codec="flac")
    recipe = media.Recipe(n_frames=125, size=(256, 256), sound=sound)
    assert codes(media.make(tmp_path / "a.mkv", recipe)) == {"ok": "ok"}


def test_every_peculiarity_is_found(media, tmp_path: Path) -> None:
    stereo = media.Sound(channels=np.stack([media.tone(3.0, 44100)] * 2), rate=44100)
    path = media.make(tmp_path / "a.mp4", media.Recipe(fps=Fraction(30), sound=stereo))
    assert codes(media.set_display_matrix(path, 0, 1, -1, 0)) == {
        "fps": "warning",
        "short": "warning",
        "small": "warning",
        "durations": "warning",
        "rotated": "note",
        "sample_rate": "note",
        "channels": "note",
    }
    vfr = media.make(tmp_path / "b.mkv", media.Recipe(stamps_ms=[0, 40, 100, 120], size=(2048, 1152)))
    assert codes(vfr).items() >= {"vfr": "warning", "huge": "note", "no_audio": "error"}.items()


def test_the_worst_comes_first(media, tmp_path: Path) -> None:
    findings = inspect_media(media.make(tmp_path / "a.mp4", media.Recipe(n_frames=5)))
    assert findings[0].code == "no_audio"
    assert findings[0].level == "error"


def test_audio_beside_and_inside(talking: Path, media, tmp_path: Path) -> None:
    sound = media.Sound(channels=media.tone(2.0, 8000)[None], rate=8000, codec="pcm_s16le")
    beside = media.make(tmp_path / "a.wav", media.Recipe(codec=None, sound=sound))
    assert codes(talking, beside).items() >= {"two_audio_sources": "note", "sample_rate": "warning"}.items()


@pytest.mark.parametrize(("content", "code"), [(b"", "decode_error"), (b"hello " * 100, "decode_error")])
def test_bad_files_are_findings(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert codes(path) == {code: "error"}


def test_a_cut_file_is_a_finding(media, tmp_path: Path) -> None:
    path = media.make(tmp_path / "a.mp4", media.Recipe(container_options={"movflags": "+faststart"}))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    (finding,) = inspect_media(path)
    assert finding.level == "error"
    assert "frames" in finding.text
