from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from emo_bench.media.colour import colour_notes
from emo_bench.media.decode import load_pair
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


def test_repeats_of_an_avi_are_no_variable_rate(media, tmp_path: Path) -> None:
    stamps = [frame * 40 for frame in range(50) if frame % 10 not in (3, 4)]
    found = codes(media.make(tmp_path / "a.avi", media.Recipe(codec="mpeg4", stamps_ms=stamps)))
    assert "repeated_frames" in found
    assert not {"vfr", "fps"} & set(found)


@pytest.mark.parametrize(
    ("matrix", "words"), [(2, "does not state its colour matrix"), (8, "(number 8 of ITU-T H.273)")]
)
def test_a_matrix_that_is_stated_but_not_converted_is_not_called_unstated(matrix: int, words: str) -> None:
    (note,) = colour_notes(pixel_format="yuv444p", matrix=matrix, transfer=2, size=(512, 512))
    assert words in note
    assert "BT.601 assumed" in note


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


def test_channels_that_cancel_are_told_and_the_first_one_is_used(media, tmp_path: Path) -> None:
    left = media.tone(2.0, 44100)
    for weight, used in ((-1.0, 1.0), (-0.9, 1.0), (1.0, 1.0), (0.0, 0.5)):
        sound = media.Sound(channels=np.stack([left, weight * left]), rate=44100, codec="pcm_s16le")
        path = media.make(tmp_path / "a.mkv", media.Recipe(sound=sound))
        level = np.abs(load_pair(path).audio.samples).max()
        assert abs(level - 0.5 * used) < 0.01
        assert ("channels_cancel" in codes(path)) == (weight < 0)


def test_channels_that_cancel_in_a_part_of_the_time(media, tmp_path: Path) -> None:
    left = media.tone(2.0, 16000)
    right = np.where(np.arange(len(left)) < 12000, -left, left)
    sound = media.Sound(channels=np.stack([left, right]).astype(np.float32), rate=16000, codec="pcm_s16le")
    found = codes(media.make(tmp_path / "a.mkv", media.Recipe(sound=sound)))
    assert found["channels_cancel"] == "warning"


def test_clipped_silent_and_partly_silent_audio(media, tmp_path: Path) -> None:
    tone = media.tone(2.0, 16000)
    pause = np.where(np.arange(len(tone)) < 16000, 0, tone)
    for wave, code in ((np.clip(5 * tone, -1, 1), "clipped"), (0 * tone, "silent"), (pause, "digital_silence")):
        sound = media.Sound(channels=wave[None].astype(np.float32), rate=16000, codec="pcm_s16le")
        found = codes(media.make(tmp_path / "a.mkv", media.Recipe(sound=sound)))
        assert {"clipped", "silent", "digital_silence"} & set(found) == {code}


@pytest.mark.parametrize(("size", "words"), [((128, 64), "BT.601"), ((1280, 720), "BT.709")])
def test_the_assumed_matrix_is_told(media, tmp_path: Path, size: tuple[int, int], words: str) -> None:
    path = media.make(tmp_path / "a.mp4", media.Recipe(n_frames=2, size=size, states_matrix=False))
    (finding,) = [finding for finding in inspect_media(path) if finding.code.endswith("matrix_assumed")]
    assert words in finding.text


def test_a_still_a_gray_and_an_hdr_video(media, tmp_path: Path) -> None:
    still = media.make(tmp_path / "a.mkv", media.Recipe(stamps_ms=[0, 40]))
    with av.open(str(tmp_path / "b.mkv"), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
        stream.codec_context.color_trc = 16
        for index in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((128, 128, 3), 90, np.uint8), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert codes(tmp_path / "b.mkv").items() >= {"still": "warning", "gray": "note", "hdr": "warning"}.items()
    assert not {"gray", "hdr"} & set(codes(still))
