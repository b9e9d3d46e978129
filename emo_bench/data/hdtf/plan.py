"""Pure arithmetic: which clips are cut out of which frames and which window."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from emo_bench.data.hdtf.annotations import AnnotatedVideo, CropWindow
from emo_bench.data.prepare.report import Problem
from emo_bench.data.prepare.resize import Window

USUAL_HEIGHTS = (360, 480, 720, 1080, 1440, 2160)
SHORTEST_REST = 3.0
"""Seconds; less of an interval than this is not worth a clip when the video ends early."""
ROUNDING = 2
"""Pixels by which a scaled window may leave the image before that is an error."""


@dataclass(frozen=True, kw_only=True)
class ClipCut:
    """One clip to be made.

    Attributes:
        id: For example WDA_AdamSchiff_000, or WDA_AdamSchiff_000-02 when intervals are divided.
        video: Where it comes from.
        number: Of the interval, from 0.
        start: First frame at the wanted frame rate.
        n_frames: How many frames.
        fixed: Whether the length was asked for; such a clip is never shortened.
        window: As annotated.
    """

    id: str
    video: AnnotatedVideo
    number: int
    start: int
    n_frames: int
    fixed: bool
    window: CropWindow

    @property
    def end(self) -> int:
        """The frame after the last one."""
        return self.start + self.n_frames


def plan_clips(
    video: AnnotatedVideo, *, fps: int, clip_seconds: float | None, clips_per_video: int | None
) -> tuple[list[ClipCut], list[Problem]]:
    """All clips of a video, in order.

    Args:
        video: The annotations.
        fps: Frames per second of the clips.
        clip_seconds: Length of every clip; intervals are divided into such pieces and the rest is left out. None
            takes each interval as one clip.
        clips_per_video: At most so many, the first ones.

    Returns:
        The clips, and the intervals that give none.
    """
    cuts: list[ClipCut] = []
    problems: list[Problem] = []
    for number, interval in enumerate(video.intervals):
        name = f"{video.part}_{video.name}_{number:03d}"
        window = video.windows.get(number)
        if window is None:
            problems.append(
                Problem("no_crop", name, f"expected a line {video.name}_{number} in {video.part}_crop_wh.txt")
            )
            continue
        start, end = (round(seconds * fps) for seconds in (interval.start, interval.end))
        length = end - start if clip_seconds is None else max(1, round(clip_seconds * fps))
        count = (end - start) // length
        if count == 0:
            reason = f"expected {clip_seconds} s, the interval has {interval.end - interval.start:g} s"
            problems.append(Problem("too_short", name, reason))
        cuts.extend(
            ClipCut(
                id=name if clip_seconds is None else f"{name}-{piece:02d}",
                video=video,
                number=number,
                start=start + piece * length,
                n_frames=length,
                fixed=clip_seconds is not None,
                window=window,
            )
            for piece in range(count)
        )
    return cuts[:clips_per_video], problems


def available_frames(cut: ClipCut, *, n_frames: int, fps: int) -> int:
    """How many frames of a cut a video of ``n_frames`` has; 0 when too few for a clip."""
    there = min(cut.end, n_frames) - cut.start
    if there >= cut.n_frames:
        return cut.n_frames
    return there if not cut.fixed and there >= SHORTEST_REST * fps else 0


def annotated_height(window: CropWindow, height: int | None) -> tuple[int | None, str]:
    """The image's height that a window refers to, and what is odd about it.

    Some published windows are larger than their published resolution, so they were drawn on a larger image: the
    smallest usual height that holds them is taken.

    >>> annotated_height(CropWindow(x=389, y=0, width=776, height=776), 720)[0]
    1080
    """
    if height is None:
        return None, "no resolution is listed: the window is taken as it stands"
    low = window.y + window.height
    if low <= height:
        return height, ""
    larger = next((usual for usual in USUAL_HEIGHTS if usual >= low), low)
    return larger, f"the window ends at row {low} of a listed height of {height}: taken as drawn at {larger}"


def window_in(window: CropWindow, *, annotated: int | None, width: int, height: int) -> Window | None:
    """A window in pixels of the video at hand, or None when it leaves the image.

    It is scaled by the ratio of the heights; up to two pixels of rounding are moved inside.

    >>> window_in(CropWindow(x=608, y=0, width=726, height=726), annotated=1080, width=1280, height=720)
    (405, 0, 484, 484)
    """
    scale = Fraction(height, annotated) if annotated else Fraction(1)
    left, top = round(window.x * scale), round(window.y * scale)
    wide, high = max(1, round(window.width * scale)), max(1, round(window.height * scale))
    if left + wide > width + ROUNDING or top + high > height + ROUNDING:
        return None
    wide, high = min(wide, width), min(high, height)
    return min(left, width - wide), min(top, height - high), wide, high
