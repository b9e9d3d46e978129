"""Standard output and errors that survive any encoding and a reader who has gone."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO


class _Unread(io.RawIOBase):
    """Passes bytes on until the reader is gone; then they are discarded, which is not an error."""

    def __init__(self, target: Any, owner: TextIO) -> None:
        super().__init__()
        self._target, self._owner = target, owner  # whose end would close the target
        self._open = True

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self._target.isatty())

    def fileno(self) -> int:
        return int(self._target.fileno())

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if not self._open:
            return size
        try:
            self._target.write(data)
            self._target.flush()  # nobody else does: a buffer above never flushes what lies below it
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EBADF):
                raise
            self._open = False
            # What the interpreter still holds for the closed pipe must not fail at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._target.fileno())
        return size


def sturdy(stream: TextIO | None) -> TextIO:
    """A text stream like the given one that escapes characters its encoding lacks, and outlives its reader."""
    if stream is None:  # closed before the program started
        return Path(os.devnull).open("w", encoding="utf-8")
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Unread(buffer, stream)),
        encoding=stream.encoding or "utf-8",
        errors="backslashreplace",
        line_buffering=stream.isatty() or stream is sys.stderr,
    )


def make_streams_sturdy() -> None:
    """Exchanges the process's streams; the verdict of a command then never depends on who reads it."""
    sys.stdout, sys.stderr = sturdy(sys.stdout), sturdy(sys.stderr)


def flushed(code: int, failed: int) -> int:
    """Writes out what is left and gives the exit code: ``failed`` where the system refuses, as on a full disk."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = failed
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code
