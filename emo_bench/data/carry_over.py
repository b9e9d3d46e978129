"""What other commands wrote into a manifest stays when the same clips are imported or prepared again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from emo_bench.data.manifest import ManifestEntry, read_manifest, write_manifest
from emo_bench.data.naming import listed
from emo_core.errors import DataError

SET_BY = {"identity": "identity_by", "split": "split_by"}
"""Field -> the key of ``meta`` that says which command set it, other than the one that made the clip."""


def set_by(entry: ManifestEntry, field: str, value: str, command: str) -> ManifestEntry:
    """The clip with a field of ``SET_BY`` as a command sets it, marked so that it is kept."""
    return entry.model_copy(update={field: value, "meta": {**entry.meta, SET_BY[field]: command}})


def require_own(manifest: Path, is_own: Callable[[dict[str, Any]], bool], what: str) -> None:
    """Refuses to make a set where the manifest lists clips of another one, which would be lost.

    Args:
        manifest: May be missing; lines that are no objects are passed over.
        is_own: Whether a line is one of the set that is to be made.
        what: What that is called.

    Raises:
        DataError: when a line is not.
    """
    rows = manifest.read_text(encoding="utf-8", errors="replace").split("\n") if manifest.is_file() else ()
    for row in rows:
        try:
            clip = json.loads(row)
        except (ValueError, RecursionError):
            continue
        if isinstance(clip, dict) and "id" in clip and not is_own(clip):
            raise DataError(
                f"{manifest} lists other clips, which would be lost",
                expected=f"clips of {what} only, or no manifest",
                found=f"clip {str(clip['id'])[:120]!r}",
                fix="choose another folder",
            )


class EarlierManifest:
    """The manifest that lay here before, read once, since it is written anew while clips are made.

    A clip is the same when all its listed files have the same digests. Then identities and splits keep what
    ``data identify`` and ``data split`` gave, and ``meta`` keeps the keys that are not written anew, such as those of
    labels. A manifest that cannot be read gives nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._clips = {entry.id: entry for entry in read_manifest(path).entries} if path.is_file() else {}
        except DataError:
            self._clips = {}

    def write(self, entries: Iterable[ManifestEntry], *, unfinished: bool = False) -> tuple[ManifestEntry, ...]:
        """Writes the manifest, completed from the earlier one.

        Args:
            entries: The clips as they were made now.
            unfinished: More clips follow: the earlier lines of those stay until then, or an interruption loses them.

        Returns:
            The clips in order of id.
        """
        now = {entry.id: self._completed(entry) for entry in entries}
        write_manifest(self._path, {**(self._clips if unfinished else {}), **now}.values())
        return tuple(now[clip] for clip in sorted(now))

    def notes(self, entries: Iterable[ManifestEntry]) -> list[str]:
        """What a user should know of the clips that were written."""
        found = list(entries)
        notes = []
        for field, mark in SET_BY.items():
            kept = [entry for entry in found if mark in entry.meta and self._same(entry) is not None]
            commands = sorted({str(entry.meta[mark]) for entry in kept})
            if kept:
                notes.append(
                    f"{len(kept)} of {len(found)} clips keep the {field} that {' and '.join(commands)} gave them; "
                    f"delete {self._path.name} first to have them as named here"
                )
        gone = sorted(set(self._clips) - {entry.id for entry in found})
        if gone:
            notes.append(f"clips that {self._path.name} listed before and lists no more, {len(gone)}: {listed(gone)}")
        return notes

    def _same(self, entry: ManifestEntry) -> ManifestEntry | None:
        earlier = self._clips.get(entry.id)
        return earlier if earlier is not None and earlier.listed == entry.listed else None

    def _completed(self, entry: ManifestEntry) -> ManifestEntry:
        earlier = self._same(entry)
        if earlier is None:
            return entry
        kept = {field: getattr(earlier, field) for field, mark in SET_BY.items() if mark in earlier.meta}
        return entry.model_copy(update={**kept, "meta": {**earlier.meta, **entry.meta}})
