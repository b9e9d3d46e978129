"""Files that were cut off or damaged are told, whole ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emo_bench.media.audio_samples import sample_notes
from emo_bench.media.decode import open_video, read_audio
from emo_bench.media.probe import probe, scan
from emo_core.errors import DecodeError

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared"
SUSPICIONS = {
    "skipped_start",
    "damaged_header",
    "damaged_end",
    "short_file",
    "cut_frame",
    "no_end_mark",
    "repaired_stamps",
}
"""Notes that no whole file may get."""

REFUSED = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "ogg": "libopus", "mka": "aac", "aiff": "pcm_s16be"}


def sound(path: Path, media: Any, codec: str) -> Path:
    rate = 48000
    tone = media.tone(3.0, rate) + 0.2 * np.random.default_rng(0).standard_normal(3 * rate).astype(np.float32)
    wave = media.Sound(channels=0.5 * tone[None], rate=rate, codec=codec)
    return media.make(path, media.Recipe(codec=None, sound=wave))


def shortened(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


@pytest.mark.parametrize("ending", REFUSED)
def test_half_a_sound_is_refused_and_a_whole_one_is_not(media: Any, tmp_path: Path, ending: str) -> None:
    path = sound(tmp_path / f"a.{ending}", media, REFUSED[ending])
    assert probe(path).notes == ()
    with pytest.raises(DecodeError, match="cut off"):
        probe(shortened(path, 0.5))


def test_an_aac_stream_that_ends_within_a_frame_is_told(media: Any, tmp_path: Path) -> None:
    path = sound(tmp_path / "a.aac", media, "aac")
    assert probe(path).notes == ()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 37])
    assert {note.code for note in probe(path).notes} & SUSPICIONS


@pytest.mark.parametrize(("ending", "codec"), [("aac", "aac"), ("ts", "mp2")])
@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 6)])
def test_channels_that_come_or_go_are_refused_in_words(
    media: Any, tmp_path: Path, ending: str, codec: str, order: tuple[int, int]
) -> None:
    if 6 in order and codec == "mp2":
        pytest.skip("MPEG audio has two channels at most")
    joined = tmp_path / f"joined.{ending}"
    for number in order:
        channels = np.tile(media.tone(1.0, 48000), (number, 1))
        recipe = media.Recipe(codec=None, sound=media.Sound(channels=channels, rate=48000, codec=codec))
        with joined.open("ab") as stream:
            stream.write(media.make(tmp_path / f"{number}.{ending}", recipe).read_bytes())
    with pytest.raises(DecodeError, match=f"the number of audio channels changes from {order[0]} to {order[1]}"):
        read_audio(joined)


@pytest.mark.parametrize("ending", ["mp4", "mov", "wav"])
def test_what_follows_the_end_of_a_file_is_told(media: Any, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "wav":
        sound(path, media, "pcm_s16le")
    else:
        media.make(path, media.Recipe(n_frames=10))
    whole = path.read_bytes()
    assert probe(path).notes == ()
    for more in (whole, *([b"junk" * 50] if ending != "wav" else [])):
        path.write_bytes(whole + more)
        (note,) = probe(path).notes
        assert (note.code, note.amounts["bytes"]) == ("trailing_data", len(more))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DecodeError):
        probe(path)


def test_samples_that_are_no_numbers_are_told_and_stay_where_they_are(media: Any, tmp_path: Path) -> None:
    tone = media.tone(1.0, 48000)
    broken = tone.copy()
    broken[20000:20100], broken[30000] = np.nan, np.inf
    wave = media.Sound(channels=broken[None], rate=48000, codec="pcm_f32le")
    path = media.make(tmp_path / "a.wav", media.Recipe(codec=None, sound=wave))
    found = scan(path, video=False, rate=48000)
    assert found.sample_facts is not None
    assert found.audio is not None
    assert found.sample_facts.no_numbers == 101
    assert "no_numbers" in {note.code for note in sample_notes(found.sample_facts)}
    expected = np.where(np.isfinite(broken), broken, 0)
    assert np.abs(found.audio.samples - expected).max() < 1e-6


def test_a_wav_of_unstated_length_is_whole(media: Any, tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav", media, "pcm_s16le")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(data))
    assert probe(path).notes == ()


TELLING = {
    "h264.mkv": ("libx264", {"g": "20", "crf": "23"}),
    "mpeg2.mkv": ("mpeg2video", {"b": "2M"}),
    "ffv1.mkv": ("ffv1", {"slicecrc": "1", "level": "3"}),
}


@pytest.mark.parametrize("name", TELLING)
def test_bytes_flipped_within_a_picture_are_told(media: Any, tmp_path: Path, name: str) -> None:
    codec, options = TELLING[name]
    path = media.make(tmp_path / name, media.Recipe(codec=codec, options=options, size=(256, 256)))
    assert not SUSPICIONS & {note.code for note in probe(path).notes}
    with av.open(str(path)) as file:
        places = [(packet.pos, packet.size) for packet in file.demux(file.streams.video[0]) if packet.size > 200]
    whole = path.read_bytes()
    told = 0
    for position, size in places[1:30:5]:
        data = bytearray(whole)
        start = position + size // 3
        data[start : start + 64] = np.random.default_rng(position).bytes(64)
        path.write_bytes(bytes(data))
        try:
            told += bool(SUSPICIONS & {note.code for note in probe(path).notes})
        except DecodeError as error:
            assert "after" in error.message  # noqa: PT017 - either way it is told
            told += 1
    assert told >= len(places[1:30:5]) - 1


SUMMED = {
    "vp9.mkv": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "mjpeg.mkv": ("mjpeg", {"qscale": "3"}),
    "pcm.mka": ("pcm_s16le", None),
    "ac3.ac3": ("ac3", None),
}


@pytest.mark.parametrize("name", SUMMED)
def test_a_single_wrong_bit_is_told_where_there_are_checksums(media: Any, tmp_path: Path, name: str) -> None:
    codec, options = SUMMED[name]
    path = tmp_path / name
    if options is None:
        sound(path, media, codec)
    else:
        fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        media.make(path, media.Recipe(codec=codec, options=options, pix_fmt=fmt, n_frames=20))
    assert not SUSPICIONS & {note.code for note in probe(path).notes}
    whole = path.read_bytes()
    with av.open(str(path)) as file:
        places = [(packet.pos, packet.size) for packet in file.demux() if packet.size > 60 and packet.pos is not None]
    for position, size in places[2 : len(places) - 2 : max(1, len(places) // 5)]:
        data = bytearray(whole)
        data[position + size // 2] ^= 4
        path.write_bytes(bytes(data))
        try:
            found = {note.code for note in probe(path).notes}
        except DecodeError:
            continue
        assert found & {*SUSPICIONS, "audio_gap", "audio_overlap"}, position


def test_a_title_that_was_edited_by_hand_is_told_and_read(media: Any, tmp_path: Path) -> None:
    path = media.make(tmp_path / "a.mkv", media.Recipe(n_frames=10))
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"Lavg", 1))
    info = probe(path)
    assert info.n_frames == 10
    assert "damaged_header" in {note.code for note in info.notes}


def test_a_zeroed_part_of_the_first_picture_is_refused(media: Any, tmp_path: Path) -> None:
    path = media.make(tmp_path / "a.mkv", media.Recipe(size=(256, 256), options={"crf": "10"}))
    with av.open(str(path)) as file:
        first = next(file.demux(file.streams.video[0]))
        start, size = first.pos + first.size // 2, first.size // 3
    data = bytearray(path.read_bytes())
    data[start : start + size] = bytes(size)
    path.write_bytes(bytes(data))
    with pytest.raises(DecodeError, match="after 0 frames"):
        open_video(path)


def good_files() -> list[Path]:
    folders = [SHARED / "assets" / "clips", SHARED / "assets" / "audio", SHARED / "data" / "motion"]
    kinds = {".mp4", ".mpg", ".avi", ".mkv", ".wav", ".flac"}
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in kinds)


@pytest.mark.parametrize("every", [pytest.param(60, id="some"), pytest.param(4, id="many", marks=pytest.mark.slow)])
def test_no_good_file_is_suspected(every: int) -> None:
    files = good_files()
    if not files:
        pytest.skip(f"no real files in {SHARED}")
    assets = [path for path in files if "assets" in path.parts] if every < 10 else []
    for path in dict.fromkeys([*assets, *files[::every]]):
        found = {note.code for note in probe(path).notes}
        assert not found & (SUSPICIONS | {"audio_gap", "audio_overlap", "audio_clock", "coding_order"}), path


@pytest.mark.parametrize(("ending", "codec"), [("ogg", "libopus"), ("flac", "flac")])
def test_no_wrong_bit_of_a_file_with_checksums_goes_unnoticed(
    media: Any, tmp_path: Path, ending: str, codec: str
) -> None:
    path = sound(tmp_path / f"a.{ending}", media, codec)
    whole = path.read_bytes()
    good = scan(path, video=False, rate=48000)
    assert (good.audio is not None, good.info.notes) == (True, ())
    rng = np.random.default_rng(0)
    for place, bit in zip(rng.integers(len(whole), size=12), rng.integers(8, size=12), strict=True):
        data = bytearray(whole)
        data[place] ^= 1 << int(bit)
        path.write_bytes(data)
        try:
            found = scan(path, video=False, rate=48000)
        except DecodeError:
            continue
        assert ending == "flac", f"byte {place}: every page has a checksum"
        assert found.info.notes or np.array_equal(found.audio.samples, good.audio.samples), place


@pytest.mark.parametrize(("ending", "codec"), [("ts", "libx264"), ("mpg", "mpeg2video")])
def test_a_stream_that_ends_within_a_packet_is_told(media: Any, tmp_path: Path, ending: str, codec: str) -> None:
    path = media.make(tmp_path / f"a.{ending}", media.Recipe(codec=codec, options={}, n_frames=30, size=(256, 256)))
    assert not SUSPICIONS & {note.code for note in probe(path).notes}
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4 + 11])
    try:
        assert "cut_frame" in {note.code for note in probe(path).notes}
    except DecodeError as error:
        assert "damaged" in error.message  # noqa: PT017 - either way it is told


@pytest.mark.parametrize(("quiet", "told"), [(0.0, {"one_channel"}), (0.9, set())])
def test_a_voice_in_one_of_six_channels_is_told(media: Any, tmp_path: Path, quiet: float, told: set[str]) -> None:
    tone = 0.3 * media.tone(1.0, 48000)
    channels = np.stack([quiet * tone] * 6)
    channels[2] = tone
    wave = media.Sound(channels=channels, rate=48000, codec="pcm_s16le")
    found = scan(media.make(tmp_path / "a.wav", media.Recipe(codec=None, sound=wave)), video=False, rate=48000)
    assert found.sample_facts is not None
    assert {note.code for note in sample_notes(found.sample_facts)} == told
