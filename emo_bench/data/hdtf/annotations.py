"""Reads HDTF's annotation files as published; every wrong line is named, none stops the reading.

========================  =====================================================================================
file                      a line
========================  =====================================================================================
``P_video_url.txt``       ``Name https://www.youtube.com/watch?v=ID``
``P_annotion_time.txt``   ``Name.mp4 mm:ss-mm:ss [mm:ss-mm:ss ...]``, hours allowed (``h:mm:ss``)
``P_crop_wh.txt``         ``Name_k.mp4 x width y height``, the window of clip k in pixels of the listed resolution
``P_resolution.txt``      ``Name.mp4 720``, the height at which the windows were drawn
``P_crop_ratio.txt``      ``Name_k.mp4 1.2``, the zoom of the window (kept as information)
========================  =====================================================================================

``P`` is the part: RD (radio), WDA or WRA (weekly addresses).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from emo_bench.data.prepare.report import Problem
from emo_core.errors import DataError

TIMES_SUFFIX = "_annotion_time.txt"
LARGEST_FILE = 8 << 20
_NAME = re.compile(r"[\w-]{1,80}")
_CLIP = re.compile(r"([\w-]{1,80})_(\d{1,4})")
_TIME = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2})")
_URL_ID = re.compile(r"(?:[?&]v=|youtu\.be/|/embed/|/shorts/|/live/)([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])")

T = TypeVar("T")


@dataclass(frozen=True)
class Interval:
    """When somebody talks, in seconds of the source video."""

    start: float
    end: float


@dataclass(frozen=True)
class CropWindow:
    """A window in pixels of an image as high as the annotated resolution."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class AnnotatedVideo:
    """One source video.

    Attributes:
        part: RD, WDA or WRA.
        name: As published, without ending.
        intervals: One per clip.
        url: Where it was published; empty when not listed.
        youtube_id: Out of the address; empty when there is none.
        height: The image's height that the windows refer to, or None.
        windows: Number of the clip -> its window.
        zooms: Number of the clip -> factor by which the window was enlarged.
    """

    part: str
    name: str
    intervals: tuple[Interval, ...]
    url: str = ""
    youtube_id: str = ""
    height: int | None = None
    windows: dict[int, CropWindow] = field(default_factory=dict)
    zooms: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotations:
    """All source videos in order of part and name, and what is wrong with the files."""

    videos: tuple[AnnotatedVideo, ...]
    problems: tuple[Problem, ...]


def read_annotations(folder: Path) -> Annotations:
    """Reads every part whose ``P_annotion_time.txt`` lies in a folder or in its subfolder ``HDTF_dataset``.

    Raises:
        DataError: when there is no such file.
    """
    places = [place for place in (folder, folder / "HDTF_dataset") if any(place.glob("*" + TIMES_SUFFIX))]
    if not places:
        raise DataError(
            f"no HDTF annotations in {folder}",
            expected="files such as WDA_annotion_time.txt, WDA_crop_wh.txt, WDA_resolution.txt, WDA_video_url.txt",
            found="none" if folder.is_dir() else "no such folder",
            fix="take the folder HDTF_dataset of the data set's repository and name it with --annotations",
        )
    reader = _Reader(places[0])
    videos = [video for part in reader.parts() for video in reader.read_part(part)]
    return Annotations(tuple(sorted(videos, key=lambda video: (video.part, video.name))), tuple(reader.problems))


def parse_interval(text: str) -> Interval:
    """``mm:ss-mm:ss`` or with hours.

    Raises:
        ValueError: with what was expected.

    >>> parse_interval("00:05-04:40"), parse_interval("1:00:00-1:00:07")
    (Interval(start=5, end=280), Interval(start=3600, end=3607))
    """
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"mm:ss-mm:ss, found {text!r}")
    interval = Interval(parse_time(start), parse_time(end))
    if interval.end <= interval.start:
        raise ValueError(f"an end after its start, found {text!r}")
    return interval


def parse_time(text: str) -> int:
    """Seconds of ``mm:ss`` or ``h:mm:ss``.

    Raises:
        ValueError: with what was expected.
    """
    found = _TIME.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 99)
    if found is None or seconds > 59 or (found.group(1) is not None and minutes > 59):
        raise ValueError(f"a time as mm:ss or h:mm:ss, found {text!r}")
    return hours * 3600 + minutes * 60 + seconds


def youtube_id(url: str) -> str:
    """The eleven characters that name a video, whatever parameters stand around them; '' when there are none.

    >>> youtube_id("https://www.youtube.com/watch?v=uBWJJvynXpA&t=6s"), youtube_id("https://youtu.be/uBWJJvynXpA?t=6")
    ('uBWJJvynXpA', 'uBWJJvynXpA')
    """
    found = _URL_ID.search(url)
    return found.group(1) if found else ""


