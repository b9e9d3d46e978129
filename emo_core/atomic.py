"""Atomic writes: files are written beside their place under a temporary name, synced, then renamed.

After a crash at any moment the old content or the new content is there, never a part; what is left of an
interrupted write has ``.tmp`` in its name and may be deleted once its process is gone (``sweep_orphans``).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(target: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yields a temporary path in ``target``'s folder; on success it is synced and renamed to ``target``.

    On any exception the temporary file is removed and ``target`` stays as it was. The suffix of ``target`` is
    kept, since encoders choose their container by it.

    Args:
        target: Where the file shall be.
        durable: Wait until the disk has it. Without this a power failure (not a crash) may lose the file's content,
            which is enough where a digest is checked before use.

    Raises:
        OSError: as the file system reports it, a full disk for example.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    stem = os.fsencode(target.stem)[:80].decode("utf-8", "ignore")  # file systems count bytes, not letters
    temporary = target.with_name(f".{stem}.{owner()}-{secrets.token_hex(4)}.tmp{target.suffix}")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(target)
        if durable:
            _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, data: bytes, *, durable: bool = True) -> None:
    """Writes ``data`` to ``target`` atomically."""
    with atomic_path(target, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Writes ``text`` to ``target`` atomically as UTF-8 with Unix line ends."""
    write_bytes(target, text.encode("utf-8"))


def write_json(target: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON with sorted keys; refuses NaN and infinities."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


@cache
def _host() -> str:
    """A short mark of this machine; a number of a process means nothing on another one."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def owner() -> str:
    """The mark of this process in names of temporary files and folders; see ``sweep_orphans``."""
    return f"{_host()}.{os.getpid()}"


def sweep_orphans(folder: Path, *, deep: bool = True) -> int:
    """Deletes temporary files and folders whose process has died; those of other machines after a day.

    Others may write below the folder meanwhile.

    Args:
        folder: Where they lie.
        deep: Look into all folders below it, too.

    Returns:
        How many files and folders that were.
    """
    swept = 0
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            marked = _MARKED.match(name)
            path = Path(place) / name
            if marked is None or path.is_symlink() or not _is_orphan(path, marked["host"], int(marked["process"])):
                continue
            try:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            except OSError:
                continue  # another user's in a shared folder, or on a disk that cannot be written
            swept += 1
        if not deep:
            break
    return swept


_MARKED = re.compile(r"(?:\..*\.|emo-bench-)(?P<host>[0-9a-f]{6})\.(?P<process>[0-9]{1,9})-.*")
_DAY_S = 86_400.0


def _is_orphan(path: Path, host: str, process: int) -> bool:
    try:
        if host != _host():
            return time.time() - path.stat().st_mtime > _DAY_S
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it lives and is another user's, or the file is gone
    return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
