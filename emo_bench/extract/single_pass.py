"""One decode of a clip feeds all its extractors, piece by piece; memory does not grow with the clip's length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo_bench.extract.feature_store import FAULT, FeatureResult
from emo_bench.media.types import PIECE_LENGTH, FrameArray, Video
from emo_core.errors import ClipError, EmoBenchError, one_line

if TYPE_CHECKING:
    from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor


def in_order(extractors: Mapping[str, type[Extractor]]) -> list[str]:
    """Names so that every extractor comes after those it requires.

    Raises:
        ClipError: when extractors require each other in a circle or one is not given.
    """
    placed: list[str] = []
    waiting = sorted(extractors)
    while waiting:
        ready = [name for name in waiting if all(need in placed for need in extractors[name].requires)]
        if not ready:
            raise ClipError(f"extractors cannot be ordered: {', '.join(waiting)}", expected="no circle, none missing")
        placed += ready
        waiting = [name for name in waiting if name not in ready]
    return placed


def paired(video: Video, truth: Video | None) -> Iterator[tuple[FrameArray, FrameArray | None]]:
    """Pieces of both videos with the same frame indices; the second is None when there is no ground truth.

    Raises:
        ClipError: when the ground truth has fewer frames or another size.
    """
    if truth is None:
        for piece in video.open():
            yield piece, None
        return
    if truth.spec != video.spec:
        raise ClipError("clip and ground truth do not match", expected=f"{truth.spec}", found=f"{video.spec}")
    for piece, other in zip(_steady(video), _steady(truth), strict=True):
        yield piece, other


def _steady(video: Video) -> Iterator[FrameArray]:
    """Pieces of exactly ``PIECE_LENGTH`` frames (the last may be shorter), however the source cuts them."""
    held: list[FrameArray] = []
    count = 0
    for piece in video.open():
        held.append(piece)
        count += len(piece)
        while count >= PIECE_LENGTH:
            joined = held[0] if len(held) == 1 else np.concatenate(held)
            yield joined[:PIECE_LENGTH]
            held, count = [joined[PIECE_LENGTH:]], count - PIECE_LENGTH
    if count:
        yield np.concatenate(held)


class _Running:
    """One extractor at work on one clip: collects rows, remembers why it stopped."""

    def __init__(self, extractor: Extractor, inputs: ClipInputs) -> None:
        self.extractor = extractor
        self.rows: dict[str, list[NDArray[np.generic]]] = {}
        self.stopped: FeatureResult | None = None
        self.accumulator: Accumulator | None = None
        self._guard(lambda: setattr(self, "accumulator", extractor.begin(inputs)))

    def update(self, piece: object) -> Arrays:
        from emo_metrics.contract import Piece

        assert isinstance(piece, Piece)  # noqa: S101 - for the type checker
        made: dict[str, Arrays] = {}
        if self.accumulator is not None and self.stopped is None:
            accumulator = self.accumulator
            self._guard(lambda: made.update(rows=accumulator.update(piece)))
        rows = made.get("rows", {})
        for name, array in rows.items():
            self.rows.setdefault(name, []).append(array)
        return rows

    def finish(self) -> FeatureResult:
        made: dict[str, Arrays] = {}
        if self.accumulator is not None and self.stopped is None:
            accumulator = self.accumulator
            self._guard(lambda: made.update(arrays=accumulator.finish()))
        if self.stopped is not None:
            return self.stopped
        joined = {name: np.concatenate(parts) for name, parts in self.rows.items()}
        return FeatureResult({**joined, **made.get("arrays", {})})

    def _guard(self, action: object) -> None:
        from emo_metrics.contract import Unscored

        assert callable(action)  # noqa: S101 - for the type checker
        try:
            action()
        except Unscored as outcome:
            self.stopped = FeatureResult({}, outcome.status, outcome.reason)
        except (EmoBenchError, OSError):
            raise
        except Exception as error:  # a fault of one network is no fault of the clip
            self.stopped = FeatureResult({}, FAULT, f"{type(error).__name__}: {one_line(error)}")


def extract_clip(
    *,
    video: Video,
    truth: Video | None,
    inputs: ClipInputs,
    extractors: Sequence[Extractor],
    known: Mapping[str, FeatureResult],
) -> dict[str, FeatureResult]:
    """Runs extractors over a clip in one pass.

    Args:
        video: The clip.
        truth: The ground truth of the same size and length, when any extractor needs it.
        inputs: What extractors may know before the first frame.
        extractors: In an order in which requirements come first.
        known: Results that exist already and may be required by others.

    Returns:
        A result for each extractor. One whose requirement has no features gets that one's status and reason; one that
        fails in its own code has the status ``FAULT``, and the others go on.
    """
    from emo_metrics.contract import Need, Piece

    running = {extractor.name: _Running(extractor, inputs) for extractor in extractors}
    start = 0
    for frames, other in paired(video, truth):
        upstream: dict[str, Arrays] = {
            name: _rows(result, start, len(frames), inputs.n_frames) for name, result in known.items()
        }
        for name, worker in running.items():
            kind = worker.extractor
            needs = {need: upstream[need] for need in kind.requires if need in upstream}
            piece = Piece(
                frames=frames,
                start=start,
                ground_truth=other if Need.GROUND_TRUTH in kind.needs else None,
                upstream=needs,
            )
            worker.stopped = worker.stopped or _blocker(kind, running, known)
            if worker.stopped is None:
                upstream[name] = worker.update(piece)
        start += len(frames)
    results: dict[str, FeatureResult] = {}
    for name, worker in running.items():
        blocker = next(
            (got for need in worker.extractor.requires if (got := {**known, **results}[need]).status != "ok"), None
        )
        results[name] = worker.finish() if blocker is None else FeatureResult({}, blocker.status, blocker.reason)
    return results


def _blocker(
    extractor: Extractor, running: Mapping[str, _Running], known: Mapping[str, FeatureResult]
) -> FeatureResult | None:
    """Why something that the extractor requires has no rows; None when nothing is missing."""
    for need in extractor.requires:
        found = running[need].stopped if need in running else known[need]
        if found is not None and found.status != "ok":
            return FeatureResult({}, found.status, found.reason)
    return None


def _rows(result: FeatureResult, start: int, count: int, n_frames: int) -> Arrays:
    """The rows of exactly these frames of every array that has one row a frame."""
    return {
        name: array[start : start + count]
        for name, array in result.arrays.items()
        if array.ndim >= 1 and len(array) == n_frames
    }
