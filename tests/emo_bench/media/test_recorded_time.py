"""Files with painted frame numbers and beeps at known times, recorded and broken in many ways, are read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emo_bench.media.decode import MediaPair, load_pair, load_video
from emo_core.errors import DecodeError, LimitError

N_FRAMES = 60
RATE = 16000
BEEPS = (0.4, 0.8, 1.2, 1.6, 2.0)
"""Seconds at which tones of 50 ms begin; what lies between is silence."""

Shift = Callable[[Any, int], list[Any]]


def untouched(packet: Any, _: int) -> list[Any]:
    return [packet]


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """How a file is recorded, and what becomes of its packets on the way.

    Attributes:
        ending: Container.
        codec: Of the video.
        options: Of the codec.
        audio: Codec of the sound.
        stamps_ms: When each frame is shown; 25 fps when empty.
        kept: Which frames the encoder gets; the others it never sees.
        video: Gets each coded packet and its position in coding order, returns what is written.
        sound: As ``video``, for the sound.
    """

    ending: str = "mkv"
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: {"bf": "3", "b_strategy": "0", "g": "30", "crf": "24"})
    audio: str = "pcm_s16le"
    stamps_ms: tuple[int, ...] = ()
    kept: tuple[int, ...] = tuple(range(N_FRAMES))
    video: Shift = untouched
    sound: Shift = untouched


def beeping() -> np.ndarray:
    samples = np.zeros(round(N_FRAMES / 25 * RATE), np.float32)
    burst = 0.6 * np.sin(2 * np.pi * 1000 * np.arange(RATE // 20) / RATE)
    for beep in BEEPS:
        samples[round(beep * RATE) :][: len(burst)] = burst
    return samples


def record(path: Path, how: Recorder, painted: Any) -> Path:
    unit = Fraction(1, 1000) if how.stamps_ms else Fraction(1, 25)
    with av.open(str(path), "w") as out:
        video = out.add_stream(how.codec, rate=25, options=how.options)
        video.width, video.height, video.pix_fmt = 128, 64, "yuvj420p" if how.codec == "mjpeg" else "yuv420p"
        video.codec_context.time_base = unit
        sound = out.add_stream(how.audio, rate=RATE, layout="mono")
        packets: list[tuple[int, Any]] = []
        for index, stamp in enumerate(how.stamps_ms) if how.stamps_ms else ((n, n) for n in how.kept):
            frame = av.VideoFrame.from_ndarray(painted(index, 128, 64), format="rgb24")
            frame = frame.reformat(format=video.pix_fmt)
            frame.pts, frame.time_base = stamp, unit
            packets += [(0, packet) for packet in video.encode(frame)]
        packets += [(0, packet) for packet in video.encode(None)]
        resampler = av.AudioResampler(
            format=sound.codec_context.format, layout="mono", rate=RATE, frame_size=sound.frame_size or 800
        )
        whole = av.AudioFrame.from_ndarray(beeping()[None], format="fltp", layout="mono")
        whole.sample_rate, whole.time_base, whole.pts = RATE, Fraction(1, RATE), 0
        for piece in [*resampler.resample(whole), *resampler.resample(None)]:
            packets += [(1, packet) for packet in sound.encode(piece)]
        packets += [(1, packet) for packet in sound.encode(None)]
        counts = [0, 0]
        written = []
        for stream, packet in packets:
            written += [(stream, one) for one in (how.video, how.sound)[stream](packet, counts[stream])]
            counts[stream] += 1
        for _, packet in sorted(written, key=lambda item: (float((item[1].dts or 0) * item[1].time_base), item[0])):
            out.mux(packet)
    return path


def moved(ms: int) -> Shift:
    def change(packet: Any, _: int) -> list[Any]:
        steps = round(Fraction(ms, 1000) / packet.time_base)
        packet.pts, packet.dts = packet.pts + steps, packet.dts + steps
        return [packet]

    return change


def left_out(start: float, end: float) -> Shift:
    return lambda packet, _: [] if start <= float(packet.pts * packet.time_base) < end else [packet]


def scaled(factor: Fraction) -> Shift:
    def change(packet: Any, _: int) -> list[Any]:
        packet.pts = packet.dts = round(packet.pts * factor)
        return [packet]

    return change


def in_coding_order(packet: Any, index: int) -> list[Any]:
    packet.pts = packet.dts = round(index / (25 * packet.time_base))
    return [packet]


def delayed_encoder(*empty_before: int) -> Shift:
    """Leaves out one chunk before each packet of these numbers."""

    def change(packet: Any, index: int) -> list[Any]:
        packet.dts += sum(index >= number for number in empty_before)
        packet.pts = packet.dts
        return [packet]

    return change


def onsets(pair: MediaPair) -> list[float]:
    samples = np.abs(pair.audio.samples)
    loud = np.flatnonzero(samples > 0.1) / pair.audio.rate
    return [float(time) for time, before in zip(loud, [-1.0, *loud], strict=False) if time - before > 0.1]


def shown(pair: MediaPair, media: Any) -> list[int]:
    return [media.index_of(frame) for frame in pair.video.read_all()]


def codes(pair: MediaPair) -> set[str]:
    return {note.code for note in pair.notes}


def heard_at(pair: MediaPair, times: tuple[float, ...], within: float = 0.005) -> bool:
    heard = onsets(pair)
    return len(heard) == len(times) and bool(np.abs(np.subtract(heard, times)).max() <= within)


XVID = {"bf": "2", "b": "800k", "g": "30"}
PLAIN = {
    "h264-mp4": Recorder(ending="mp4", audio="aac"),
    "h264-mov": Recorder(ending="mov"),
    "h264-mkv": Recorder(),
    "h264-ts": Recorder(ending="ts", audio="mp2"),
    "h264-avi": Recorder(ending="avi"),
    "mpeg4-avi": Recorder(ending="avi", codec="mpeg4", options=XVID),
    "mpeg4-mp4": Recorder(ending="mp4", codec="mpeg4", options=XVID, audio="aac"),
    "mjpeg-avi": Recorder(ending="avi", codec="mjpeg", options={"qscale": "3"}),
    "vp9-webm": Recorder(
        ending="webm", codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}, audio="libopus"
    ),
    "mpeg2-mpg": Recorder(ending="mpg", codec="mpeg2video", options={"bf": "2", "b": "2M"}, audio="mp2"),
}
SLOW = {"h264-mov", "mpeg4-mp4", "mjpeg-avi", "vp9-webm", "mpeg2-mpg"}


def some_slow(names: Any) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in names]


@pytest.mark.parametrize("name", some_slow(PLAIN))
def test_whole_files(media: Any, tmp_path: Path, name: str) -> None:
    how = PLAIN[name]
    pair = load_pair(record(tmp_path / f"a.{how.ending}", how, media.picture))
    frames = shown(pair, media)
    assert frames == list(range(len(frames)))
    assert len(frames) >= N_FRAMES - 1
    # MP2 and Opus begin softly: their first samples are quieter than what follows.
    assert heard_at(pair, BEEPS, 0.005 if how.audio in ("aac", "pcm_s16le") else 0.012), onsets(pair)


@pytest.mark.parametrize("ms", [160, 1000])
@pytest.mark.parametrize("name", some_slow(["h264-mp4", "h264-mkv", "h264-mov", "h264-ts"]))
def test_a_video_that_begins_after_its_audio(media: Any, tmp_path: Path, name: str, ms: int) -> None:
    how = replace(PLAIN[name], video=moved(ms))
    path = record(tmp_path / f"a.{how.ending}", how, media.picture)
    pair = load_pair(path)
    frames = shown(pair, media)
    assert frames == list(range(len(frames)))
    expected = tuple(beep - ms / 1000 for beep in BEEPS if beep >= ms / 1000)
    assert heard_at(pair, expected, 0.012 if how.audio == "mp2" else 0.005), onsets(pair)
    assert "audio_offset" in codes(pair)
    alone = load_video(path)
    assert any(note.code == "audio_offset" and "its own audio" in note for note in alone.notes)


@pytest.mark.parametrize("name", ["h264-mp4", "h264-mkv"])
def test_missing_audio_is_silence(media: Any, tmp_path: Path, name: str) -> None:
    how = replace(PLAIN[name], sound=left_out(0.55, 1.45))
    pair = load_pair(record(tmp_path / f"a.{how.ending}", how, media.picture))
    assert shown(pair, media) == list(range(N_FRAMES))
    assert heard_at(pair, (0.4, 1.6, 2.0)), onsets(pair)
    (note,) = [note for note in pair.notes if note.code == "audio_gap"]
    assert abs(note.amounts["seconds"] - 0.9) < 0.13


@pytest.mark.parametrize("factor", [Fraction(98, 100), Fraction(102, 100)])
def test_drifting_audio_follows_its_time_stamps(media: Any, tmp_path: Path, factor: Fraction) -> None:
    how = Recorder(sound=scaled(factor))
    pair = load_pair(record(tmp_path / "a.mkv", how, media.picture))
    assert heard_at(pair, tuple(float(beep * factor) for beep in BEEPS), 0.02), onsets(pair)
    assert codes(pair) & {"audio_gap", "audio_overlap"}


def test_jitter_of_time_stamps_changes_nothing(media: Any, tmp_path: Path) -> None:
    def late(packet: Any, index: int) -> list[Any]:
        packet.pts = packet.dts = packet.pts + (packet.pts and 100 * (index % 3))
        return [packet]

    pair = load_pair(record(tmp_path / "a.mkv", Recorder(sound=late), media.picture))
    assert heard_at(pair, BEEPS)
    assert not codes(pair) & {"audio_gap", "audio_overlap"}


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_chunks_that_an_avi_leaves_out_are_repeats(media: Any, tmp_path: Path, codec: str) -> None:
    options = {"bf": "0"} if codec == "libx264" else {"b": "800k"}
    gone = {7, 8, 9, 30, 31, 58, 59}

    def drop(packet: Any, index: int) -> list[Any]:
        return [] if index in gone else [packet]

    how = Recorder(ending="avi", codec=codec, options=options | {"g": "1"}, video=drop)
    pair = load_pair(record(tmp_path / "a.avi", how, media.picture))
    wanted = [max(kept for kept in range(index + 1) if kept not in gone) for index in range(N_FRAMES)]
    frames = shown(pair, media)
    assert frames == wanted[: len(frames)]
    assert len(frames) >= N_FRAMES - 2
    assert heard_at(pair, BEEPS)
    assert "repeated_frames" in codes(pair)


PAUSING = {
    "x264": ("libx264", {"bf": "3", "b_strategy": "0", "g": "30"}),
    "x264 with many B-frames": ("libx264", {"bf": "8", "g": "24"}),
    "x264 without a pyramid": ("libx264", {"bf": "2", "b-pyramid": "none"}),
    "MPEG-4": ("mpeg4", {"bf": "2", "b": "800k", "g": "30"}),
    "one B-frame": ("mpeg4", {"bf": "1", "b": "800k", "g": "12"}),
    "no B-frames": ("mpeg4", {"b": "800k"}),
}


@pytest.mark.parametrize("name", PAUSING)
@pytest.mark.parametrize("gone", [range(22, 36), range(1, 3), (7, 8, 9, 30, 31, 50), "random"])
def test_frames_that_an_encoder_never_got_are_repeats(media: Any, tmp_path: Path, name: str, gone: Any) -> None:
    codec, options = PAUSING[name]
    if gone == "random":
        rng = np.random.default_rng(sum(name.encode()))
        starts, lengths = rng.integers(10, 50, 3), rng.integers(1, 7, 3)
        gone = {int(start + n) for start, length in zip(starts, lengths, strict=True) for n in range(length)}
    kept = tuple(number for number in range(N_FRAMES) if number not in gone)
    how = Recorder(ending="avi", codec=codec, options=options, kept=kept)
    pair = load_pair(record(tmp_path / "a.avi", how, media.picture))
    wanted = [max(number for number in kept if number <= index) for index in range(N_FRAMES)]
    frames = shown(pair, media)
    assert frames == wanted[: len(frames)]
    assert len(frames) >= N_FRAMES - 1
    assert "repeated_frames" in codes(pair)
    assert heard_at(pair, BEEPS), onsets(pair)


@pytest.mark.parametrize("empty_before", [(1, 1), (1, 3), (1, 3, 4)])
def test_the_start_up_delay_of_an_encoder_is_closed_up(
    media: Any, tmp_path: Path, empty_before: tuple[int, ...]
) -> None:
    how = Recorder(ending="avi", video=delayed_encoder(*empty_before))
    pair = load_pair(record(tmp_path / "a.avi", how, media.picture))
    assert shown(pair, media) == list(range(N_FRAMES))
    assert "encoder_delay" in codes(pair)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_stamps_in_coding_order_are_sorted(media: Any, tmp_path: Path, ending: str) -> None:
    how = Recorder(ending=ending, audio="aac" if ending == "mp4" else "pcm_s16le", video=in_coding_order)
    pair = load_pair(record(tmp_path / f"a.{ending}", how, media.picture))
    frames = shown(pair, media)
    assert frames == list(range(len(frames)))
    assert len(frames) >= N_FRAMES - 1
    assert "coding_order" in codes(pair)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_irregular_frames_are_shown_at_their_time(media: Any, tmp_path: Path, ending: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.choice([13, 20, 33, 40, 67, 100, 280], N_FRAMES)
    stamps = tuple(int(stamp) for stamp in np.cumsum(steps) - steps[0])
    how = Recorder(ending=ending, stamps_ms=stamps, audio="aac" if ending == "mp4" else "pcm_s16le")
    video = load_video(record(tmp_path / f"a.{ending}", how, media.picture)).video
    for output, frame in enumerate(video.read_all()):
        due = [stamp for stamp in stamps if stamp <= 40 * output + 20]
        assert media.index_of(frame) == int(np.argmin([abs(stamp - 40 * output) for stamp in due]))


@pytest.mark.parametrize("share", [0.4, 0.75])
@pytest.mark.parametrize("name", some_slow(["h264-mkv", "mpeg4-avi", "mjpeg-avi"]))
def test_a_cut_recording_is_refused(media: Any, tmp_path: Path, name: str, share: float) -> None:
    how = PLAIN[name]
    path = record(tmp_path / f"a.{how.ending}", how, media.picture)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DecodeError):
        load_pair(path)


def test_a_gap_of_an_hour_is_no_recording(media: Any, tmp_path: Path) -> None:
    def late(packet: Any, index: int) -> list[Any]:
        packet.pts = packet.dts = packet.pts + (3000 * RATE if index > 10 else 0)
        return [packet]

    path = record(tmp_path / "a.mkv", Recorder(sound=late), media.picture)
    with pytest.raises(LimitError, match="gap in the audio"):
        load_pair(path)
