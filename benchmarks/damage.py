"""How often changed bytes are noticed, by codec: the table in docs/media.md.

    python -m benchmarks.damage VIDEO [VIDEO ...] [--files 20]

The first 80 frames of a video, or its audio, are written with every codec. Each damaged copy has 16 random bytes in the
middle of another packet. Noticed is what is refused, or noted beyond the notes of the whole file.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

from emo_bench.media.probe import probe
from emo_core.errors import DecodeError

CHANGED = 16
FRAMES = 80
SIDE = 256
RATE = 48000


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A codec in a container."""

    name: str
    ending: str
    codec: str
    pixels: str = ""  # empty for audio
    options: dict[str, str] = field(default_factory=dict)


KINDS = (
    Kind(name="AV1 (MP4)", ending="mp4", codec="libsvtav1", pixels="yuv420p", options={"preset": "10"}),
    Kind(name="MPEG-2 (MPEG-PS)", ending="mpg", codec="mpeg2video", pixels="yuv420p", options={"b": "2M"}),
    Kind(name="WMV2 (ASF)", ending="wmv", codec="wmv2", pixels="yuv420p", options={"b": "1M"}),
    Kind(name="FFV1 (AVI)", ending="avi", codec="ffv1", pixels="yuv420p", options={"level": "3", "slicecrc": "1"}),
    Kind(name="MPEG-4 part 2 (AVI)", ending="avi", codec="mpeg4", pixels="yuv420p", options={"b": "1M"}),
    Kind(name="Sorenson H.263 (FLV)", ending="flv", codec="flv", pixels="yuv420p", options={"b": "1M"}),
    Kind(name="H.264 (MP4)", ending="mp4", codec="libx264", pixels="yuv420p"),
    Kind(name="HEVC (MP4)", ending="mp4", codec="libx265", pixels="yuv420p", options={"x265-params": "log-level=none"}),
    Kind(name="Motion JPEG (AVI)", ending="avi", codec="mjpeg", pixels="yuvj420p", options={"qscale": "3"}),
    Kind(name="VP8 (WebM)", ending="webm", codec="libvpx", pixels="yuv420p", options={"deadline": "realtime"}),
    Kind(name="VP9 (WebM)", ending="webm", codec="libvpx-vp9", pixels="yuv420p", options={"deadline": "realtime"}),
    Kind(name="AC-3", ending="ac3", codec="ac3"),
    Kind(name="FLAC", ending="flac", codec="flac"),
    Kind(name="AAC (MP4)", ending="m4a", codec="aac"),
    Kind(name="ALAC (MP4)", ending="m4a", codec="alac"),
    Kind(name="PCM (WAV)", ending="wav", codec="pcm_s16le"),
    Kind(name="MP3", ending="mp3", codec="libmp3lame"),
    Kind(name="MP2", ending="mp2", codec="mp2"),
)


def write(path: Path, kind: Kind, source: Path) -> None:
    """A whole file."""
    with av.open(str(source)) as given, av.open(str(path), "w") as out:
        if kind.pixels:
            video: Any = out.add_stream(kind.codec, rate=25, options=kind.options)
            video.width, video.height, video.pix_fmt = SIDE, SIDE, kind.pixels
            for index, frame in enumerate(islice(given.decode(video=0), FRAMES)):
                shown = frame.reformat(width=SIDE, height=SIDE, format=kind.pixels)
                shown.pts, shown.time_base = index, Fraction(1, 25)
                shown.pict_type = av.video.frame.PictureType.NONE
                out.mux(video.encode(shown))
            out.mux(video.encode(None))
            return
        audio: Any = out.add_stream(kind.codec, rate=RATE, layout="mono")
        resampler = av.AudioResampler(
            format=audio.codec_context.format or "fltp", layout="mono", rate=RATE, frame_size=audio.frame_size or 1024
        )
        for heard in (*given.decode(audio=0), None):
            for piece in resampler.resample(heard):
                out.mux(audio.encode(piece))
        out.mux(audio.encode(None))


def middles(path: Path, count: int) -> list[int]:
    """Where to change bytes: in the middle of packets all over the file, but the first and the last two."""
    whole = path.read_bytes()
    with av.open(str(path)) as file:
        packets = [bytes(packet) for packet in file.demux() if packet.size >= 4 * CHANGED]
    # Where a container states a packet's place, that is not always where its bytes are (ASF, MPEG-PS): they are sought.
    middles = [packet[len(packet) // 2 :][:CHANGED] for packet in packets[1:-2]]
    places = [whole.index(middle) for middle in middles if whole.count(middle) == 1]
    return [places[index] for index in np.linspace(0, len(places) - 1, count).round().astype(int)]


def noticed(path: Path, usual: set[str]) -> bool:
    """Whether a file is refused or gets notes that the whole one does not."""
    try:
        return bool({note.code for note in probe(path).notes} - usual)
    except DecodeError:
        return True


def count_noticed(folder: Path, kind: Kind, source: Path, n_files: int) -> int:
    """How many damaged copies are noticed."""
    path = folder / f"{kind.codec}.{kind.ending}"
    write(path, kind, source)
    usual = {note.code for note in probe(path).notes}
    whole = path.read_bytes()
    found = 0
    for position in middles(path, n_files):
        data = bytearray(whole)
        data[position : position + CHANGED] = np.random.default_rng(position).bytes(CHANGED)
        path.write_bytes(bytes(data))
        found += noticed(path, usual)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--files", type=int, default=20)
    given = parser.parse_args()
    print(f"Detected of {given.files}:\n")
    print("| codec (container) | " + " | ".join(video.stem for video in given.videos) + " |")
    print("| --- |" + " --: |" * len(given.videos))
    with TemporaryDirectory() as folder:
        for kind in KINDS:
            found = [str(count_noticed(Path(folder), kind, video, given.files)) for video in given.videos]
            print(f"| {kind.name} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
