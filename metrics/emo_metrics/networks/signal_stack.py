"""Libraries that leave a stack for signal handlers behind."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_STACK_BYTES = 64
"""More than `stack_t` has anywhere; its fields are only copied."""


def signal_stack() -> bytes:
    """On which stack this thread handles signals, as the system describes it; empty where there is no such thing."""
    described = ctypes.create_string_buffer(_STACK_BYTES)
    ask = getattr(ctypes.CDLL(None), "sigaltstack", None)
    return described.raw if ask is not None and ask(None, described) == 0 else b""


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Gives this thread the stack for signal handlers back that it had before.

    OpenVINO sets one of its own and frees it with the network; the next signal, such as Ctrl-C, would then be handled
    on memory that is gone, and end the process with a segmentation fault.
    """
    before = signal_stack()
    try:
        yield
    finally:
        if before:
            ctypes.CDLL(None).sigaltstack(before, None)
