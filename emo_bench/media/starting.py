"""The parent's side of `fork_server`: one server for each decoder, and a handle on every child."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

from emo_bench.media.fork_server import PASSED, REQUEST, STATUS

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_PIPE_BYTES = 1 << 20
_COMPLAINT_BYTES = 1 << 16
_PATIENCE_S = 60.0
"""A server that does not answer for so long has died or hangs."""
_KILLED = -int(signal.SIGKILL) if hasattr(signal, "SIGKILL") else -9


class ServerEndedError(BrokenPipeError):
    """A server has died or hangs, before it had started what it was asked for."""


class Child:
    """A decoder that runs; closing it ends it.

    Attributes:
        pid: Its process id.
        stdout: What it says, unbuffered.
        stderr: What it complains about.
    """

    def __init__(self, pid: int, *, control: socket.socket, stdout: FileIO, stderr: FileIO, server: _Server) -> None:
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self._control, self._server = control, server
        self._code: int | None = None

    def wait(self) -> int:
        """Waits for the end of one that has said everything: the exit status, or minus the signal that ended it.

        A hostile file could make it close its pipes and live on: it is killed after a while.
        """
        if self._code is None:
            try:
                self._code = self._told()
            except TimeoutError:
                self._code = self._killed()
        return self._code

    def _killed(self) -> int:
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        try:
            return self._told()
        except TimeoutError:
            # The server was stopped or hangs; what it started dies with it.
            self._server.kill()
            return _KILLED

    def _told(self) -> int:
        self._control.settimeout(_PATIENCE_S)
        said = _received(self._control)
        # Without a word the server has gone, and all its children with it.
        return _KILLED if said is None else said

    def communicate(self, *, timeout: float, most: int) -> tuple[bytes, bytes]:
        """All that it says until its end, on both pipes.

        Raises:
            TimeoutError: It takes longer than ``timeout`` seconds.
            BufferError: It says more than ``most`` bytes on one of them.
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
                    if len(said[key.fd]) > most:
                        raise BufferError(f"more than {most} bytes")
                    if not piece:
                        still_open.unregister(key.fd)
        answer, complaint = said.values()
        return bytes(answer), bytes(complaint)

    def complaint(self) -> bytes:
        """What it has complained about so far, as much as a pipe holds; does not wait for more."""
        os.set_blocking(self.stderr.fileno(), False)
        return self.stderr.read(_COMPLAINT_BYTES) or b""

    def close(self) -> None:
        """Kills it if it still runs, and waits for its end."""
        if self._code is None:
            self._code = self._killed()
        for closed in (self._control, self.stdout, self.stderr):
            closed.close()


