"""Which of the user's files is which of HDTF's videos."""

from __future__ import annotations

import re
from pathlib import Path

from emo_bench.data.hdtf.annotations import AnnotatedVideo
from emo_bench.data.naming import videos_below

_ID_IN_BRACKETS = re.compile(r"\[([A-Za-z0-9_-]{11})\]$")


class RawVideos:
    """The videos below a folder, found by ``Part_Name``, ``Name`` or the video's id.

    The id counts as the whole stem or in brackets at its end, as usual downloaders write it. Hidden files are left
    out. Of several files for one video the first in that order, then by path, is taken.

    Args:
        folder: Searched recursively.
    """

    def __init__(self, folder: Path) -> None:
        self._by_stem: dict[str, Path] = {}
        self._by_id: dict[str, Path] = {}
        for path in videos_below(folder):
            self._by_stem.setdefault(path.stem, path)
            found = _ID_IN_BRACKETS.search(path.stem)
            if found:
                self._by_id.setdefault(found.group(1), path)

    def __len__(self) -> int:
        return len(self._by_stem)

    def find(self, video: AnnotatedVideo) -> Path | None:
        """The file of a video, or None."""
        named = (self._by_stem.get(name) for name in wanted_names(video))
        return next((path for path in named if path is not None), self._by_id.get(video.youtube_id))


def wanted_names(video: AnnotatedVideo) -> list[str]:
    """The stems under which a video is looked for."""
    return [f"{video.part}_{video.name}", video.name, *([video.youtube_id] if video.youtube_id else [])]
