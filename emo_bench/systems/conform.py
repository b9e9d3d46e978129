"""Brings what a system returned to the size and length that the suite compares at."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from emo_bench.media.notes import Note
from emo_bench.media.recipe import OtherLength, OtherSize, derived
from emo_bench.media.types import PIECE_LENGTH, Audio, FrameArray, Video, VideoSpec
from emo_core.errors import GenerationError

if TYPE_CHECKING:
    from emo_bench.systems.system import GenerationRequest

ASPECT_TOLERANCE = 0.02
BACKWARD_BYTES = 32 << 20
"""Images that are held at a time while a video is played backwards."""


def fit_audio(audio: Audio, *, n_samples: int) -> Audio:
    """Repeats or cuts audio to ``n_samples``.

    >>> fit_audio(Audio(np.array([1, 2, 3], np.float32), 16000), n_samples=5).samples.tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0]
    """
    if len(audio.samples) == 0:
        raise GenerationError("the other clip's audio is empty", expected="at least one sample", found="none")
    return Audio(np.resize(audio.samples, n_samples), audio.rate)


def fit_length(video: Video, *, n_frames: int) -> Video:
    """Cuts a video, or plays it forth and back, until it has ``n_frames``.

    Either way it is read piece by piece: memory does not grow with its length. Backwards it is read once more for every
    ``BACKWARD_BYTES`` of images.
    """
    spec = VideoSpec(width=video.spec.width, height=video.spec.height, fps=video.spec.fps, n_frames=n_frames)
    recipe = derived(video, lambda of: OtherLength(of=of, how="fit", n_frames=n_frames))
    if video.spec.n_frames == n_frames:
        return video
    if video.spec.n_frames > n_frames:
        return Video(spec, lambda: _first(video, n_frames), recipe)
    return Video(spec, lambda: _forth_and_back(video, n_frames), recipe)


def hold_last(video: Video, *, n_frames: int) -> Video:
    """A video whose last frame is shown until there are ``n_frames``."""
    spec = VideoSpec(width=video.spec.width, height=video.spec.height, fps=video.spec.fps, n_frames=n_frames)
    recipe = derived(video, lambda of: OtherLength(of=of, how="hold", n_frames=n_frames))
    return Video(spec, lambda: _held(video, n_frames), recipe)


MOST_CHANGED = 0.5
"""Share of a clip's frames that a change of length may concern at most, whatever the tolerance: clips may be short."""


def conform_length(
    video: Video, *, n_frames: int, tolerance_s: float, option: str = "length_tolerance_s"
) -> tuple[Video, tuple[Note, ...]]:
    """A finished output as long as its audio: a longer one is cut, the last frame of a shorter one is held.

    Args:
        video: The output, at the wanted frame rate.
        n_frames: Frames that the audio asks for.
        tolerance_s: How many seconds the output may be shorter or longer.
        option: Where the user sets the tolerance; the error names it.

    Returns:
        The video, and a note when its length was changed.

    Raises:
        GenerationError: when the difference is larger.
    """
    found, fps = video.spec.n_frames, video.spec.fps
    if found == n_frames:
        return video, ()
    tolerance = min(round(tolerance_s * fps), int(n_frames * MOST_CHANGED))
    if found < 1 or abs(found - n_frames) > tolerance:
        raise GenerationError(
            "the video is not as long as the audio",
            expected=f"{n_frames} frames, give or take {tolerance}",
            found=f"{found} frames ({(found - n_frames) / float(fps):+.2f} s)",
            fix=f"generate it again from the whole audio, or raise {option} (now {tolerance_s:g}; half a clip at most)",
        )
    how = f"the last {found - n_frames} cut" if found > n_frames else f"the last one held for {n_frames - found}"
    note = Note("length", f"length {found} -> {n_frames} frames, {how}", {"found": found, "wanted": n_frames})
    if found > n_frames:
        return fit_length(video, n_frames=n_frames), (note,)
    return hold_last(video, n_frames=n_frames), (note,)


def size_notes(video: Video, request: GenerationRequest) -> tuple[Note, ...]:
    """A note when a finished output does not have the wanted size; ``resize_video`` gives it that."""
    spec, (width, height) = video.spec, (request.width, request.height)
    if request.any_size or (spec.width, spec.height) == (width, height):
        return ()
    amounts = {"found_width": spec.width, "found_height": spec.height}
    return (Note("resized", f"size {spec.width}x{spec.height} -> {width}x{height}", amounts),)


def _held(video: Video, n_frames: int) -> Iterator[FrameArray]:
    """All frames, then the last one again up to ``n_frames``."""
    last: FrameArray | None = None
    left = n_frames
    for piece in video.open():
        yield piece
        left -= len(piece)
        last = np.array(piece[-1:])
    while left > 0 and last is not None:
        count = min(left, PIECE_LENGTH)
        yield np.repeat(last, count, axis=0)
        left -= count


