"""Small real media files, made on the fly; every frame carries its index as eight black or white blocks."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from decoders import ROOT
from PIL import Image

from emo_bench.media import starting


def picture(index: int, width: int, height: int) -> np.ndarray:
    """Grey, with the bits of ``index`` as blocks in the upper half, a red lower left and a blue lower right quarter."""
    image = np.full((height, width, 3), 128, np.uint8)
    block = width // 8
    for bit in range(8):
        image[: height // 2, bit * block : (bit + 1) * block] = 255 if index >> bit & 1 else 0
    image[height // 2 :, : width // 2] = (230, 20, 20)
    image[height // 2 :, width // 2 :] = (20, 20, 230)
    return image


def index_of(image: np.ndarray) -> int:
    height, width = image.shape[:2]
    block = width // 8
    middle = image[height // 8 : height * 3 // 8].astype(float)
    return sum(
        1 << b for b in range(8) if middle[:, b * block + block // 4 : (b + 1) * block - block // 4].mean() > 128
    )


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Sound:
    channels: np.ndarray  # float32 [channels, n]
    rate: int
    codec: str = "aac"
    start: Fraction = Fraction(0)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    n_frames: int = 50
    fps: Fraction = Fraction(25)
    size: tuple[int, int] = (128, 64)
    codec: str | None = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    states_matrix: bool = True
    stamps_ms: Sequence[int] | None = None
    sound: Sound | None = None
    container_options: dict[str, str] = field(default_factory=dict)


def make(path: Path, recipe: Recipe) -> Path:
    with av.open(str(path), "w", options=recipe.container_options) as out:
        video = sound = None
        unit = Fraction(1, 1000) if recipe.stamps_ms else 1 / recipe.fps
        if recipe.codec:
            video = out.add_stream(recipe.codec, rate=recipe.fps, options=recipe.options)
            video.width, video.height = recipe.size
            video.pix_fmt = recipe.pix_fmt
            video.codec_context.time_base = unit
            if recipe.states_matrix:
                video.codec_context.colorspace = 5
        if recipe.sound:
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(recipe.sound.channels)]
            sound = out.add_stream(recipe.sound.codec, rate=recipe.sound.rate, layout=layout)
        if recipe.sound and sound:
            write_sound(out, sound, recipe.sound)
        if video:
            stamps = recipe.stamps_ms or range(recipe.n_frames)
            for index, stamp in enumerate(stamps):
                frame = av.VideoFrame.from_ndarray(picture(index, *recipe.size), format="rgb24")
                frame = frame.reformat(format=recipe.pix_fmt, dst_colorspace=5, dst_color_range=1, src_color_range=2)
                frame.pts, frame.time_base = stamp, unit
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
    return path


def write_sound(out: av.container.OutputContainer, stream: av.audio.AudioStream, sound: Sound) -> None:
    rate, layout = sound.rate, {1: "mono", 2: "stereo", 6: "5.1"}[len(sound.channels)]
    resampler = av.AudioResampler(
        format=stream.codec_context.format or "fltp", layout=layout, rate=rate, frame_size=stream.frame_size or 1024
    )
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.channels), format="fltp", layout=layout)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    frame.pts = round(sound.start * rate)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        out.mux(stream.encode(piece))
    out.mux(stream.encode(None))


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Writes a rotation or mirror into the (first, video) track header of an MP4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))
    return path


@pytest.fixture
def media() -> SimpleNamespace:
    """The makers of this file, for tests (which cannot import a conftest)."""
    return SimpleNamespace(
        make=make,
        picture=picture,
        Recipe=Recipe,
        Sound=Sound,
        tone=tone,
        index_of=index_of,
        set_display_matrix=set_display_matrix,
    )


@pytest.fixture
def talking(tmp_path: Path) -> Path:
    """Two seconds at 25 fps with mono sound at 16 kHz."""
    sound = Sound(channels=tone(2.0, 16000)[None], rate=16000)
    return make(tmp_path / "talking.mp4", Recipe(sound=sound))


@pytest.fixture(scope="session")
def real_clips() -> Path:
    folder = Path(__file__).resolve().parents[3] / ".." / "shared" / "assets" / "clips"
    if not folder.is_dir():
        pytest.skip(f"real clips are not there: {folder}")
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((8, 8, 3), 77, np.uint8)).save(path)
    return path


@pytest.fixture
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Makes a decoder with a name and statements of its own; its server is ended after the test."""
    monkeypatch.setattr(starting, "_PACKAGE_ROOT", f"{tmp_path}{os.pathsep}{ROOT}")
    before = set(starting._servers)

    def make(name: str, statements: str) -> None:
        (tmp_path / f"{name}.py").write_text(f"import os, sys, time\n\ndef main():\n    {statements}\n")

    yield make
    for name in set(starting._servers) - before:
        starting._forget(starting._servers[name])


@pytest.fixture
def sleeper(decoder: Callable[[str, str], None]) -> str:
    """A decoder that takes ten minutes, and where it is found, as a value of PYTHONPATH."""
    decoder("sleeper", "time.sleep(600)")
    return str(starting._PACKAGE_ROOT)
