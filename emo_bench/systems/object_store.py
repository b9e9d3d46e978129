"""Files named by the SHA-256 of their bytes: equal content is stored once, and a name is enough to check a file."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from emo_core.atomic import atomic_path, write_bytes
from emo_core.hashing import sha256_bytes, sha256_file

_NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,8})?")
INCOMING = "incoming"
"""Folder of files whose digest is not known yet."""


class ObjectStore:
    """A folder ``objects/<aa>/<sha256><suffix>``; atomic files, safe for several writers."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "objects"

    def path(self, name: str) -> Path:
        """Where a file of that name lies or would lie.

        Raises:
            ValueError: for what is no such name; it could be a path out of the store.
        """
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"expected a SHA-256 and an ending, found {name[:80]!r}")
        return self.folder / name[:2] / name

    def incoming(self, suffix: str) -> Path:
        """Where a file may be written before ``adopt``; another place each time, since several processes write."""
        return self.folder / INCOMING / f"{secrets.token_hex(16)}{suffix}"

    def adopt(self, path: Path, *, sha256: str | None = None) -> str:
        """Moves a file into the store and returns its name.

        Args:
            path: On the same file system.
            sha256: Of its bytes, when it is known.
        """
        name = (sha256 or sha256_file(path)) + path.suffix
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.utime(path)  # however old it is, no prune takes it before its record is written
        path.replace(target)
        return name

    def copy(self, path: Path, *, suffix: str) -> str:
        """Copies a file into the store and returns its name."""
        name = sha256_file(path) + suffix
        if not self._renewed(name):
            with atomic_path(self.path(name)) as temporary:
                shutil.copyfile(path, temporary)
        return name

    def add(self, data: bytes, *, suffix: str) -> str:
        """Writes bytes and returns their name."""
        name = sha256_bytes(data) + suffix
        if not self._renewed(name):
            write_bytes(self.path(name), data)
        return name

    def _renewed(self, name: str) -> bool:
        """Whether a file is there; it counts as new then, so that no prune takes it before its record is written."""
        try:
            os.utime(self.path(name))
        except FileNotFoundError:
            return False
        return True

    def is_sound(self, name: str) -> bool:
        """Whether a file is there and is what its name says."""
        path = self.path(name)
        return path.is_file() and sha256_file(path) == name.partition(".")[0]

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        self.path(name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Names of all files."""
        for path in sorted(self.folder.glob("??/*")):
            if _NAME.fullmatch(path.name):
                yield path.name
