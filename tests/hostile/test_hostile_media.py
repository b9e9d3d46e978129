"""Files that are broken, lie, or attack: each gives one clear error, quickly, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from decoders import decoders

from emo_bench.media.child import DecodeChild
from emo_bench.media.decode import load_pair, open_video, read_audio
from emo_bench.media.limits import DEFAULT_LIMITS
from emo_bench.media.probe import probe
from emo_core.errors import ClipError, DecodeError, LimitError

STRICT = replace(DEFAULT_LIMITS, wall_seconds=20.0)


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    yield
    assert not decoders()


def make(
    path: Path, *, n_frames: int = 60, size: tuple[int, int] = (128, 96), codec: str = "libx264", **container: str
) -> Path:
    """Noise, so that the file is large compared with its headers."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=container) as out:
        stream = out.add_stream(codec, rate=25, options={} if codec != "libx264" else {"crf": "20", "g": "10"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for index in range(n_frames):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def read_to_the_end(child: DecodeChild) -> None:
    while True:
        child.read_exactly(child.next_header()[1])


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 5000,
        b"this is no video\n" * 50,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 500,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\nduration 5\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period></Period></MPD>',
        b"RIFF\xff\xff\xff\xffAVI LIST",
        b"\x1aE\xdf\xa3" + b"\xff" * 300,
        b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\xff\xff\xff\xffmoov" * 30,
    ],
    ids=["empty", "zeros", "text", "png", "m3u8", "concat", "sdp", "dash", "avi", "mkv", "mp4"],
)
@pytest.mark.parametrize("read", [probe, read_audio], ids=lambda function: function.__name__)
def test_what_is_no_media_is_refused(tmp_path: Path, content: bytes, read) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=r"'clip\.mp4'"):
        read(path, limits=STRICT)


