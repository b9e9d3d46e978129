from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from hdtf_synth.container import avi_bytes

av = pytest.importorskip("av")


def _pictures(n: int, size: int, seed: int) -> np.ndarray:
    frames = np.full((n, size, size, 3), 90, np.uint8)
    frames[:, : size // 3] = (np.arange(size // 3 * size * 3) * (7919 + seed) % 251).reshape(1, size // 3, size, 3)
    for t in range(n):
        frames[t, size // 2 :, (3 * t) % size :] = t % 256
    return frames


@pytest.mark.parametrize("n", [1, 2, 25, 26, 60])
def test_every_pixel_and_sample_comes_back(tmp_path: Path, n: int) -> None:
    frames = _pictures(n, 32, n)
    samples = (np.arange(n * 640) * 37 % 4001 - 2000).astype(np.int16)
    path = tmp_path / "clip.avi"
    path.write_bytes(avi_bytes(frames, samples, fps=25, rate=16000))
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with av.open(str(path)) as container:
        assert container.streams.audio[0].rate == 16000
        sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    assert np.array_equal(decoded, frames)
    assert np.array_equal(sound, samples)


def test_noise_and_flat_pictures_survive(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 16, 20, 3)).astype(np.uint8)
    for frames in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        path = tmp_path / "clip.avi"
        path.write_bytes(avi_bytes(frames, np.zeros(1920, np.int16), fps=25, rate=16000))
        with av.open(str(path)) as container:
            decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        assert np.array_equal(decoded, frames)


def test_bytes_do_not_depend_on_zlib_compression() -> None:
    frames = _pictures(3, 16, 1)
    first = avi_bytes(frames, np.zeros(1920, np.int16), fps=25, rate=16000)
    assert zlib.crc32(first) == CONTAINER_CRC


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (2, 8, 6, 3), (2, 8, 8, 4)])
def test_impossible_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        avi_bytes(np.zeros(shape, np.uint8), np.zeros(10, np.int16), fps=25, rate=16000)


CONTAINER_CRC = 2421496360
