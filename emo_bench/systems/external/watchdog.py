"""Ends an external program when the process that started it dies without a word (signal 9, out of memory).

Run by path in a bare interpreter: ``python -I -S watchdog.py GROUP MARK [STOP ...]``. It waits on its standard input,
whose other end the starting process holds: one byte means that the program has ended and nothing is to be done; the end
of the stream without it means that nobody watches the program any more. Then STOP is run as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 30.0
"""For a command that ends a container, for example."""


def kill_all(group: int, mark: str) -> None:
    """Kills a process group and every process whose environment holds ``mark`` (``NAME=VALUE``)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    # Programs that left the group still carry the mark in their environment.
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def end_elsewhere(stop: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
    """Runs the command that ends what is no process of the program's own; nothing where there is none."""
    if stop:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                list(stop),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=STOP_SECONDS,
                check=False,
            )


def main() -> None:
    """Waits, then ends the program if its owner has died."""
    # What interrupts the owner is the owner's business; it will say so or die.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not sys.stdin.buffer.read(1):
        kill_all(int(sys.argv[1]), sys.argv[2])
        end_elsewhere(sys.argv[3:])


if __name__ == "__main__":
    main()
