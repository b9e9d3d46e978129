"""What earlier runs finished: one small file per clip or video, trusted only with the same key and the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emo_bench.data.manifest import ManifestEntry, video_of
from emo_core.atomic import write_json
from emo_core.hashing import sha256_bytes, sha256_file


class FinishedWork:
    """Remembers finished things below a target folder.

    Args:
        target: Folder of the prepared set; the memory is ``target/.state``.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._folder = target / ".state"

    def remember(self, name: str, *, key: str, value: dict[str, Any]) -> None:
        """Keeps a plain value under a name; ``key`` names everything that it depends on."""
        write_json(self._file(name), {"key": key, "name": name, "value": value})

    def recall(self, name: str, *, key: str) -> dict[str, Any] | None:
        """What was kept under a name, if its key is still the same; a damaged file counts as nothing."""
        try:
            kept = json.loads(self._file(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(kept, dict) or kept.get("key") != key or not isinstance(kept.get("value"), dict):
            return None
        value: dict[str, Any] = kept["value"]
        return value

    def remember_clip(self, entry: ManifestEntry, *, key: str) -> None:
        """Keeps the line of a clip whose files are written."""
        self.remember(entry.id, key=key, value=entry.model_dump(mode="json", exclude_none=True))

    def recall_clip(self, clip: str, *, key: str) -> ManifestEntry | None:
        """The line of a finished clip, if its files still have the same bytes."""
        value = self.recall(clip, key=key)
        if value is None:
            return None
        try:
            entry = ManifestEntry.model_validate_json(json.dumps(value))
        except ValueError:
            return None
        return entry if self.has_the_same_bytes(entry) else None

    def has_the_same_bytes(self, entry: ManifestEntry) -> bool:
        """Whether the files of a clip are there, unchanged; its labels and the still it was made of included."""
        files = {video_of(entry): entry.sha256["video"]}
        if "labels" in entry.meta:
            files[str(entry.meta["labels"])] = str(entry.meta.get("labels_sha256"))
        if "portrait_sha256" in entry.meta:
            files[str(entry.meta["portrait"])] = str(entry.meta["portrait_sha256"])
        paths = {self._target / relative: digest for relative, digest in files.items()}
        return all(path.is_file() and sha256_file(path) == digest for path, digest in paths.items())

    def _file(self, name: str) -> Path:
        # The name may be long or odd; its digest is a file name everywhere.
        return self._folder / f"{sha256_bytes(name.encode('utf-8', 'surrogateescape'))[:32]}.json"
