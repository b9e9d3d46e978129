"""Contents of a store, integrity checks, and removal of unused files."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from emo_bench.media.recipe import FileFrames, NoFrames, leaf_of, object_of
from emo_bench.systems.clip_store import ClipStore, Sidecar, StoredClip
from emo_core.hashing import sha256_file

YOUNG_SECONDS = 3600.0
"""Files younger than this may belong to a clip that another process is just writing."""


@dataclass(frozen=True)
class SystemUse:
    """What the clips of one system take.

    Attributes:
        clips: How many there are.
        bytes: Frames and audio that no other system's clip was first to name.
        read_elsewhere: Clips whose frames are read from a file outside the store.
        deleted: Clips whose frames were deleted after features were made.
    """

    clips: int = 0
    bytes: int = 0
    read_elsewhere: int = 0
    deleted: int = 0


@dataclass
class Contents:
    """All records of a store and the sizes of its files.

    Attributes:
        records: By key.
        objects: Bytes of each stored file by name.
        odd: Files in the folder of records that are no whole clips of the present layout.
        partial: Those of them whose record is sound, but a file that it names is not there, by key.
    """

    records: dict[str, StoredClip] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    odd: list[Path] = field(default_factory=list)
    partial: dict[str, StoredClip] = field(default_factory=dict)

    def named(self) -> set[str]:
        """Names of the stored files that some record needs."""
        sides = [clip.sidecar for clip in self.records.values()]
        return {name for side in sides for name in (object_of(side.frames), side.audio) if name}

    def by_system(self) -> dict[str, SystemUse]:
        """What each system's clips take; a file that several name counts for one, the ground truth before others."""
        counted: set[str] = set()
        found: dict[str, SystemUse] = {}
        order = sorted(self.records.values(), key=lambda clip: (clip.sidecar.system != "ground-truth", clip.path))
        for clip in order:
            side, leaf = clip.sidecar, leaf_of(clip.sidecar.frames)
            new = {object_of(side.frames), side.audio} - counted - {""}
            counted |= new
            use = found.get(side.system, SystemUse())
            found[side.system] = SystemUse(
                use.clips + 1,
                use.bytes + sum(self.objects.get(name, 0) for name in new),
                use.read_elsewhere + int(isinstance(leaf, FileFrames) and not leaf.name),
                use.deleted + int(isinstance(leaf, NoFrames)),
            )
        return found


def contents(store: ClipStore) -> Contents:
    """Reads all records and sizes; no frames."""
    found = Contents()
    for path in sorted(store.folder.glob("??/*")):
        if path.name.startswith("."):
            continue  # another process is writing it, or was stopped meanwhile
        clip = _record_at(store, path)
        if clip is None:
            found.odd.append(path)
        elif not store.is_whole(clip):
            found.odd.append(path)
            found.partial[path.stem] = clip
        else:
            found.records[path.stem] = clip
    for name in store.objects.names():
        with suppress(FileNotFoundError):  # other processes work in the store
            found.objects[name] = store.objects.path(name).stat().st_size
    return found


def _record_at(store: ClipStore, path: Path) -> StoredClip | None:
    try:
        return store.record(path.stem) if path.suffix == ".json" else None
    except ValueError:
        return None  # named like no record


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file_bytes(path) for path in folder.rglob("*") if path.is_file())


def problems(store: ClipStore, found: Contents) -> Iterator[str]:
    """What is wrong with the files that records name, in sentences; every file is hashed once."""
    for name in sorted(found.named()):
        if not store.objects.is_sound(name):
            yield f"stored file {name} is damaged or missing"
    outside: dict[Path, bool] = {}
    for clip in found.records.values():
        leaf = leaf_of(clip.sidecar.frames)
        if not isinstance(leaf, FileFrames) or leaf.name:
            continue
        path = Path(leaf.path)
        if path not in outside:
            outside[path] = path.is_file() and sha256_file(path) == leaf.sha256
        if not outside[path]:
            yield f"{_title(clip.sidecar)}: {path} was changed, moved or removed since it was read"
    for path in found.odd:
        yield f"{path.name} is no whole clip of the present layout"


def _title(side: Sidecar) -> str:
    return f"{side.system} / {side.clip}" if side.system else side.key


def unneeded(store: ClipStore, found: Contents, *, keep: Collection[str] | None) -> list[Path]:
    """Files that can be deleted, oldest layout included.

    Args:
        store: The store.
        found: Its contents.
        keep: Keys of the clips to keep; all when None.

    Returns:
        Records that are not kept, then files that no kept record names and that are older than ``YOUNG_SECONDS``.
    """
    kept = {key: clip for key, clip in found.records.items() if keep is None or key in keep}
    records = [clip.path for key, clip in found.records.items() if key not in kept]
    # The missing file may come back, a drive with the user's videos for example.
    waiting = {key: clip for key, clip in found.partial.items() if keep is None or key in keep}
    names = Contents(kept | waiting).named()
    before = time.time() - YOUNG_SECONDS
    rest = [store.objects.path(name) for name in found.objects if name not in names]
    rest += [path for path in (store.objects.folder / "incoming").glob("*") if path.is_file()]
    if keep is not None:
        rest += [path for path in found.odd if path.stem not in keep]
    return records + [path for path in rest if _is_older(path, before)]


def _is_older(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:
        return False


def file_bytes(path: Path) -> int:
    """Size of a file; 0 when another process removed it meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
