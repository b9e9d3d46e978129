"""What decoding an untrusted file may cost before it is stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one decoding process; whatever is exceeded first ends it with ``LimitError``.

    Attributes:
        memory_bytes: Address space of the child process.
        cpu_seconds: CPU time of the child process.
        wall_seconds: How long the parent waits for the child in total; time that the parent spends on the frames
            it got does not count.
        max_frames: Frames of a video, declared in the header or decoded.
        max_pixels: Width times height of a frame.
        max_seconds: Duration of video or audio, declared or decoded.
        max_gap_seconds: How long one frame may be held, or audio may be missing, in the middle of a file.
        open_files: File descriptors of the child process.
    """

    memory_bytes: int = 2 << 30
    cpu_seconds: int = 900
    wall_seconds: float = 900.0
    max_frames: int = 120_000
    max_pixels: int = 4096 * 4096
    max_seconds: float = 3600.0
    max_gap_seconds: float = 60.0
    open_files: int = 16

    def as_json(self) -> dict[str, float]:
        """The limits as plain values, for the child process."""
        return asdict(self)


DEFAULT_LIMITS = Limits()
"""Generous for talking-head clips (an hour, 4096 x 4096), small for a machine."""


def limit_this_process(bounds: Mapping[str, tuple[int, int]]) -> None:
    """Lowers limits of this process, by their names in ``resource``; those that are lower already stay as they are.

    A system without one of them keeps the parent's clock as the last bound.
    """
    try:
        import resource
    except ImportError:
        return
    for name, (soft, hard) in bounds.items():
        with contextlib.suppress(ValueError, OSError, AttributeError):
            kind = getattr(resource, name)
            allowed = resource.getrlimit(kind)[1]
            most = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
            resource.setrlimit(kind, (min(soft, most), most))
