from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emo_bench.media.lossless import LosslessWriter, open_clip, write_clip
from emo_bench.media.types import Audio, samples_for_frames, video_from_array
from emo_core.errors import DecodeError, GenerationError
from emo_core.hashing import sha256_file

FPS = Fraction(25)


def noise(n_frames: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (n_frames, height, width, 3), dtype=np.uint8)


def sound(n_frames: int, fps: Fraction = FPS) -> Audio:
    n_samples = samples_for_frames(n_frames, rate=16000, fps=fps)
    return Audio(np.random.default_rng(8).uniform(-1, 1, n_samples).astype(np.float32), 16000)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (33, 47), (64, 64), (127, 130)])
@pytest.mark.parametrize("fps", [FPS, Fraction(30000, 1001)])
def test_every_pixel_and_sample_survives(tmp_path: Path, size: tuple[int, int], fps: Fraction) -> None:
    frames, audio = noise(70, *size), sound(70, fps)
    written = write_clip(tmp_path / "clip.mkv", video_from_array(frames, fps=fps), audio)
    clip = open_clip(written.path)
    assert clip.video.spec == written.spec
    assert clip.video.spec.fps == fps
    assert np.array_equal(clip.video.read_all(), frames)
    assert np.array_equal(clip.audio.samples, audio.samples)
    assert (clip.audio.rate, written.n_samples) == (16000, len(audio.samples))


def test_the_same_clip_gives_the_same_bytes(tmp_path: Path) -> None:
    frames, audio = noise(40, 32, 48), sound(40)
    first = write_clip(tmp_path / "a.mkv", video_from_array(frames, fps=FPS), audio)
    pieces = (frames[start : start + 7] for start in range(0, 40, 7))
    second = write_clip(tmp_path / "other name.mkv", pieces, audio, fps=FPS)
    assert first.sha256 == second.sha256 == sha256_file(first.path)
    assert first.n_bytes == second.path.stat().st_size


def test_pieces_are_short_and_the_clip_can_be_read_again(tmp_path: Path) -> None:
    clip = open_clip(write_clip(tmp_path / "a.mkv", video_from_array(noise(70, 8, 8), fps=FPS), None).path)
    assert [len(piece) for piece in clip.video.open()] == [32, 32, 6]
    assert np.array_equal(clip.video.read_all(), noise(70, 8, 8))
    assert len(clip.audio.samples) == 0


def test_audio_may_be_longer_or_shorter(tmp_path: Path) -> None:
    for n_samples in (10, 50_000):
        audio = Audio(sound(100).samples[:n_samples], 16000)
        clip = open_clip(write_clip(tmp_path / "a.mkv", video_from_array(noise(20, 8, 8), fps=FPS), audio).path)
        assert np.array_equal(clip.audio.samples, audio.samples)
        assert clip.video.spec.n_frames == 20


def test_a_failing_source_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield noise(3, 8, 8)
        raise GenerationError("the system stopped")

    with pytest.raises(GenerationError, match="stopped"):
        write_clip(tmp_path / "a.mkv", broken(), None, fps=FPS)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_source_leaves_the_old_file(tmp_path: Path) -> None:
    old = write_clip(tmp_path / "a.mkv", video_from_array(noise(3, 8, 8), fps=FPS), None)
    with pytest.raises(GenerationError, match="wrong shape"):
        write_clip(tmp_path / "a.mkv", iter([noise(3, 8, 8), noise(3, 8, 9)]), None, fps=FPS)
    assert sha256_file(old.path) == old.sha256


@pytest.mark.parametrize("frames", [[], [np.zeros((0, 4, 4, 3), np.uint8)], [np.zeros((2, 4, 4, 3), np.float32)]])
def test_what_is_no_video_is_refused(tmp_path: Path, frames: list[np.ndarray]) -> None:
    with pytest.raises(GenerationError):
        write_clip(tmp_path / "a.mkv", iter(frames), None, fps=FPS)
    assert list(tmp_path.iterdir()) == []


def test_frame_rate_must_be_the_videos_own(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="own"):
        write_clip(tmp_path / "a.mkv", video_from_array(noise(3, 8, 8), fps=FPS), None, fps=Fraction(30))


def test_the_result_exists_only_at_the_end(tmp_path: Path) -> None:
    with LosslessWriter(tmp_path / "a.mkv", width=8, height=8, fps=FPS, audio=None) as writer:
        writer.add(noise(1, 8, 8))
        with pytest.raises(RuntimeError, match="not finished"):
            _ = writer.result
        assert not (tmp_path / "a.mkv").exists()
    assert writer.result.path.exists()


def test_other_files_are_no_clips(talking: Path, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="not a clip"):
        open_clip(talking)
    with pytest.raises(DecodeError, match="not a clip"):
        open_clip(tmp_path / "absent.mkv")


def test_a_clip_of_another_rate_is_not_read_as_one_of_this(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", video_from_array(noise(5, 8, 8), fps=Fraction(60000, 1001)), None).path
    assert open_clip(path, fps=Fraction(60000, 1001)).video.spec.fps == Fraction(60000, 1001)
    with pytest.raises(DecodeError, match="not a clip"):
        open_clip(path, fps=Fraction(60))


def test_a_cut_clip_is_an_error(tmp_path: Path) -> None:
    written = write_clip(tmp_path / "a.mkv", video_from_array(noise(40, 32, 32), fps=FPS), None)
    written.path.write_bytes(written.path.read_bytes()[: written.n_bytes // 2])
    with pytest.raises(DecodeError):
        open_clip(written.path).video.read_all()
