"""Which of the user's files is which of HDTF's videos."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from emo_bench.data.hdtf.annotations import AnnotatedVideo
from emo_bench.data.naming import AmbiguousNameError, name_key, videos_below

_ID_IN_BRACKETS = re.compile(r"\[([A-Za-z0-9_-]{11})\]$")


class RawVideos:
    """The videos below a folder, found by ``Part_Name``, ``Name`` or the video's id.

    The id counts as the whole stem or in brackets at its end, as usual downloaders write it; its case counts. Names
    are compared as in ``emo_bench.data.naming``. Hidden files are left out.

    Args:
        folder: Searched recursively.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = videos_below(folder)

    def __len__(self) -> int:
        return len(self._files)

    def find(self, video: AnnotatedVideo) -> Path | None:
        """The file of a video, or None.

        Raises:
            AmbiguousNameError: several files fit; they are named.
        """
        names = wanted_names(video)
        keys = {name_key(name) for name in names if name != video.youtube_id}
        found = [path for path in self._files if self._fits(path.stem, video, keys)]
        exact = [path for path in found if unicodedata.normalize("NFC", path.stem) in names]
        # Where several names differ in case alone, the right one is known.
        if exact and all(name_key(path.stem) in {name_key(one.stem) for one in exact} for path in found):
            found = exact
        if len(found) > 1:
            raise AmbiguousNameError(
                f"several files fit the video {video.part}_{video.name}",
                expected="one",
                found=", ".join(path.relative_to(self._folder).as_posix() for path in found),
                fix="remove or rename all but one",
            )
        return found[0] if found else None

    def _fits(self, stem: str, video: AnnotatedVideo, keys: set[str]) -> bool:
        if name_key(stem) in keys:
            return True
        bracketed = _ID_IN_BRACKETS.search(stem)
        return bool(video.youtube_id) and video.youtube_id in (stem, bracketed.group(1) if bracketed else "")


def wanted_names(video: AnnotatedVideo) -> list[str]:
    """The stems under which a video is looked for."""
    return [f"{video.part}_{video.name}", video.name, *([video.youtube_id] if video.youtube_id else [])]