def _first(video: Video, n_frames: int) -> Iterator[FrameArray]:
    left = n_frames
    for piece in video.open():
        yield piece[:left]
        left -= min(left, len(piece))
        if left == 0:
            return


def _forth_and_back(video: Video, n_frames: int) -> Iterator[FrameArray]:
    """Frames 0 .. n-1, n-2 .. 1, 0 .. n-1 and so on: the ends are not shown twice."""
    left = n_frames
    while left > 0:
        for part in (video.open(), _backwards(video)):
            for piece in part:
                yield piece[:left]
                left -= min(left, len(piece))
                if left == 0:
                    return


def _backwards(video: Video) -> Iterator[FrameArray]:
    """The inner frames of a video from last to first; all of its one frame when there is no more."""
    spec = video.spec
    block = max(PIECE_LENGTH, BACKWARD_BYTES // (spec.width * spec.height * 3))
    end = spec.n_frames - 1
    while end > 1:
        start = max(1, end - block)
        frames = _between(video, start, end)[::-1]
        for at in range(0, len(frames), PIECE_LENGTH):
            yield frames[at : at + PIECE_LENGTH]
        end = start


def _between(video: Video, start: int, end: int) -> FrameArray:
    parts: list[FrameArray] = []
    seen = 0
    for piece in video.open():
        parts.append(np.array(piece[max(0, start - seen) : max(0, end - seen)]))
        seen += len(piece)
        if seen >= end:
            break
    return np.concatenate(parts)


def resize_video(video: Video, *, width: int, height: int, crop: bool = False) -> Video:
    """Resizes with Pillow's antialiased bicubic filter; does nothing when the size is right already.

    Args:
        video: The source.
        width: Wanted width in pixels.
        height: Wanted height in pixels.
        crop: Cut the source around its centre to the wanted aspect ratio first.

    Raises:
        GenerationError: when the aspect ratio differs by more than 2 % and ``crop`` is off.
    """
    spec = video.spec
    if (spec.width, spec.height) == (width, height):
        return video
    box = _centre_box(spec, width / height)
    stretch = (spec.width / spec.height) / (width / height)
    if not crop and abs(stretch - 1) > ASPECT_TOLERANCE:
        raise GenerationError(
            "the video has another aspect ratio than the ground truth",
            expected=f"{width}x{height} or a multiple",
            found=f"{spec.width}x{spec.height}",
            fix="let the system keep the portrait's framing, or set media.size in the suite",
        )
    area = box if crop else (0.0, 0.0, float(spec.width), float(spec.height))

    def pieces() -> Iterator[FrameArray]:
        from PIL import Image

        for piece in video.open():
            resized = [
                Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC, box=area) for frame in piece
            ]
            yield np.stack([np.asarray(image, dtype=np.uint8) for image in resized])

    target = VideoSpec(width=width, height=height, fps=spec.fps, n_frames=spec.n_frames)
    recipe = derived(video, lambda of: OtherSize(of=of, width=width, height=height, crop=crop))
    return Video(target, pieces, recipe)


def _centre_box(spec: VideoSpec, aspect: float) -> tuple[float, float, float, float]:
    width = min(float(spec.width), spec.height * aspect)
    height = min(float(spec.height), spec.width / aspect)
    left, top = (spec.width - width) / 2, (spec.height - height) / 2
    return (left, top, left + width, top + height)


def moved_box(
    box: tuple[float, float, float, float], *, source: tuple[int, int], target: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Where a box lies after ``resize_video(..., crop=True)``.

    Args:
        box: Left, top, right, bottom in pixels of the source.
        source: Width and height before.
        target: Width and height after.

    >>> moved_box((100.0, 50.0, 200.0, 150.0), source=(400, 200), target=(100, 100))
    (0.0, 25.0, 50.0, 75.0)
    """
    spec = VideoSpec(width=source[0], height=source[1], fps=Fraction(1), n_frames=0)
    left, top, right, bottom = _centre_box(spec, target[0] / target[1])
    x, y = target[0] / (right - left), target[1] / (bottom - top)
    return ((box[0] - left) * x, (box[1] - top) * y, (box[2] - left) * x, (box[3] - top) * y)


def checked(video: Video, *, n_frames: int) -> Iterator[FrameArray]:
    """Reads a system's video and holds it to the contract: type, shape and exact number of frames.

    Raises:
        GenerationError: at the first piece that breaks it.
    """
    seen = 0
    shape = (video.spec.height, video.spec.width, 3)
    for piece in video.open():
        if piece.dtype != np.uint8 or piece.shape[1:] != shape:
            raise GenerationError(
                "the system returned frames of the wrong form",
                expected=f"uint8 {shape}",
                found=f"{piece.dtype} {piece.shape[1:]}",
            )
        seen += len(piece)
        yield piece
    if seen != n_frames:
        raise GenerationError(
            "the video is not as long as the audio", expected=f"{n_frames} frames", found=f"{seen} frames"
        )