class _Reader:
    """Collects problems while it reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: list[Problem] = []

    def parts(self) -> list[str]:
        return sorted(path.name.removesuffix(TIMES_SUFFIX) for path in self._folder.glob("*" + TIMES_SUFFIX))

    def read_part(self, part: str) -> list[AnnotatedVideo]:
        times = self._table(f"{part}{TIMES_SUFFIX}", _times_row)
        urls = self._table(f"{part}_video_url.txt", _url_row)
        heights = self._table(f"{part}_resolution.txt", _height_row)
        windows = self._table(f"{part}_crop_wh.txt", _window_row)
        zooms = self._table(f"{part}_crop_ratio.txt", _zoom_row)
        return [
            AnnotatedVideo(
                part=part,
                name=name,
                intervals=intervals,
                url=urls.get(name, ""),
                youtube_id=youtube_id(urls.get(name, "")),
                height=heights.get(name),
                windows=_of(windows, name),
                zooms=_of(zooms, name),
            )
            for name, intervals in times.items()
        ]

    def _table(self, file: str, parse: Callable[[list[str]], tuple[str, T]]) -> dict[str, T]:
        table: dict[str, T] = {}
        for number, line in self._lines(file):
            try:
                name, value = parse(line.split())
            except ValueError as error:
                self.problems.append(Problem("annotation", f"{file}:{number}", f"expected {error}"))
                continue
            if name in table:
                reason = f"expected each name once, {name!r} stands above already; the first line counts"
                self.problems.append(Problem("annotation", f"{file}:{number}", reason))
                continue
            table[name] = value
        return table

    def _lines(self, file: str) -> Iterator[tuple[int, str]]:
        path = self._folder / file
        try:
            size = path.stat().st_size
            if not path.is_file() or size > LARGEST_FILE:
                raise OSError(f"no regular file below {LARGEST_FILE} bytes")
            text = path.read_text(encoding="utf-8-sig", errors="replace")  # one published file begins with a mark
        except OSError as error:
            reason = f"expected this file beside the others, found: {error.strerror or error}"
            self.problems.append(Problem("annotation", file, reason))
            return
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield number, line


def _of(table: dict[str, T], name: str) -> dict[int, T]:
    """The rows ``name_0``, ``name_1`` ... of a table under their numbers."""
    split = ((key.rpartition("_"), value) for key, value in table.items())
    return {int(number): value for (stem, _, number), value in split if stem == name}


def _name(text: str) -> str:
    stem = text.rpartition(".")[0] or text
    if not _NAME.fullmatch(stem):
        raise ValueError(f"a name of letters, digits, '-' and '_', found {text[:60]!r}")
    return stem


def _clip(text: str) -> str:
    stem = text.rpartition(".")[0] or text
    found = _CLIP.fullmatch(stem)
    if found is None:
        raise ValueError(f"a clip as Name_0.mp4, found {text[:60]!r}")
    return f"{found.group(1)}_{int(found.group(2))}"


def _times_row(words: list[str]) -> tuple[str, tuple[Interval, ...]]:
    if len(words) < 2:
        raise ValueError(f"'Name.mp4 mm:ss-mm:ss ...', found {' '.join(words)[:60]!r}")
    return _name(words[0]), tuple(parse_interval(word) for word in words[1:])


def _url_row(words: list[str]) -> tuple[str, str]:
    if len(words) != 2 or "://" not in words[1]:
        raise ValueError(f"'Name address', found {' '.join(words)[:60]!r}")
    return _name(words[0] + ".mp4"), words[1]


def _height_row(words: list[str]) -> tuple[str, int]:
    if len(words) != 2 or not words[1].isdecimal() or not 1 <= int(words[1]) <= 16384:
        raise ValueError(f"'Name.mp4 height' with a height of at least 1, found {' '.join(words)[:60]!r}")
    return _name(words[0]), int(words[1])


def _window_row(words: list[str]) -> tuple[str, CropWindow]:
    if len(words) != 5 or not all(word.isdecimal() and len(word) < 6 for word in words[1:]):
        raise ValueError(f"'Name_0.mp4 x width y height' in whole pixels, found {' '.join(words)[:60]!r}")
    x, width, y, height = (int(word) for word in words[1:])
    if min(width, height) < 1:
        raise ValueError(f"a window with width and height, found {width} x {height}")
    return _clip(words[0]), CropWindow(x=x, y=y, width=width, height=height)


def _zoom_row(words: list[str]) -> tuple[str, float]:
    try:
        _, text = words
        zoom = float(text)
    except ValueError:
        zoom = 0.0
    if not 0.0 < zoom < 100.0:
        raise ValueError(f"'Name_0.mp4 factor', found {' '.join(words)[:60]!r}")
    return _clip(words[0]), zoom
