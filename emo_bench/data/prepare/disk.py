"""Checks that there is enough disk space before the work starts."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Literal

from emo_core.errors import DataError

Quality = Literal["near-lossless", "lossless"]

BYTES_PER_PIXEL: dict[Quality, float] = {"near-lossless": 0.46, "lossless": 1.27}
"""Measured on real faces at 512 px with a fifth added (docs/datasets/hdtf.md); noisy video needs more."""

AUDIO_BYTES_PER_SECOND = 16000 * 4
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Error numbers that say that nothing more can be written."""


def estimated_bytes(*, n_frames: int, size: int, fps: int, quality: Quality) -> int:
    """Expected size of clips of ``n_frames`` square frames in total, with their audio.

    >>> estimated_bytes(n_frames=25, size=512, fps=25, quality="near-lossless") // 1000
    3078
    """
    return int(n_frames * (size * size * BYTES_PER_PIXEL[quality] + AUDIO_BYTES_PER_SECOND / fps))


def require_space(folder: Path, needed: int, what: str) -> None:
    """Checks the free space of a folder's disk.

    Raises:
        DataError: when it is less than ``needed`` bytes.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"not enough disk space below {folder}",
            expected=f"about {needed / 1e6:.0f} MB free for {what}",
            found=f"{free / 1e6:.0f} MB",
            fix="free some space or choose another target; what is finished is kept and not made again",
        )


def full_disk(folder: Path, error: OSError) -> DataError:
    """The error for a disk that became full in spite of the estimate."""
    return DataError(
        f"nothing more can be written below {folder}: {error.strerror or error}",
        fix="free some space and run the same command again; what is finished is kept",
    )
