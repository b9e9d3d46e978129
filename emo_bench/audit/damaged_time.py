"""Damage to the order of the frames: frozen frames, and frames that jump back and forth."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from emo_bench.audit.distortions import Distortion, Original
from emo_bench.media.types import PIECE_LENGTH, FrameArray, Video

Combine = Callable[[FrameArray, FrameArray], FrameArray]
"""From the frame of this time and the frame of the other time, both ``uint8 [H, W, 3]``, to what is shown."""


def other_frame(own: FrameArray, other: FrameArray) -> FrameArray:
    """Shows the frame of the other time."""
    del own
    return other


def with_other_times(video: Video, sources: NDArray[np.int64], combine: Combine = other_frame) -> Video:
    """Frame t becomes ``combine(frame t, frame sources[t])``.

    Frames are held only from when they are read until they are last needed, so memory grows with how far ``sources``
    reaches, never with the length of the clip.

    >>> from fractions import Fraction
    >>> from emo_bench.media.types import video_from_array
    >>> count = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((4, 2, 2, 3), np.uint8)
    >>> shown = with_other_times(video_from_array(count, fps=Fraction(25)), np.array([1, 0, 3, 2]))
    >>> shown.read_all()[:, 0, 0, 0].tolist()
    [1, 0, 3, 2]
    """
    last_use = np.arange(len(sources))
    np.maximum.at(last_use, sources, np.arange(len(sources)))

    def pieces() -> Iterator[FrameArray]:
        incoming = (frame for piece in video.open() for frame in piece)
        held: dict[int, FrameArray] = {}
        made: list[FrameArray] = []
        read = 0
        for now, source in enumerate(sources.tolist()):
            while read <= max(now, source):
                held[read] = next(incoming).copy()  # a view would keep its whole piece alive
                read += 1
            made.append(combine(held[now], held[source]))
            for index in (now, source):
                if index in held and last_use[index] <= now:
                    del held[index]
            if len(made) == PIECE_LENGTH:
                yield np.stack(made)
                made = []
        if made:
            yield np.stack(made)

    return Video(video.spec, pieces)


def nearby_times(original: Original, reach: float) -> NDArray[np.int64]:
    """For every frame another one at most ``reach`` frames away, drawn evenly; ``int64 [n]``."""
    n_frames = original.video.spec.n_frames
    draws = original.draw().uniform(-1.0, 1.0, n_frames)
    steps = np.rint(draws * (reach + 0.5 - 1e-9)).astype(np.int64)
    sources: NDArray[np.int64] = np.clip(np.arange(n_frames, dtype=np.int64) + steps, 0, n_frames - 1)
    return sources


def frozen(original: Original, level: float) -> Video:
    """The first frame stands for a share of the clip, then the video continues where it would be by then."""
    n_frames = original.video.spec.n_frames
    sources = np.arange(n_frames)
    sources[: round(min(1.0, level) * n_frames)] = 0
    return with_other_times(original.video, sources)


def jittered(original: Original, level: float) -> Video:
    """Every frame is exchanged for one nearby."""
    return with_other_times(original.video, nearby_times(original, level))


FROZEN = Distortion(
    name="frozen",
    title="Frozen",
    unit="share of clip",
    levels=(0.1, 0.25, 0.5, 1.0),
    change_video=frozen,
    most=1.0,
    anchor="frozen",
)
JITTER = Distortion(
    name="jitter", title="Frame jitter", unit="± frames", levels=(1, 2, 4, 8), change_video=jittered, whole=True
)
