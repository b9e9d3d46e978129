"""Whatever is found by its name can be opened, and every container that can be opened is found by a name."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emo_bench.data.naming import files_below
from emo_bench.media.containers import AUDIO_EXTENSIONS, CONTAINERS, DEMUXERS, VIDEO_EXTENSIONS
from emo_bench.media.probe import probe
from emo_core.errors import DecodeError

AMR = b"#!AMR\n" + (b"\x04" + bytes(12)) * 50
"""One second of silence; FFmpeg has a decoder and usually no encoder."""

# Demuxer -> FFmpeg's muxer, codec, and sample rate or picture format.
VIDEO = {
    "mov": ("mp4", "libx264"),
    "matroska": ("matroska", "libx264"),
    "avi": ("avi", "mpeg4"),
    "mpeg": ("vob", "mpeg2video"),
    "mpegts": ("mpegts", "libx264"),
    "flv": ("flv", "flv"),
    "asf": ("asf", "wmv2"),
    "ogg": ("ogg", "libvpx"),
    "mpegvideo": ("mpeg2video", "mpeg2video"),
    "h264": ("h264", "libx264"),
    "hevc": ("hevc", "libx265"),
    "ivf": ("ivf", "libvpx-vp9"),
    "obu": ("obu", "libsvtav1"),
}
AUDIO = {
    "mov": ("ipod", "aac"),
    "matroska": ("matroska", "libopus"),
    "asf": ("asf", "wmav2"),
    "ogg": ("ogg", "libopus"),
    "wav": ("wav", "pcm_s16le"),
    "w64": ("w64", "pcm_s16le"),
    "aiff": ("aiff", "pcm_s16be"),
    "caf": ("caf", "pcm_s16le"),
    "au": ("au", "pcm_s16be"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "aac": ("adts", "aac"),
    "ac3": ("ac3", "ac3"),
    "eac3": ("eac3", "eac3"),
}


@contextmanager
def usual_priority() -> Iterator[None]:
    """SVT-AV1 makes the thread that asks for it a real-time one when the user is root; that would outlast the test."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def coded_video(muxer: str, codec: str, media: Any) -> bytes:
    if codec not in av.codecs_available or muxer not in av.formats_available:
        pytest.skip(f"this FFmpeg has no {codec} or no {muxer} to make a file with")
    target = io.BytesIO()
    try:
        out = av.open(target, "w", format=muxer)
        video = out.add_stream(codec, rate=25)
    except (ValueError, av.error.FFmpegError):
        pytest.skip(f"this FFmpeg does not encode {codec}")
    with usual_priority(), out:
        video.width, video.height, video.pix_fmt = 128, 64, "rgb24" if codec == "apng" else "yuv420p"
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(media.picture(index, 128, 64), format="rgb24")
            frame = frame.reformat(format=video.pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return target.getvalue()


def coded_audio(muxer: str, codec: str, media: Any) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format=muxer) as out:
        stream = out.add_stream(codec, rate=48000, layout="stereo")
        stream.bit_rate = 128_000
        tone = media.tone(1.0, 48000)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), 0
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout="stereo", rate=48000, frame_size=stream.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return target.getvalue()


def test_every_container_has_a_name_and_every_name_one_container() -> None:
    assert all(container.video or container.audio for container in CONTAINERS)
    assert len(set(DEMUXERS)) == len(DEMUXERS)
    names = [*VIDEO_EXTENSIONS, *AUDIO_EXTENSIONS]
    assert len(set(names)) == len(names)
    assert set(VIDEO) == {container.demuxer for container in CONTAINERS if container.video}
    assert {*AUDIO, "amr"} == {container.demuxer for container in CONTAINERS if container.audio}


@pytest.mark.parametrize("demuxer", VIDEO)
def test_videos_that_are_found_by_name_are_read(media: Any, tmp_path: Path, demuxer: str) -> None:
    data = coded_video(*VIDEO[demuxer], media)
    (container,) = [container for container in CONTAINERS if container.demuxer == demuxer]
    for ending in container.video:
        path = tmp_path / f"a{ending.upper()}"
        path.write_bytes(data)
        assert files_below(tmp_path).videos == (path,)
        info = probe(path)
        assert demuxer in info.container.split(",") or info.container.startswith(demuxer)
        assert info.n_frames >= 9
        path.unlink()


@pytest.mark.parametrize("demuxer", [*AUDIO, "amr"])
def test_audio_that_is_found_by_name_is_read(media: Any, tmp_path: Path, demuxer: str) -> None:
    data = AMR if demuxer == "amr" else coded_audio(*AUDIO[demuxer], media)
    (container,) = [container for container in CONTAINERS if container.demuxer == demuxer]
    for ending in container.audio:
        path = tmp_path / f"a{ending}"
        path.write_bytes(data)
        assert files_below(tmp_path).audio == (path,)
        assert probe(path).has_audio
        assert abs(float(probe(path).audio_seconds) - 1.0) < 0.1
        path.unlink()


def test_a_container_that_is_not_listed_is_refused_by_its_name(media: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(coded_video("apng", "apng", media))
    with pytest.raises(DecodeError, match="its container is none of mov"):
        probe(path)