def test_a_playlist_cannot_reach_a_real_video_beside_it(tmp_path: Path) -> None:
    make(tmp_path / "real.mp4", n_frames=5)
    for name, text in {
        "a.mp4": "#EXTM3U\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n",
        "b.mp4": "ffconcat version 1.0\nfile real.mp4\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(DecodeError, match="not a readable"):
            probe(tmp_path / name)


def test_a_container_that_is_not_read_is_called_so(tmp_path: Path) -> None:
    path = make(tmp_path / "a.nut", n_frames=5)
    with pytest.raises(DecodeError, match="its container is none of mov, matroska"):
        probe(path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.mp4"
    os.mkfifo(fifo)
    for path, word in ((fifo, "FIFO"), (tmp_path, "directory"), (Path("/dev/zero"), "device")):
        began = time.monotonic()
        with pytest.raises(DecodeError, match=word):
            probe(path)
        assert time.monotonic() - began < 1
    with pytest.raises(DecodeError, match="No such file"):
        probe(tmp_path / "absent.mp4")
    with pytest.raises(DecodeError, match="cannot be opened"):
        probe(Path("a\0b.mp4"))
    loop = tmp_path / "loop.mp4"
    loop.symlink_to(loop)
    with pytest.raises(DecodeError, match="cannot be opened"):
        probe(loop)


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", n_frames=2)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(DecodeError, match="Permission"):
        probe(path)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_cut_off_video_names_the_last_good_frame(tmp_path: Path, ending: str, share: float) -> None:
    options = {"movflags": "+faststart"} if ending == "mp4" else {}
    codec = "mpeg4" if ending == "avi" else "libx264"
    path = cut(make(tmp_path / f"a.{ending}", codec=codec, **options), share)
    with pytest.raises(DecodeError, match=r"after \d+ frames") as caught:
        open_video(path)
    frames = int(str(caught.value).split("after ")[1].split()[0])
    assert abs(frames - 60 * share) < 15


def test_a_video_cut_before_its_index_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="not a readable"):
        open_video(cut(make(tmp_path / "a.mp4"), 0.9))


def test_a_missing_last_packet_is_harmless(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", n_frames=30, size=(64, 48))
    path.write_bytes(path.read_bytes()[:-20])
    info = probe(path)
    assert info.n_frames >= 29
    whole = make(tmp_path / "b.mp4", n_frames=30, size=(64, 48), movflags="+faststart")
    whole.write_bytes(whole.read_bytes()[:-20])
    assert probe(whole).n_frames >= 28


def test_damage_in_the_middle_never_passes_for_a_whole_video(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", movflags="+faststart")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = os.urandom(20_000)
    path.write_bytes(bytes(data))
    with pytest.raises(DecodeError, match=r"after \d+ frames"):
        probe(path)


@pytest.mark.slow
def test_random_damage_never_does_worse_than_an_error(tmp_path: Path) -> None:
    original = make(tmp_path / "a.mp4", n_frames=10, movflags="+faststart").read_bytes()
    rng = np.random.default_rng(1)
    for attempt in range(8):
        data = np.frombuffer(original, np.uint8).copy()
        where = rng.integers(0, len(data) if attempt % 2 else 1200, 40)
        data[where] = rng.integers(0, 256, 40)
        path = tmp_path / f"{attempt}.mp4"
        path.write_bytes(data.tobytes())
        try:
            video = open_video(path, limits=STRICT)
            assert len(video.read_all()) == video.spec.n_frames
        except ClipError as error:
            assert str(error)  # noqa: PT017 - either outcome is right, a crash or a hang is not


def test_a_header_that_promises_a_million_frames(tmp_path: Path) -> None:
    path = make(tmp_path / "a.avi", n_frames=5, codec="mpeg4")
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8 + 32
    data[at : at + 4] = struct.pack("<I", 1_000_000)
    path.write_bytes(bytes(data))
    with pytest.raises(LimitError, match="promises"):
        probe(path)


def test_a_header_that_promises_giant_pictures(tmp_path: Path) -> None:
    path = make(tmp_path / "a.avi", n_frames=5, codec="rawvideo")
    data = bytearray(path.read_bytes())
    at = data.index(b"strf") + 8 + 4
    data[at : at + 8] = struct.pack("<ii", 30_000, 30_000)
    path.write_bytes(bytes(data))
    with pytest.raises(ClipError, match=r"pixels|not a readable|cannot be decoded|damaged"):
        probe(path)


def test_frames_pixels_and_seconds_are_bounded(tmp_path: Path) -> None:
    path = make(tmp_path / "a.ts", n_frames=60)
    with pytest.raises(LimitError, match="more than 20 frames") as told:
        open_video(path, limits=replace(STRICT, max_frames=20))
    assert "shorter clips" in told.value.fix  # no command and no suite can raise a limit
    with pytest.raises(LimitError, match="pixels"):
        open_video(path, limits=replace(STRICT, max_pixels=100 * 90))
    with pytest.raises(LimitError, match=r"1\.5"):
        open_video(path, limits=replace(STRICT, max_seconds=1.5))


def test_long_audio_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = b"\0\0" * 8000 * 30
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data"
    path.write_bytes(b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + head + struct.pack("<I", 0xFFFFFFFF) + samples)
    with pytest.raises(LimitError):
        read_audio(path, limits=replace(STRICT, max_seconds=10))


@pytest.mark.slow
def test_memory_is_bounded(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", n_frames=3, size=(1920, 1088))
    with pytest.raises(LimitError, match="memory"):
        open_video(path, limits=replace(STRICT, memory_bytes=110 << 20))


def test_the_child_cannot_write_files_or_open_many(tmp_path: Path) -> None:
    import json
    import subprocess
    import sys

    program = (
        "import json, sys; from emo_bench.media.decode_worker import limit_process; import resource as r;"
        "limit_process(json.loads(sys.argv[1]));"
        "names = ('FSIZE', 'CORE', 'NOFILE', 'CPU', 'AS');"
        "print([r.getrlimit(getattr(r, 'RLIMIT_' + name))[0] for name in names])"
    )
    limits = json.dumps(DEFAULT_LIMITS.as_json())
    done = subprocess.run([sys.executable, "-c", program, limits], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [0, 0, DEFAULT_LIMITS.open_files, 900, 2 << 30]


def test_a_hanging_decoder_is_stopped(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", n_frames=5)
    request = {"what": "frames", "indices": [0, 1, 2, 3, 4], "size": None}
    limits = replace(STRICT, wall_seconds=1.0)
    began = time.monotonic()
    with DecodeChild(path, request, limits=limits) as child:
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(LimitError, match="too long"):
            read_to_the_end(child)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("sign", "kind", "words"),
    [
        (signal.SIGXCPU, LimitError, "processor time"),
        (signal.SIGKILL, LimitError, "memory"),
        (signal.SIGSEGV, DecodeError, "SIGSEGV"),
    ],
)
def test_a_dying_decoder_is_explained(tmp_path: Path, sign: int, kind: type[ClipError], words: str) -> None:
    path = make(tmp_path / "a.mp4", n_frames=5)
    request = {"what": "frames", "indices": [0, 1, 2, 3, 4], "size": None}
    with DecodeChild(path, request, limits=STRICT) as child:
        os.kill(child.pid, sign)
        with pytest.raises(kind, match=words):
            read_to_the_end(child)


@pytest.mark.parametrize(
    "name",
    [
        "with spaces.mp4",
        "quote'\"quote.mp4",
        "line\nfeed.mp4",
        "-leading-dash.mp4",
        "file:concat|a.mp4",
        "%03d.mp4",
        "\u202egnp.4pm.mp4",
        "$(touch pwned);`id`.mp4",
        "é" * 100 + ".mp4",
        "nicht\udcffutf8.mp4",
    ],
)
def test_hostile_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    source = make(tmp_path / "plain.mp4", n_frames=3)
    path = Path(name)
    source.rename(path)
    assert open_video(path).read_all().shape == (3, 96, 128, 3)
    path.write_bytes(b"no video")
    with pytest.raises(DecodeError) as caught:
        probe(path)
    first_line = str(caught.value).splitlines()[0]
    assert first_line.isprintable()
    assert os.listdir(tmp_path) == [name]


def test_a_file_that_changes_between_the_passes(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", n_frames=40)
    video = open_video(path)
    make(path, n_frames=10)
    with pytest.raises(DecodeError, match="changed"):
        video.read_all()
    path.unlink()
    with pytest.raises(DecodeError, match="cannot be opened"):
        video.read_all()


def test_broken_audio_beside_a_good_video(tmp_path: Path) -> None:
    video = make(tmp_path / "a.mp4", n_frames=30)
    (tmp_path / "a.wav").write_bytes(b"RIFF nonsense")
    with pytest.raises(DecodeError, match=r"a\.wav"):
        load_pair(video, tmp_path / "a.wav")
