from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emo_bench.media.decode import load_pair
from emo_bench.media.disclosure import write_tagged
from emo_bench.media.lossless import open_clip, write_clip
from emo_bench.media.preview import decode_own, encode_roundtrip, write_preview
from emo_bench.media.probe import probe
from emo_bench.media.types import Audio, FrameArray, video_from_array
from emo_core.errors import GenerationError

FPS = Fraction(25)


def scene(n_frames: int = 30, height: int = 64, width: int = 96) -> FrameArray:
    """A smooth picture with a moving disc and strong colours."""
    rows, columns = np.mgrid[:height, :width]
    frames = []
    for index in range(n_frames):
        disc = (rows - height / 2) ** 2 + (columns - 20 - index) ** 2 < 150
        image = np.stack([200 * columns / width, 200 * rows / height, np.full_like(rows, 60)], axis=-1)
        image[disc] = (220, 150, 120)
        frames.append(image.astype(np.uint8))
    return np.stack(frames)


def psnr(a: FrameArray, b: FrameArray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


def test_a_relative_name_with_a_colon_is_a_file_and_no_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    video = video_from_array(scene(3), fps=FPS)
    for name in (Path("10:30 %d.mp4"), Path("run:2/a.mp4")):
        write_tagged(write_preview(name, video, None), name, {"title": "a"})
        assert probe(name).n_frames == len(next(decode_own(name, video.spec))) == 3
    assert open_clip(write_clip(Path("run:2/a.mkv"), video, None).path).video.spec.n_frames == 3


@pytest.mark.parametrize("size", [(64, 96), (63, 95)])
def test_preview_plays_with_the_right_colours_and_sound(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = scene(30, *size)
    wave = (0.4 * np.sin(np.arange(19200) * 0.17)).astype(np.float32)
    path = write_preview(tmp_path / "a.mp4", video_from_array(frames, fps=FPS), Audio(wave, 16000))
    info = probe(path)
    assert (info.video_codec, info.pixel_format, info.audio_codec) == ("h264", "yuv420p", "aac")
    assert (info.width, info.height) == (size[1] + size[1] % 2, size[0] + size[0] % 2)
    assert (info.n_frames, info.average_fps) == (30, FPS)
    pair = load_pair(path)
    seen = pair.video.read_all()[:, : size[0], : size[1]]
    assert psnr(seen, frames) > 25
    assert np.abs(seen.astype(float).mean((0, 1, 2)) - frames.astype(float).mean((0, 1, 2))).max() < 2
    assert np.abs(np.corrcoef(pair.audio.samples[2000:17000], wave[2000:17000])[0, 1]) > 0.98


def test_preview_starts_before_it_is_complete_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    audio = Audio(np.zeros(19200, np.float32), 16000)
    video = video_from_array(scene(), fps=FPS)
    first = write_preview(tmp_path / "a.mp4", video, audio).read_bytes()
    second = write_preview(tmp_path / "b.mp4", iter([scene()]), audio, fps=FPS).read_bytes()
    assert first == second
    assert first.index(b"moov") < first.index(b"mdat")


def test_preview_takes_any_audio_rate(tmp_path: Path) -> None:
    audio = Audio(np.zeros(12345, np.float32), 12345)
    info = probe(write_preview(tmp_path / "a.mp4", video_from_array(scene(25), fps=FPS), audio))
    assert info.audio_rate == 48000
    assert abs(float(info.audio_seconds) - 1) < 0.05


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(GenerationError):
        write_preview(tmp_path / "a.mp4", iter([]), None, fps=FPS)
    with pytest.raises(GenerationError, match="size changes"):
        write_preview(tmp_path / "a.mp4", iter([scene(2), scene(2, 32, 32)]), None, fps=FPS)
    assert list(tmp_path.iterdir()) == []


def test_roundtrip_is_real_compression_and_repeats_exactly(tmp_path: Path) -> None:
    frames = scene(40, 63, 95)
    video = video_from_array(frames, fps=FPS)
    once, twice = (encode_roundtrip(video, crf=30, folder=tmp_path) for _ in range(2))
    assert once.spec == video.spec
    seen = once.read_all()
    assert seen.shape == frames.shape
    assert np.array_equal(seen, twice.read_all())
    assert np.array_equal(seen, once.read_all())
    assert not np.array_equal(seen, frames)
    better = encode_roundtrip(video, crf=10, folder=tmp_path).read_all()
    assert 20 < psnr(seen, frames) < psnr(better, frames)


def test_roundtrip_leaves_no_file_behind(tmp_path: Path) -> None:
    video = encode_roundtrip(video_from_array(scene(5), fps=FPS), folder=tmp_path)
    reading = video.open()
    del video
    gc.collect()
    assert len(next(reading)) == 5
    reading.close()
    del reading
    gc.collect()
    assert list(tmp_path.iterdir()) == []
