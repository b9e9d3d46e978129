"""A manifest from a folder of videos: every file is decoded once, hashed, and listed or refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emo_bench.data.manifest import FORBIDDEN_IN_ID, MAX_ID_LENGTH, Manifest, ManifestEntry, file_hashes, write_manifest
from emo_core.errors import ClipError, ConfigError, DataError
from emo_core.hashing import sha256_bytes
from emo_core.progress import Display, Silent

VIDEO_EXTENSIONS = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg"})
AUDIO_EXTENSIONS = (".wav", ".flac", ".mp3", ".m4a", ".ogg")


@dataclass(frozen=True)
class Refused:
    """A file that cannot be a clip."""

    file: str
    code: str
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What an import made."""

    manifest: Path
    entries: tuple[ManifestEntry, ...]
    refused: tuple[Refused, ...]

    @property
    def identities(self) -> int:
        """Number of different identities."""
        return len({entry.identity for entry in self.entries})


def import_videos(
    folder: Path,
    *,
    identity: str = "stem",
    split: str = "test",
    manifest: Path | None = None,
    display: Display | None = None,
) -> ImportReport:
    """Lists every usable video below a folder.

    An audio file beside a video, of the same name (or without a trailing ``_silent``), is its sound; else the sound is
    inside. The id is the path below the folder without extension, with '/' replaced by '__' and characters that an id
    cannot have by '_'; of two videos with the same id the second is refused.

    Args:
        folder: Searched recursively; hidden files are left out.
        identity: 'stem' (every file another identity), 'folder' (the file's folder), or a regular expression whose
            first group, searched in the relative path, is the identity.
        split: Split of all clips.
        manifest: Where to write; must lie in ``folder`` or above it. ``folder/manifest.jsonl`` when absent.
        display: Shows progress.

    Raises:
        DataError: when there is no folder, no video, or no usable video.
        ConfigError: when the regular expression is wrong.
    """
    display = display or Silent()
    if not folder.is_dir():
        raise DataError(f"no folder {folder}", expected="a folder of videos")
    target = manifest or folder / "manifest.jsonl"
    root = target.parent
    if not folder.resolve().is_relative_to(root.resolve()):
        raise DataError(
            f"the manifest {target} does not lie in the folder of the videos or above it",
            expected=f"a place such as {folder / 'manifest.jsonl'}",
        )
    name_of = identity_rule(identity)
    videos = sorted(videos_below(folder))
    if not videos:
        raise DataError(
            f"no videos below {folder}", expected=f"files ending in {', '.join(sorted(VIDEO_EXTENSIONS))}", found="none"
        )
    entries: list[ManifestEntry] = []
    refused: list[Refused] = []
    taken: dict[str, str] = {}
    display.stage("import", len(videos))
    for path in videos:
        relative = path.relative_to(folder)
        display.step(str(relative))
        clip = clip_id(relative)
        if clip in taken:
            refused.append(Refused(str(relative), "duplicate_id", f"{taken[clip]} has the id {clip!r} already"))
            continue
        try:
            entries.append(_entry(path, relative, root, identity=name_of(relative), split=split))
            taken[clip] = str(relative)
        except ClipError as error:
            refused.append(Refused(str(relative), error.code, "; ".join(str(error).split("\n  "))))
        except DataError as error:
            refused.append(Refused(str(relative), "outside", error.message))
        except ValueError as error:
            refused.append(Refused(str(relative), "bad_name", "; ".join(str(error).splitlines()[1:3])))
    if not entries:
        reasons = "; ".join(f"{item.file}: {item.code}" for item in refused[:5])
        raise DataError(f"no usable video below {folder}", found=reasons)
    write_manifest(target, entries)
    return ImportReport(target, tuple(entries), tuple(refused))


def videos_below(folder: Path) -> Iterator[Path]:
    """The files below a folder that are named like videos, in no order; hidden ones are left out."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in VIDEO_EXTENSIONS and not hidden and path.is_file():
            yield path


def identity_rule(rule: str) -> Callable[[Path], str]:
    """How a relative path gives an identity: 'stem', 'folder' or the first group of a regular expression.

    Raises:
        ConfigError: when the regular expression is wrong.
    """
    if rule == "stem":
        return lambda relative: clip_id(relative)
    if rule == "folder":
        return lambda relative: relative.parent.name or relative.stem
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise ConfigError(
            f"--identity {rule!r} is no regular expression", expected="'stem', 'folder' or a regex", found=str(error)
        ) from None
    if pattern.groups < 1:
        raise ConfigError(f"--identity {rule!r} has no group", expected="the identity in parentheses")

    def from_pattern(relative: Path) -> str:
        found = pattern.search(relative.as_posix())
        return found.group(1) if found and found.group(1) else clip_id(relative)

    return from_pattern


def _entry(path: Path, relative: Path, root: Path, *, identity: str, split: str) -> ManifestEntry:
    from emo_bench.media.decode import load_pair

    audio = audio_beside(path)
    for file in (path, audio):
        if file is not None:  # a symbolic link that leads out would be refused in every run
            Manifest(root, ()).path(file.relative_to(root).as_posix())
    load_pair(path, audio)  # the same decode as in a run: what passes here can be prepared there
    video_text = path.relative_to(root).as_posix()
    audio_text = audio.relative_to(root).as_posix() if audio else None
    return ManifestEntry(
        id=clip_id(relative),
        video=video_text,
        audio=audio_text,
        identity=identity,
        split=split,
        sha256=file_hashes(root, video=video_text, audio=audio_text),
    )


def clip_id(relative: Path) -> str:
    """The id that a relative path gives: without its ending, with '__' for '/', and plain characters."""
    text = "__".join(relative.with_suffix("").parts)
    allowed = [c.isprintable() and c not in FORBIDDEN_IN_ID for c in text]
    plain = "".join(c if fine else "_" for c, fine in zip(text, allowed, strict=True))
    cleaned = plain.strip(". ") or "clip"
    if len(cleaned) <= MAX_ID_LENGTH:
        return cleaned
    # Long names often differ at their end only; the digest of the whole keeps them apart.
    return f"{cleaned[: MAX_ID_LENGTH - 9].rstrip('. ')}-{sha256_bytes(text.encode('utf-8', 'surrogateescape'))[:8]}"


def audio_beside(video: Path) -> Path | None:
    """The audio file of the same stem, or of the stem without a trailing '_silent', when there is one."""
    for stem in dict.fromkeys((video.stem, video.stem.removesuffix("_silent"))):
        for extension in AUDIO_EXTENSIONS:
            candidate = video.with_name(stem + extension)
            if candidate.is_file():
                return candidate
    return None