class _Server:
    """A running `fork_server` of this process."""

    def __init__(self, module: str) -> None:
        self.module = module
        environment = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
        # One thread: only then is a fork of it complete, and a decoder needs no linear algebra.
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment |= {"PYTHONPATH": str(_PACKAGE_ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
        with ExitStack() as ours:
            self._connection, theirs = socket.socketpair()
            ours.enter_context(self._connection)
            self._connection.settimeout(_PATIENCE_S)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-s", "-P", "-m", "emo_bench.media.fork_server", module],
                    # Not a descriptor of its own number, which standard output would overwrite if it were 1.
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    cwd=os.sep,
                    env=environment,
                    # What a terminal or a batch system sends to the group of the parent is for the parent to act on.
                    process_group=0,
                )
            ours.pop_all()
        self.pid = self._process.pid

    def start(self, descriptor: int, question: bytes) -> Child:
        """See `start`.

        Raises:
            ServerEndedError: The server has died or hangs.
            OSError: There is no room for another descriptor, file or process.
        """
        with ExitStack() as ours, ExitStack() as theirs:
            own, control = socket.socketpair()
            ours.enter_context(own)
            theirs.enter_context(control)
            stdout, answered = _pipe(ours, theirs)
            stderr, complained = _pipe(ours, theirs)
            # The question goes through an unnamed file: a pipe could fill up and block before the child reads.
            asked = theirs.enter_context(tempfile.TemporaryFile())
            asked.write(question)
            asked.seek(0)
            passed = [control.fileno(), asked.fileno(), answered, complained, descriptor]
            assert len(passed) == PASSED  # noqa: S101 - both sides count them
            self._ask(passed)
            # Only the server holds them now, so that its end is noticed.
            theirs.close()
            child = Child(self._pid(own), control=own, stdout=stdout, stderr=stderr, server=self)
            ours.pop_all()
            return child

    def _ask(self, passed: list[int]) -> None:
        try:
            socket.send_fds(self._connection, [REQUEST], passed)
        except OSError as error:
            # Another thread may have found out first and closed the connection.
            closed = self._connection.fileno() < 0
            if closed or isinstance(error, (ConnectionError, TimeoutError)):
                raise self._ended() from error
            raise

    def _pid(self, control: socket.socket) -> int:
        control.settimeout(_PATIENCE_S)
        try:
            said = _received(control)
        except TimeoutError as error:
            raise self._ended() from error
        if said is None:
            raise self._ended()
        if said < 0:
            raise OSError(-said, f"no process for a decoder can be started: {os.strerror(-said)}")
        return said

    def _ended(self) -> ServerEndedError:
        return ServerEndedError(
            errno.EPIPE,
            f"the server that starts {self.module} has ended or hangs: expected an answer within {_PATIENCE_S:g} s, "
            "found none; what it said is on standard error",
        )

    def close(self) -> None:
        """Ends the server and all that it started."""
        # The server sees this even if a forked process still holds the socket.
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self.kill()

    def kill(self) -> None:
        """Ends a server that may hang."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def leave_to_parent(self) -> None:
        """In a forked process: lets go of what belongs to its parent."""
        self._connection.close()
        # It is no child of this process, which neither waits for it nor warns that it still runs.
        self._process.returncode = 0


_servers: dict[str, _Server] = {}
_changing = threading.RLock()


def start(module: str, descriptor: int, *, question: bytes = b"") -> Child:
    """A fresh process that runs ``module.main`` on an open file.

    Args:
        module: A decoder, with a ``main`` that reads standard input and the file with descriptor `fork_server.FILE`.
        descriptor: The open file; the caller closes its own.
        question: Standard input of the child.

    Raises:
        OSError: No process can be started.
    """
    server = _server(module)
    try:
        return server.start(descriptor, question)
    except ServerEndedError:
        # It may have been killed for want of memory between two files; a second failure is the user's to know.
        _forget(server)
        return _server(module).start(descriptor, question)


def _server(module: str) -> _Server:
    with _changing:
        if module not in _servers:
            _servers[module] = _Server(module)
        return _servers[module]


def _forget(server: _Server) -> None:
    """Ends a server, so that the next request gets another; never one that has replaced it already."""
    with _changing:
        if _servers.get(server.module) is server:
            del _servers[server.module]
    server.close()


def server_pids() -> list[int]:
    """Process ids of this process's servers; what their children used is theirs, once those have ended."""
    return [server.pid for server in list(_servers.values())]


@atexit.register
def _close_all() -> None:
    for server in list(_servers.values()):
        _forget(server)


def _start_anew() -> None:
    """In a forked process, which has its parent's sockets but must not speak for it, nor keep them open."""
    global _changing
    _changing = threading.RLock()
    for server in _servers.values():
        server.leave_to_parent()
    _servers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _changing.acquire(),
        after_in_parent=lambda: _changing.release(),
        after_in_child=_start_anew,
    )


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[FileIO, int]:
    """A pipe's end to read, which ``ours`` closes, and its end to write, which ``theirs`` closes."""
    read, write = os.pipe()
    theirs.callback(os.close, write)
    return ours.enter_context(FileIO(read)), write


def _received(control: socket.socket) -> int | None:
    """The next number, or nothing if the other side has gone.

    Raises:
        TimeoutError: Nothing comes.
    """
    data = b""
    while len(data) < STATUS.size:
        try:
            piece = control.recv(STATUS.size - len(data))
        except TimeoutError:
            raise
        except OSError:
            return None
        if not piece:
            return None
        data += piece
    number: int = STATUS.unpack(data)[0]
    return number
