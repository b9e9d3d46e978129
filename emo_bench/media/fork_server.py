"""Starts decoders fast: a process that has imported one of them and forks a fresh child for every file.

    python -m emo_bench.media.fork_server MODULE

It never opens or reads a file itself. Its standard input is a socket: for each request it gets five descriptors over
it, forks, and the child runs `MODULE.main` with them, as if it had been started as a program: limits, file and failure
are its own. When the socket closes, everything ends, so that nothing outlives whoever asked.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import importlib
import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

FILE = 3
"""The file to decode has this descriptor in the child; 0 to 2 are question, answer and complaints."""

PASSED = 5
"""Descriptors that come with a request: the child's control socket, standard input, output and error, the file."""

STATUS = struct.Struct("<q")
"""What is said over a control socket: the child's process id, and at its end the exit status as `subprocess` has it.

Instead of a process id, minus the error number that kept the child from being started.
"""

REQUEST = b"1"
_MOST_DESCRIPTORS = 1 << 16
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Entry point."""
    # Ctrl-C is for the parent, which then closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The thread that started this may have blocked signals, among them the one that tells of a child's end.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    run = importlib.import_module(sys.argv[1]).main
    nothing = os.open(os.devnull, os.O_RDWR)
    while nothing < FILE:
        nothing = os.dup(nothing)
    connection = socket.socket(fileno=os.dup(0))
    os.dup2(nothing, 0)
    # Missing when the parent runs without standard error; the children's is a pipe.
    sys.stderr = sys.stderr or open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    gc.freeze()
    serve(connection, run)


def serve(connection: socket.socket, run: Callable[[], None]) -> None:
    """Forks on request until the other side closes ``connection``; then kills what is left."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    children: dict[int, socket.socket] = {}
    # Not `select.select`, which takes no descriptors above 1023.
    with selectors.DefaultSelector() as waiting:
        waiting.register(connection, selectors.EVENT_READ)
        waiting.register(wake, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in waiting.select()}
            if wake in ready:
                _drain(wake)
                _report_ended(children, waiting)
            for pid, control in children.items():
                if control in ready:
                    _kill(pid)
                    # It stays readable until the child's end, which may take a while: once is enough.
                    waiting.unregister(control)
            if connection in ready:
                said, descriptors, _, _ = socket.recv_fds(connection, len(REQUEST), PASSED)
                if not said:
                    break
                _start(run, descriptors, children, waiting)
    for pid in children:
        _kill(pid)


def _start(
    run: Callable[[], None],
    descriptors: list[int],
    children: dict[int, socket.socket],
    waiting: selectors.BaseSelector,
) -> None:
    server = os.getpid()
    if not descriptors:
        return  # whoever asked sees that nobody holds the control socket
    own, *theirs = descriptors
    control = socket.socket(fileno=own)
    try:
        # The system leaves out those for which this process has no room.
        if len(descriptors) < PASSED:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        pid = os.fork()
    except OSError as error:
        _say(control, -(error.errno or errno.EAGAIN))
        control.close()
    else:
        if pid == 0:
            _become(run, theirs, server=server)
        children[pid] = control
        waiting.register(control, selectors.EVENT_READ)
        _say(control, pid)
    finally:
        for descriptor in theirs:
            os.close(descriptor)


def _become(run: Callable[[], None], descriptors: list[int], *, server: int) -> NoReturn:
    """The child's whole life."""
    code = 1
    try:
        _end_with(server)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for place, descriptor in enumerate(descriptors):
            os.dup2(descriptor, place)
        os.closerange(FILE + 1, _MOST_DESCRIPTORS)
        sys.argv = ["decoder", str(FILE)]
        run()
        sys.stdout.flush()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # Whatever fails here, the child must not go on as a second server.
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _end_with(server: int) -> None:
    """Asks the system to kill this process when the server dies (Linux; elsewhere the closed pipes end it)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os.kill(os.getpid(), signal.SIGKILL)


def _report_ended(children: dict[int, socket.socket], waiting: selectors.BaseSelector) -> None:
    """Tells about every child that has ended; until then its process id belongs to nobody else."""
    for pid, control in list(children.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _say(control, os.waitstatus_to_exitcode(status))
            with contextlib.suppress(KeyError):  # it was killed on request, and is not waited for any more
                waiting.unregister(control)
            control.close()
            del children[pid]


def _say(control: socket.socket, number: int) -> None:
    try:
        control.sendall(STATUS.pack(number))
    except OSError:
        return  # whoever asked has gone; the closed socket is noticed by itself


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        return


if __name__ == "__main__":
    main()
