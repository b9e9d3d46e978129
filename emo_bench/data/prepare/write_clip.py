"""Frames of one reading distributed to clips, and the face analysis that runs along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo_bench.media.types import FrameArray, Video
from emo_core.errors import DecodeError

if TYPE_CHECKING:
    from emo_metrics.contract import Accumulator, ClipInputs, Extractor


def pieces_between(video: Video, spans: list[tuple[int, int]]) -> Iterator[Iterator[FrameArray]]:
    """For each span of frames its pieces, all out of one reading; each must be used up before the next is asked for.

    Args:
        video: Read once, not further than the last span needs.
        spans: (start, end), ascending, without overlap.

    Raises:
        DecodeError: while a span is read, when the video is broken or ends early.
    """
    source = video.open() if spans else iter(())
    held: list[tuple[int, FrameArray]] = []  # the piece that the next span may still need, and its first frame

    def of(start: int, end: int) -> Iterator[FrameArray]:
        at = start
        while at < end:
            first, piece = held[-1] if held else (0, np.empty((0, 1, 1, 3), np.uint8))
            if at < first + len(piece):
                last = min(end, first + len(piece))
                yield piece[at - first : last - first]
                at = last
                continue
            following = next(source, None)
            if following is None:
                raise DecodeError("the video ended early", expected=f"{end} frames", found=f"{first + len(piece)}")
            held[:] = [(first + len(piece), following)]

    try:
        for start, end in spans:
            yield of(start, end)
    finally:
        close = getattr(source, "close", None)  # ends the decoding process at once
        if close is not None:
            close()


class ClipSink:
    """Collects the face analysis of one clip.

    Args:
        face: ``face/mediapipe-landmarker@1``.
        clip: Name of the clip.
    """

    def __init__(self, face: Extractor, clip: str) -> None:
        from emo_metrics.faces.finder import FoundBy

        self.whole_frame = int(FoundBy.WHOLE_FRAME)
        self._face, self._clip = face, clip
        self._running: Accumulator | None = None
        self._rows: dict[str, list[NDArray[np.generic]]] = {}
        self._count = 0

    def add(self, frames: FrameArray, *, inputs: ClipInputs) -> None:
        """Takes the next frames of the clip."""
        from emo_metrics.contract import Piece

        if self._running is None:
            self._running = self._face.begin(inputs)
        for name, rows in self._running.update(Piece(frames=frames, start=self._count)).items():
            self._rows.setdefault(name, []).append(rows)
        self._count += len(frames)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """One row a frame."""
        return {name: np.concatenate(rows) for name, rows in self._rows.items()}
