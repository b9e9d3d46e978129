"""Starts decoders fast: a process that has imported one of them and forks a fresh child for every file.

    python -m emo_bench.media.fork_server MODULE DESCRIPTOR

It never opens or reads a file itself. For each request it gets five descriptors over the socket DESCRIPTOR, forks, and
the child runs `MODULE.main` with them, as if it had been started as a program: limits, file and failure are its own.
When the socket closes, everything ends, so that nothing outlives whoever asked.
"""

from __future__ import annotations

import contextlib
import ctypes
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
"""Descriptors that come with a request: standard input, output and error, the file, and the child's control socket."""

STATUS = struct.Struct("<q")
"""What is said over a control socket: the child's process id, and at its end the exit status as `subprocess` has it."""

REQUEST = b"1"
_MOST_DESCRIPTORS = 1 << 16
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Entry point."""
    # The terminal's Ctrl-C is for the parent, which then closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run = importlib.import_module(sys.argv[1]).main
    while os.open(os.devnull, os.O_RDONLY) < FILE:
        pass
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[2])), run)


def serve(connection: socket.socket, run: Callable[[], None]) -> None:
    """Forks on request until the other side closes ``connection``; then kills what is left."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    children: dict[int, socket.socket] = {}
    while True:
        # Not `select.select`, which takes no descriptors above 1023.
        with selectors.DefaultSelector() as waiting:
            for source in (connection, wake, *children.values()):
                waiting.register(source, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in waiting.select()}
        if wake in ready:
            _drain(wake)
            _report_ended(children)
        for pid, control in children.items():
            if control in ready:
                _kill(pid)
        if connection in ready:
            said, descriptors, _, _ = socket.recv_fds(connection, len(REQUEST), PASSED)
            if not said:
                break
            _start(run, descriptors, children)
    for pid in children:
        _kill(pid)


def _start(run: Callable[[], None], descriptors: list[int], children: dict[int, socket.socket]) -> None:
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(run, descriptors, server=server)
    *theirs, own = descriptors
    for descriptor in theirs:
        os.close(descriptor)
    children[pid] = socket.socket(fileno=own)
    _say(children[pid], pid)


def _become(run: Callable[[], None], descriptors: list[int], *, server: int) -> NoReturn:
    """The child's whole life."""
    code = 1
    try:
        _end_with(server)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for place, descriptor in enumerate(descriptors[: FILE + 1]):
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
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_with(server: int) -> None:
    """Asks the system to kill this process when the server dies (Linux; elsewhere the closed pipes end it)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os.kill(os.getpid(), signal.SIGKILL)


def _report_ended(children: dict[int, socket.socket]) -> None:
    """Tells about every child that has ended; until then its process id belongs to nobody else."""
    for pid, control in list(children.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _say(control, os.waitstatus_to_exitcode(status))
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
