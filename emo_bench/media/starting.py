"""The parent's side of `fork_server`: one server for each decoder, and a handle on every child."""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from emo_bench.media.fork_server import PASSED, REQUEST, STATUS

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_PIPE_BYTES = 1 << 20
_PATIENCE_S = 60.0
"""A server that does not answer for so long has died or hangs."""


class Child:
    """A decoder that runs; closing it ends it.

    Attributes:
        pid: Its process id.
        stdout: What it says, unbuffered.
        stderr: What it complains about.
    """

    def __init__(self, pid: int, *, control: socket.socket, stdout: FileIO, stderr: FileIO) -> None:
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self._control = control
        self._code: int | None = None

    def wait(self) -> int:
        """Waits for its end: the exit status, or minus the signal that ended it."""
        if self._code is None:
            said = _received(self._control)
            # Without a word the server has gone, and all its children with it.
            self._code = -int(signal.SIGKILL) if said is None else said
        return self._code

    def communicate(self, *, timeout: float) -> tuple[bytes, bytes]:
        """All that it says until its end, on both pipes.

        Raises:
            TimeoutError: It takes longer than ``timeout`` seconds.
        """
        said = {self.stdout.fileno(): bytearray(), self.stderr.fileno(): bytearray()}
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as still_open:
            for pipe in said:
                still_open.register(pipe, selectors.EVENT_READ)
            while still_open.get_map():
                ready = still_open.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise TimeoutError(f"no end after {timeout:g} s")
                for key, _ in ready:
                    piece = os.read(key.fd, _PIPE_BYTES)
                    said[key.fd] += piece
                    if not piece:
                        still_open.unregister(key.fd)
        answer, complaint = said.values()
        return bytes(answer), bytes(complaint)

    def close(self) -> None:
        """Kills it if it still runs, and waits for its end."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        self.wait()
        for closed in (self._control, self.stdout, self.stderr):
            closed.close()


class _Server:
    """A running `fork_server` of this process."""

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        environment = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
        # One thread: only then is a fork of it complete, and a decoder needs no linear algebra.
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment |= {"PYTHONPATH": str(_PACKAGE_ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", "emo_bench.media.fork_server", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=os.sep,
                env=environment,
                pass_fds=(theirs.fileno(),),
            )
        self.pid = self._process.pid
        self._connection = ours
        self._lock = threading.Lock()
        self.owner = os.getpid()

    def start(self, descriptor: int, question: bytes) -> Child:
        """See `start`.

        Raises:
            OSError: The server has died.
        """
        ours, control = socket.socketpair()
        answer, answered = os.pipe()
        complaint, complained = os.pipe()
        # The question goes through an unnamed file: a pipe could fill up and block before the child reads.
        with tempfile.TemporaryFile() as asked, control, _closing(answered, complained):
            asked.write(question)
            asked.seek(0)
            passed = [asked.fileno(), answered, complained, descriptor, control.fileno()]
            assert len(passed) == PASSED  # noqa: S101 - both sides count them
            with self._lock:
                socket.send_fds(self._connection, [REQUEST], passed)
        child = Child(0, control=ours, stdout=FileIO(answer), stderr=FileIO(complaint))
        ours.settimeout(_PATIENCE_S)
        pid = _received(ours)
        if pid is None:
            for closed in (ours, child.stdout, child.stderr):
                closed.close()
            raise BrokenPipeError("the server that starts decoders has ended")
        ours.settimeout(None)
        child.pid = pid
        return child

    def close(self) -> None:
        """Ends the server and all that it started."""
        self._connection.close()
        if self.owner == os.getpid():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)


_servers: dict[str, _Server] = {}
_changing = threading.Lock()


def start(module: str, descriptor: int, *, question: bytes = b"") -> Child:
    """A fresh process that runs ``module.main`` on an open file.

    Args:
        module: A decoder, with a ``main`` that reads standard input and the file with descriptor `fork_server.FILE`.
        descriptor: The open file; the caller closes its own.
        question: Standard input of the child.
    """
    try:
        return _server(module).start(descriptor, question)
    except OSError:
        # It may have been killed for want of memory between two files; a second failure is the user's to know.
        _forget(module)
        return _server(module).start(descriptor, question)


def _server(module: str) -> _Server:
    with _changing:
        found = _servers.get(module)
        # A forked process has its parent's sockets, but must not speak for it.
        if found is None or found.owner != os.getpid():
            _servers[module] = found = _Server(module)
        return found


def _forget(module: str) -> None:
    with _changing:
        found = _servers.pop(module, None)
    if found is not None:
        found.close()


def server_pids() -> list[int]:
    """Process ids of this process's servers; what their children used is theirs, once those have ended."""
    return [server.pid for server in _servers.values() if server.owner == os.getpid()]


@atexit.register
def _close_all() -> None:
    for module in list(_servers):
        _forget(module)


def _received(control: socket.socket) -> int | None:
    data = b""
    while len(data) < STATUS.size:
        try:
            piece = control.recv(STATUS.size - len(data))
        except OSError:
            return None
        if not piece:
            return None
        data += piece
    number: int = STATUS.unpack(data)[0]
    return number


@contextmanager
def _closing(*descriptors: int) -> Iterator[None]:
    try:
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
