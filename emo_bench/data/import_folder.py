"""A manifest from a folder of videos: every file is decoded once, hashed, and listed or refused with a reason."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emo_bench.data.carry_over import EarlierManifest
from emo_bench.data.manifest import Manifest, ManifestEntry, file_hashes, read_manifest
from emo_bench.data.naming import AudioFiles, FolderFiles, clip_id, files_below, listed, nfc
from emo_bench.media.containers import VIDEO_EXTENSIONS
from emo_bench.media.notes import ROUTINE, most_telling
from emo_core.atomic import atomic_path, write_bytes
from emo_core.errors import ClipError, ConfigError, DataError
from emo_core.hashing import sha256_bytes, sha256_file
from emo_core.progress import Display, Silent


@dataclass(frozen=True)
class Refused:
    """A file that cannot be a clip."""

    file: str
    code: str
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What an import made.

    Attributes:
        manifest: The manifest's path.
        entries: Its clips.
        refused: Files that could not become clips.
        notices: What a user should know of the rest, in sentences: files that were not used, equal clips, identities
            that the rule did not give, and what is out of the ordinary in the clips themselves.
    """

    manifest: Path
    entries: tuple[ManifestEntry, ...]
    refused: tuple[Refused, ...]
    notices: tuple[str, ...] = ()

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

    Ids and audio files beside videos follow ``emo_bench.data.naming``. Of several videos with one id none is taken.

    Args:
        folder: Searched recursively; hidden files are left out.
        identity: 'stem' (every file another identity), 'folder' (the file's folder), or a regular expression whose
            first group, searched in the relative path, is the identity.
        split: Split of all clips.
        manifest: Where to write; ``folder/manifest.jsonl`` when absent. In a folder that does not hold the videos, a
            read-only source for example, they are copied beside it, since a manifest lists nothing outside its folder.
        display: Shows progress.

    Raises:
        DataError: when there is no folder, no video, or no usable video.
        ConfigError: when the regular expression is wrong or fits no video.
    """
    display = display or Silent()
    if not folder.is_dir():
        raise DataError(f"no folder {folder}", expected="a folder of videos")
    target = manifest or folder / "manifest.jsonl"
    files = files_below(folder)
    if not files.videos:
        raise DataError(
            f"no videos below {folder}", expected=f"files ending in {', '.join(sorted(VIDEO_EXTENSIONS))}", found="none"
        )
    identity_of, unnamed = identities_of(files.videos, folder, identity)
    work = _Import(folder, target, AudioFiles(files.audio, videos=files.videos))
    display.stage("import", len(files.videos))
    shared = Counter(clip_id(path.relative_to(folder)) for path in files.videos)
    for path in files.videos:
        relative = path.relative_to(folder)
        display.step(str(relative))
        if shared[clip_id(relative)] > 1:
            same = [p.relative_to(folder) for p in files.videos if clip_id(p.relative_to(folder)) == clip_id(relative)]
            reason = (
                f"{len(same)} files have the id {clip_id(relative)!r}: {listed(same)}; rename or remove all but one"
            )
            work.refused.append(Refused(str(relative), "ambiguous_name", reason))
        else:
            work.add(path, identity=identity_of[relative], split=split)
    if not work.entries:
        reasons = "; ".join(f"{item.file}: {item.code}" for item in work.refused[:5])
        raise DataError(f"no usable video below {folder}", found=reasons)
    earlier = EarlierManifest(target)
    entries = earlier.write(work.entries)
    notices = [*earlier.notes(entries), *_unused(files, folder, target, work.used), *_equal_clips(work.entries)]
    if unnamed:
        notices.append(f"--identity fits not every video; each of these is an identity of its own: {listed(unnamed)}")
    notices += most_telling(work.notes, at_most=len(work.notes))[0]
    return ImportReport(target, entries, tuple(work.refused), tuple(notices))


class _Import:
    """The clips so far."""

    def __init__(self, folder: Path, target: Path, audio: AudioFiles) -> None:
        self.entries: list[ManifestEntry] = []
        self.refused: list[Refused] = []
        self.used: set[Path] = set()
        self.notes: list[tuple[str, str, str]] = []
        self._folder, self._root, self._audio = folder, target.parent, audio
        self._listed = paths_listed(target)
        self._copies = not folder.resolve().is_relative_to(self._root.resolve())

    def add(self, path: Path, *, identity: str, split: str) -> None:
        """Lists one video, or says why not."""
        from emo_bench.media.decode import load_pair

        relative = path.relative_to(self._folder)
        try:
            audio = self._audio.beside(path)
            self.used |= {audio} if audio is not None else set()
            self._require_inside(path, audio)
            pair = load_pair(path, audio)  # the same decode as in a run: what passes here can be prepared there
            video_text, audio_text = self._place(path), self._place(audio) if audio else None
            self.entries.append(
                ManifestEntry(
                    id=clip_id(relative),
                    video=video_text,
                    audio=audio_text,
                    identity=identity,
                    split=split,
                    sha256=file_hashes(self._root, video=video_text, audio=audio_text),
                )
            )
            unusual = [note for note in pair.notes if note.code not in ROUTINE]
            self.notes += [(note.code, str(note), clip_id(relative)) for note in unusual]
        except ClipError as error:
            self.used |= self._audio.near(path)  # the refusal speaks of them already
            self.refused.append(Refused(str(relative), error.code, "; ".join(str(error).split("\n  "))))
        except DataError as error:
            self.refused.append(Refused(str(relative), "outside", error.message))
        except ValueError as error:
            self.refused.append(Refused(str(relative), "bad_name", "; ".join(str(error).splitlines()[1:3])))

    def _require_inside(self, *files: Path | None) -> None:
        """A symbolic link that leads out would be refused in every run."""
        root = self._folder if self._copies else self._root
        for file in files:
            if file is not None:
                Manifest(root, ()).path(_below(file, root))

    def _place(self, file: Path) -> str:
        """The path of a file in the manifest; copies it beside the manifest first where it lies outside."""
        if not self._copies:
            return _below(file, self._root)
        text = file.relative_to(self._folder).as_posix()
        copy = self._root / text
        copy_beside(file, copy, is_own=text in self._listed)
        return text


def _below(file: Path, folder: Path) -> str:
    """A path below a folder; both may be given from different starts, and links in it stay as they are."""
    if file.is_relative_to(folder):
        return file.relative_to(folder).as_posix()
    return (file.parent.resolve() / file.name).relative_to(folder.resolve()).as_posix()


def paths_listed(target: Path) -> frozenset[str]:
    """Paths in the manifest that an import is about to replace: an earlier import may have written those files."""
    try:
        return frozenset(path for entry in read_manifest(target).entries for path in entry.files.values())
    except DataError:
        return frozenset()


def copy_beside(file: Path, copy: Path, *, is_own: bool) -> None:
    """Copies a file beside a manifest, unless it lies there already.

    Args:
        file: What to copy.
        copy: Where to.
        is_own: Whether a different file there is an earlier import's and may be replaced.

    Raises:
        ClipError: when another file lies there.
    """
    if _must_be_written(copy, sha256_file(file) if copy.exists() else "", is_own=is_own):
        with atomic_path(copy) as temporary:
            shutil.copyfile(file, temporary)


def write_beside(data: bytes, path: Path, *, is_own: bool) -> None:
    """Writes a new file beside a manifest; see ``copy_beside``."""
    if _must_be_written(path, sha256_bytes(data), is_own=is_own):
        write_bytes(path, data)


def _must_be_written(path: Path, digest: str, *, is_own: bool) -> bool:
    """Whether a file with this digest is still missing.

    Raises:
        ClipError: when another file lies there that no import wrote.
    """
    if not path.exists():
        return True
    if path.is_file() and sha256_file(path) == digest:
        return False
    if not is_own:
        raise ClipError(
            f"another file lies where the copy would go: {path}", expected="no file, or the same one",
            fix="write the manifest to another folder, or move that file",
        )  # fmt: skip
    return True


def identities_of(videos: Iterable[Path], folder: Path, rule: str) -> tuple[dict[Path, str], list[Path]]:
    """Identity by relative path, and the paths that the rule does not fit.

    Raises:
        ConfigError: when it fits none.
    """
    name_of = identity_rule(rule)
    named = {path.relative_to(folder): name_of(path.relative_to(folder)) for path in videos}
    unnamed = [relative for relative, name in named.items() if name is None]
    if len(unnamed) == len(named):
        raise ConfigError(
            f"--identity {rule!r} fits no file",
            expected="a regex whose group is found in paths",
            found=listed(unnamed),
        )
    return {relative: name or clip_id(relative) for relative, name in named.items()}, unnamed


def _unused(files: FolderFiles, folder: Path, manifest: Path, used: set[Path]) -> Iterator[str]:
    alone = [path.relative_to(folder) for path in files.audio if path not in used]
    if alone:
        yield f"audio files that belong to no video: {listed(alone)}"
    others = [path.relative_to(folder) for path in files.others if path.resolve() != manifest.resolve()]
    if others:
        yield f"files that are neither named like video nor like audio: {listed(others)}"


def _equal_clips(entries: Iterable[ManifestEntry]) -> Iterator[str]:
    """One sentence for each video that is there more than once."""
    groups: dict[str, list[ManifestEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.sha256["video"], []).append(entry)
    for same in (group for group in groups.values() if len(group) > 1):
        people = sorted({entry.identity for entry in same})
        under = f" under {len(people)} identities ({listed(people)})" if len(people) > 1 else ""
        yield f"the same video is there {len(same)} times{under}: {listed(entry.id for entry in same)}"


def identity_rule(rule: str) -> Callable[[Path], str | None]:
    """How a relative path gives an identity: 'stem', 'folder' or the first group of a regular expression.

    The function returns None for a path that the regular expression does not fit.

    Raises:
        ConfigError: when the regular expression is wrong.
    """
    if rule == "stem":
        return lambda relative: clip_id(relative)
    if rule == "folder":
        return lambda relative: nfc(relative.parent.name or relative.stem)
    try:
        pattern = re.compile(nfc(rule))  # some file systems hand out names in another form than they were typed
    except re.error as error:
        raise ConfigError(
            f"--identity {rule!r} is not a regular expression", expected="'stem', 'folder' or a regex", found=str(error)
        ) from None
    if pattern.groups < 1:
        raise ConfigError(f"--identity {rule!r} has no group", expected="the identity in parentheses")

    def from_pattern(relative: Path) -> str | None:
        found = pattern.search(nfc(relative.as_posix()))
        return (found.group(1) or None) if found else None

    return from_pattern
