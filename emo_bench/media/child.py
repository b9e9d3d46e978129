"""The parent's side of the decoding process: starts it, reads its messages, stops it, and explains why it died."""

from __future__ import annotations

import json
import os
import selectors
import signal
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from emo_bench.media.fork_server import FILE
from emo_bench.media.limits import Limits
from emo_bench.media.starting import start
from emo_bench.media.wire import HEADER, JSON_LIMIT, Kind
from emo_core.errors import DecodeError, LimitError

_PIPE_BYTES = 1 << 20
_SMALLER = "check the file; cut it into shorter clips or make its frames smaller (docs/media.md lists the bounds)"


def shown_name(path: Path) -> str:
    r"""The file's name for messages: quoted, with control characters and direction marks escaped.

    >>> print(shown_name(Path("a/b\nc.mp4")))
    'b\nc.mp4'
    """
    return repr(path.name)


def open_regular(path: Path, *, expected: str = "a video or audio file") -> int:
    """A descriptor of a regular file, opened without ever waiting for or touching anything else.

    Symbolic links are followed; whether they may lead out of a folder is the caller's question.

    Args:
        path: The file.
        expected: What it should be, for messages.

    Raises:
        DecodeError: it is missing, unreadable, empty, or a directory, device, socket or FIFO.
    """
    name = shown_name(path)
    try:
        # Checked before opening, because opening a device or a FIFO can have side effects.
        if not stat.S_ISREG(path.stat().st_mode):
            raise DecodeError(f"{name} is not a regular file", expected=expected, found=_kind_of(path))
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise DecodeError(f"{name} cannot be opened: {words}", fix="check the path and its permissions") from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size > 0:
        return descriptor
    os.close(descriptor)
    raise DecodeError(f"{name} is empty", expected=expected, found="no content")


def _kind_of(path: Path) -> str:
    mode = path.stat().st_mode
    kinds = {stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket"}
    return next((words for test, words in kinds.items() if test(mode)), "a device")


class DecodeChild:
    """One run of ``decode_worker`` on one file; a context manager that never leaves a process behind.

    Args:
        path: A regular file; symbolic links are followed.
        request: What to do, see ``decode_worker``.
        limits: Bounds of the child, watched by the child and by the parent.

    Raises:
        DecodeError: the file cannot be opened.
    """

    def __init__(self, path: Path, request: Mapping[str, Any], *, limits: Limits) -> None:
        self._name = shown_name(path)
        self._limits = limits
        self._waited = 0.0
        descriptor = open_regular(path)
        try:
            full = dict(request) | {"descriptor": FILE, "limits": limits.as_json()}
            self._process = start("emo_bench.media.decode_worker", descriptor, question=json.dumps(full).encode())
        finally:
            os.close(descriptor)
        self._pipe = self._process.stdout
        # `select.select` takes no descriptors above 1023, which a long run with many open files reaches.
        self._readable = selectors.DefaultSelector()
        self._readable.register(self._pipe, selectors.EVENT_READ)
        _widen(self._pipe.fileno())

    def __enter__(self) -> DecodeChild:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._readable.close()
        self._process.close()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def next_header(self) -> tuple[Kind, int]:
        """Kind and length of the next message; the content must be read before the next call.

        Raises:
            DecodeError: the child reports that the file is bad, or died.
            LimitError: the child reports that a limit is exceeded, was stopped for it, or is too slow.
        """
        kind, length = HEADER.unpack(self.read_exactly(HEADER.size))
        if kind == Kind.ERROR:
            self._raise_reported(length)
        return Kind(kind), length

    def read_json(self, length: int) -> dict[str, Any]:
        """The content of a JSON message."""
        if length > JSON_LIMIT:
            raise DecodeError(f"decoding {self._name} failed: the decoder sent {length} bytes of text")
        value: dict[str, Any] = json.loads(self.read_exactly(length))
        return value

    def read_exactly(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        buffer = bytearray(length)
        self.read_into(memoryview(buffer))
        return bytes(buffer)

    def read_into(self, target: memoryview) -> None:
        """Fills ``target`` with the next bytes."""
        while target:
            began = time.monotonic()
            ready = self._readable.select(max(0.0, self._limits.wall_seconds - self._waited))
            self._waited += time.monotonic() - began
            if not ready:
                raise LimitError(
                    f"decoding {self._name} takes too long",
                    expected=f"at most {self._limits.wall_seconds:g} s",
                    fix=_SMALLER,
                )
            got = self._pipe.readinto(target)
            if not got:
                self._raise_death()
            target = target[got:]

    def _raise_reported(self, length: int) -> NoReturn:
        report = self.read_json(length)
        message = f"{self._name}: {report['message']}"
        if report["code"] == "limit":
            raise LimitError(message, fix=_SMALLER)
        raise DecodeError(message, fix="check that the file plays to its end, or make it again")

    def _raise_death(self) -> NoReturn:
        code = self._process.wait()
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            found = "stopped after its processor time" if code == -signal.SIGXCPU else "killed (probably out of memory)"
            raise LimitError(f"decoding {self._name} exceeded a limit", found=found, fix="check the file")
        error = self._process.complaint().decode("utf-8", "replace").strip()
        how = f"signal {_signal_name(-code)}" if code < 0 else f"exit status {code}"
        found = f"{how}: {error.splitlines()[-1]}" if error else how
        if "MemoryError" in error:
            raise LimitError(f"decoding {self._name} needs more memory than it may use", found=found)
        raise DecodeError(f"the decoder died on {self._name}", found=found, fix="the file is probably damaged")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no name
        return str(number)


def _widen(descriptor: int) -> None:
    """Enlarges the pipe where the system can, so that a frame takes fewer reads."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        return
