"""Which file belongs to which clip: one rule for import, preparation, ``score`` and ``videos`` systems.

A clip's id is its path below the folder without its ending, with '__' for '/'. Names are compared in Unicode NFC, since
some file systems hand out NFD. An exact name goes before one that differs in case alone. Endings count in any case. If
several files fit equally well, that is an error that names them: nothing is chosen silently.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from emo_bench.data.manifest import FORBIDDEN_IN_ID, MAX_ID_LENGTH
from emo_bench.media.containers import AUDIO_EXTENSIONS, VIDEO_EXTENSIONS
from emo_core.errors import ClipError
from emo_core.hashing import sha256_bytes

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
Item = TypeVar("Item")
SILENT_SUFFIX = "_silent"
SHOWN = 5
"""Names that a sentence lists before it counts the rest."""


class AmbiguousNameError(ClipError):
    """Several files fit one name equally well."""

    code = "ambiguous_name"


@dataclass(frozen=True)
class FolderFiles:
    """Everything below a folder but hidden files, each kind in order of its path.

    Attributes:
        videos: Named like videos.
        audio: Named like audio.
        others: Everything else.
    """

    videos: tuple[Path, ...]
    audio: tuple[Path, ...]
    others: tuple[Path, ...]


def files_below(folder: Path) -> FolderFiles:
    """The files below a folder by kind; hidden files and what lies in hidden folders are left out."""
    kinds: dict[str, list[Path]] = {"video": [], "audio": [], "other": []}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            kinds[_kind(path)].append(path)
    return FolderFiles(tuple(kinds["video"]), tuple(kinds["audio"]), tuple(kinds["other"]))


def videos_below(folder: Path) -> tuple[Path, ...]:
    """The files below a folder that are named like videos, in order of their paths; hidden ones are left out."""
    return files_below(folder).videos


def images_below(folder: Path) -> tuple[Path, ...]:
    """The files below a folder that are named like images, in order of their paths; hidden ones are left out."""
    return tuple(path for path in files_below(folder).others if path.suffix.lower() in IMAGE_EXTENSIONS)


def clip_id(relative: Path) -> str:
    """The id that a relative path gives: without its ending, in NFC, with '__' for '/', and plain characters.

    >>> clip_id(Path("anna/take 1.MP4"))
    'anna__take 1'
    """
    return _plain_id(_flat(relative))


def name_key(text: str) -> str:
    """Text for comparing names without regard to case or Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def listed(names: Iterable[object]) -> str:
    """Names in one sentence; only the first few of many.

    >>> listed("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    every = [str(name) for name in names]
    return ", ".join(every[:SHOWN]) + (f" and {len(every) - SHOWN} more" if len(every) > SHOWN else "")


class AudioFiles:
    """Audio files by folder and name, to be found beside videos.

    Args:
        paths: Audio files.
        videos: All videos, so that audio whose name is exactly another video's is never taken.
    """

    def __init__(self, paths: Iterable[Path], *, videos: Iterable[Path] = ()) -> None:
        stems = ((video.parent, nfc(video.stem)) for video in videos)
        self._taken = {(folder, name) for folder, stem in stems for name in (stem, stem.removesuffix(SILENT_SUFFIX))}
        self._by_name: dict[tuple[Path, str], list[Path]] = {}
        for path in sorted(paths):
            self._by_name.setdefault((path.parent, name_key(path.stem)), []).append(path)

    def near(self, video: Path) -> set[Path]:
        """All audio files that ``beside`` looks at for a video."""
        stems = (video.stem, video.stem.removesuffix(SILENT_SUFFIX))
        return {path for stem in stems for path in self._by_name.get((video.parent, name_key(stem)), [])}

    def beside(self, video: Path) -> Path | None:
        """The audio file named like a video, or like it without a trailing '_silent'; None when there is none.

        Raises:
            AmbiguousNameError: when there are several, which are named.
        """
        for stem in dict.fromkeys((video.stem, video.stem.removesuffix(SILENT_SUFFIX))):
            near = _nearest(self._by_name.get((video.parent, name_key(stem)), []), nfc(stem), lambda path: path.stem)
            found = [p for p in near if nfc(p.stem) == nfc(stem) or (p.parent, nfc(p.stem)) not in self._taken]
            if len(found) > 1:
                raise AmbiguousNameError(
                    f"several audio files lie beside {video.name}",
                    expected="one",
                    found=", ".join(path.name for path in found),
                    fix="remove or rename all but one",
                )
            if found:
                return found[0]
        return None


def audio_beside(video: Path) -> Path | None:
    """The audio file beside a single video, see ``AudioFiles.beside``."""
    return AudioFiles(path for path in video.parent.iterdir() if _kind(path) == "audio" and path.is_file()).beside(
        video
    )


class FilesById:
    """Files below a folder, found by the id that their path gives.

    Args:
        folder: Where they lie.
        paths: The files.
    """

    def __init__(self, folder: Path, paths: Iterable[Path]) -> None:
        self._folder = folder
        self._by_id: dict[str, list[tuple[str, Path]]] = {}
        for path in sorted(paths):
            name = clip_id(path.relative_to(folder))
            self._by_id.setdefault(name_key(name), []).append((name, path))

    def find(self, clip: str) -> Path | None:
        """The file of a clip; None when there is none.

        Raises:
            AmbiguousNameError: when several fit equally well.
        """
        found = _nearest(self._by_id.get(name_key(clip), []), nfc(clip), lambda item: item[0])
        if len(found) > 1:
            raise AmbiguousNameError(
                f"several files fit {clip!r}",
                expected="one",
                found=", ".join(self.relative(path) for _, path in found),
                fix="remove or rename all but one",
            )
        return found[0][1] if found else None

    def near(self, clip: str) -> tuple[str, ...]:
        """Names of the files whose ids look most like one, for an error message."""
        names = difflib.get_close_matches(name_key(clip), list(self._by_id), n=3, cutoff=0.3)
        return tuple(self.relative(path) for name in names for _, path in self._by_id[name])

    def relative(self, path: Path) -> str:
        """A path below the folder as text."""
        return path.relative_to(self._folder).as_posix()


class ClipVideos:
    """Finished videos below a folder, found by the id of their clip.

    Args:
        folder: Searched recursively.
        pattern: Path below the folder without ending; '{id}' stands for the clip's id.
        clip_ids: All clips, so that a file whose name is exactly another clip's is never taken.
    """

    def __init__(self, folder: Path, *, pattern: str = "{id}", clip_ids: Iterable[str] = ()) -> None:
        self.files = files_below(folder)
        self._folder = folder
        self._clip_ids = {nfc(name) for name in clip_ids}
        self._by_id: dict[str, list[tuple[str, Path]]] = {}
        shape = _regex(pattern)
        for path in self.files.videos:
            found = shape.fullmatch(_flat(path.relative_to(folder)))
            if found and path.resolve().is_relative_to(folder.resolve()):
                name = _plain_id(found.group("id"))
                self._by_id.setdefault(name_key(name), []).append((name, path))

    def candidates(self, clip: str) -> tuple[Path, ...]:
        """The files that fit a clip equally well; a single one when there is no doubt."""
        near = self._by_id.get(name_key(clip), [])
        exact = _nearest(near, nfc(clip), lambda item: item[0])
        foreign = self._clip_ids - {nfc(clip)}
        return tuple(path for name, path in exact if name == nfc(clip) or name not in foreign)

    def find(self, clip: str) -> Path | None:
        """The video of a clip; None when there is none.

        Raises:
            AmbiguousNameError: when several fit.
        """
        found = self.candidates(clip)
        if len(found) > 1:
            raise AmbiguousNameError(
                f"several videos fit clip {clip!r}",
                expected="one",
                found=", ".join(self.relative(path) for path in found),
                fix="remove or rename all but one, or say with 'pattern' how the right ones are named",
            )
        return found[0] if found else None

    def relative(self, path: Path) -> str:
        """A path below the folder as text."""
        return path.relative_to(self._folder).as_posix()

    def unmatched(self) -> tuple[Path, ...]:
        """Videos that fit none of the clips."""
        used = {path for clip in self._clip_ids for path in self.candidates(clip)}
        return tuple(path for path in self.files.videos if path not in used)

    def missing(self) -> tuple[str, ...]:
        """Clips that no video fits."""
        return tuple(sorted(clip for clip in self._clip_ids if not self.candidates(clip)))


def _nearest(items: list[Item], name: str, name_of: Callable[[Item], str]) -> list[Item]:
    """Those whose name is equal but for the Unicode form; all when there is none, which then differ in case alone."""
    return [item for item in items if nfc(name_of(item)) == name] or items


def _kind(path: Path) -> str:
    ending = path.suffix.lower()
    return "video" if ending in VIDEO_EXTENSIONS else "audio" if ending in AUDIO_EXTENSIONS else "other"


def nfc(text: str) -> str:
    """Text in the Unicode form in which names are compared and kept."""
    return unicodedata.normalize("NFC", text)


def _flat(relative: Path) -> str:
    return nfc("__".join(relative.with_suffix("").parts))


def _regex(pattern: str) -> re.Pattern[str]:
    """How flat names look; further '{id}' stand for the same text as the first."""
    parts = [re.escape(nfc(part).replace("/", "__")) for part in pattern.split("{id}")]
    return re.compile("(?P=id)".join(["(?P<id>.+)".join(parts[:2]), *parts[2:]]), re.IGNORECASE | re.DOTALL)


def joint_id(*parts: str) -> str:
    """One id out of several, with '--' between them.

    >>> joint_id("anna", "hello")
    'anna--hello'
    """
    return _plain_id("--".join(parts))


def _plain_id(text: str) -> str:
    allowed = [c.isprintable() and c not in FORBIDDEN_IN_ID for c in text]
    plain = "".join(c if fine else "_" for c, fine in zip(text, allowed, strict=True))
    cleaned = plain.strip(". ") or "clip"
    if len(cleaned) <= MAX_ID_LENGTH:
        return cleaned
    # Long names often differ at their end only; the digest of the whole keeps them apart.
    return f"{cleaned[: MAX_ID_LENGTH - 9].rstrip('. ')}-{sha256_bytes(text.encode('utf-8', 'surrogateescape'))[:8]}"
