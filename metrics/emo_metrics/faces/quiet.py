"""Keeps the routine chatter of native libraries off the terminal, and nothing else."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ROUTINE: Final = re.compile(
    rb"^(?:[IW]\d{4} |(?:INFO|WARNING): |\[ (?:INFO|WARN):)",
)
"""Information and warnings of glog, TensorFlow Lite and OpenCV; their errors (``E0000``, ``ERROR:``) do not match."""


def without_routine(text: bytes) -> bytes:
    r"""The lines that are not routine notes of a native library.

    >>> without_routine(b"W0000 00:00:1 5 x.cc:1] note\nINFO: Created delegate\nE0000 00:00:1 5 x.cc:2] broken\n")
    b'E0000 00:00:1 5 x.cc:2] broken\n'
    """
    return b"".join(line for line in text.splitlines(keepends=True) if not ROUTINE.match(line))


@contextmanager
def routine_notes_dropped() -> Iterator[None]:
    """Drops routine notes that native code writes to file descriptor 2 within the block; the rest is passed on.

    Native libraries write past ``sys.stderr``, so the descriptor itself is pointed at a file for the duration. What
    other threads write meanwhile appears at the end of the block. Where there is no descriptor 2, nothing is done.
    """
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            captured.seek(0)
            rest = without_routine(captured.read())
            if rest:
                os.write(2, rest)
