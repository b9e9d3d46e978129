"""Cuts all clips of one source video while it is read once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from emo_bench.data.hdtf.plan import ClipCut, annotated_height, available_frames, window_in
from emo_bench.data.prepare.disk import Quality
from emo_bench.data.prepare.report import Problem, problem_of
from emo_bench.data.prepare.resize import Window, cut_and_resize
from emo_bench.media.decode import MediaPair, load_pair
from emo_bench.media.limits import Limits
from emo_bench.media.lossless import LOSSLESS, NEAR_LOSSLESS, ClipFile, LosslessWriter
from emo_bench.media.types import Audio, FrameArray, samples_for_frames
from emo_core.errors import ClipError, DecodeError

SOURCE_LIMITS = Limits(cpu_seconds=6 * 3600, wall_seconds=6 * 3600.0, max_frames=500_000, max_seconds=7200.0)
"""Source videos last minutes to two hours, and decoding them may take longer than a clip."""

QUALITIES = {"lossless": LOSSLESS, "near-lossless": NEAR_LOSSLESS}


@dataclass(frozen=True, kw_only=True)
class CutClip:
    """A clip that was written.

    Attributes:
        cut: What was asked for.
        file: What was written.
        window: In pixels of the source.
        notes: What a user should know about it.
    """

    cut: ClipCut
    file: ClipFile
    window: Window
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Job:
    cut: ClipCut
    n_frames: int
    window: Window
    notes: tuple[str, ...]


class _OpenClip:
    """A clip that is being written; nothing is left of it unless it is finished."""

    def __init__(self, job: _Job, target: Path, audio: Audio, *, size: int, fps: Fraction, quality: Quality) -> None:
        self.job = job
        self._size = size
        self._done = 0
        self._stack = ExitStack()
        first, last = (
            samples_for_frames(frame, rate=audio.rate, fps=fps)
            for frame in (job.cut.start, job.cut.start + job.n_frames)
        )
        sound = Audio(audio.samples[first:last], audio.rate)
        self._writer = self._stack.enter_context(
            LosslessWriter(target, width=size, height=size, fps=fps, audio=sound, quality=QUALITIES[quality])
        )

    def add(self, frames: FrameArray) -> bool:
        """Takes the clip's part of a piece; returns whether it has all its frames."""
        self._writer.add(cut_and_resize(frames, self.job.window, self._size))
        self._done += len(frames)
        return self._done == self.job.n_frames

    def finish(self) -> CutClip:
        self._stack.close()
        return CutClip(cut=self.job.cut, file=self._writer.result, window=self.job.window, notes=self.job.notes)

    def give_up(self, error: BaseException) -> None:
        self._stack.__exit__(type(error), error, error.__traceback__)


def cut_source(
    source: Path,
    audio: Path | None,
    cuts: list[ClipCut],
    folder: Path,
    *,
    fps: int,
    size: int,
    quality: Quality,
) -> Iterator[CutClip | Problem]:
    """Makes the clips of one video; one examining and one reading pass, however many clips there are.

    Args:
        source: The video.
        audio: Its audio when that is a file of its own.
        cuts: All clips of this video that are to be made.
        folder: Where they go, as ``ID.mkv``.
        fps: Frames per second.
        size: Width and height of the clips.
        quality: Of the only encoding.

    Yields:
        Each clip as soon as it is written, and each problem; a broken video gives one problem per unfinished clip.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    try:
        pair = load_pair(source, audio, fps=Fraction(fps), limits=SOURCE_LIMITS)
    except ClipError as error:
        yield from (problem_of(error, cut.id) for cut in cuts)
        return
    jobs: list[_Job] = []
    for cut in cuts:
        planned = _job_or_problem(cut, pair, fps=fps)
        if isinstance(planned, Problem):
            yield planned
            continue
        jobs.append(planned)
        if planned.n_frames < cut.n_frames:
            reason = f"expected {cut.n_frames / fps:.2f} s, the video ends after {planned.n_frames / fps:.2f} s of it"
            yield Problem("shortened", cut.id, reason)
    yield from _write_all(pair, sorted(jobs, key=lambda job: job.cut.start), folder, size=size, quality=quality)


def _job_or_problem(cut: ClipCut, pair: MediaPair, *, fps: int) -> _Job | Problem:
    spec = pair.video.spec
    n_frames = available_frames(cut, n_frames=spec.n_frames, fps=fps)
    if n_frames == 0:
        reason = f"expected {cut.start / fps:g} s to {cut.end / fps:g} s, video and audio end at {spec.seconds:.2f} s"
        return Problem("too_short", cut.id, reason)
    annotated, odd = annotated_height(cut.window, cut.video.height)
    window = window_in(cut.window, annotated=annotated, width=spec.width, height=spec.height)
    if window is None:
        reason = f"expected a window inside {spec.width} x {spec.height}, found {cut.window} at height {annotated}"
        return Problem("crop_outside", cut.id, reason)
    notes = [odd] if odd else []
    if annotated not in (None, spec.height):
        notes.append(f"window scaled from a height of {annotated} to {spec.height}")
    return _Job(cut=cut, n_frames=n_frames, window=window, notes=(*notes, *pair.notes))


def _write_all(
    pair: MediaPair, jobs: list[_Job], folder: Path, *, size: int, quality: Quality
) -> Iterator[CutClip | Problem]:
    waiting = list(jobs)
    writing: list[_OpenClip] = []
    at = 0
    pieces = pair.video.open()
    try:
        while waiting or writing:
            piece = next(pieces, None)
            if piece is None:
                raise DecodeError("the video ended early", expected=f"{pair.video.spec.n_frames} frames", found=f"{at}")
            while waiting and waiting[0].cut.start < at + len(piece):
                job = waiting.pop(0)
                target = folder / f"{job.cut.id}.mkv"
                fps = pair.video.spec.fps
                writing.append(_OpenClip(job, target, pair.audio, size=size, fps=fps, quality=quality))
            for clip in list(writing):
                first = max(0, clip.job.cut.start - at)
                last = min(len(piece), clip.job.cut.start + clip.job.n_frames - at)
                if clip.add(piece[first:last]):
                    writing.remove(clip)
                    yield clip.finish()
            at += len(piece)
    except ClipError as error:
        unfinished = [*(clip.job for clip in writing), *waiting]
        for clip in writing:
            clip.give_up(error)
        writing = []
        yield from (problem_of(error, job.cut.id) for job in unfinished)
    except BaseException as error:
        for clip in writing:
            clip.give_up(error)
        raise
    finally:
        close = getattr(pieces, "close", None)  # ends the decoding process at once
        if close is not None:
            close()
