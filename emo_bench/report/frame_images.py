"""Frames of previews, and images that put many of them side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.report.figure_style import TEXT_WIDTH, TRUTH_COLOUR, new_figure
from emo_core.errors import ClipError

FrameImage = NDArray[np.uint8]
LONGEST_SIDE = 256
LABEL_SIZE = 9
"""Points; images are printed smaller than they are made."""

WIDEST_IMAGE = 1.25
"""Inches; a few images are not blown up to the width of the page."""


@dataclass(frozen=True)
class Shot:
    """One frame of a preview.

    Attributes:
        seconds: Its time from the start.
        image: ``uint8 RGB [H, W, 3]``, at most 256 pixels a side.
    """

    seconds: float
    image: FrameImage


def shots(path: Path, choose: Callable[[int], Sequence[int]]) -> list[Shot]:
    """Some frames of a preview, read by the limited decoder, since a run may be foreign; none when it cannot be read.

    Args:
        path: The video.
        choose: From the number of frames to the indices that are wanted; those beyond the end become the last frame.
    """
    from emo_bench.media.decode import open_video

    try:
        video = open_video(path, fps=None)
        spec = video.spec
        places = [min(max(place, 0), spec.n_frames - 1) for place in choose(spec.n_frames)]
        wanted = frozenset(places)
        frames = (frame for piece in video.open() for frame in piece)
        # Copied, so that a piece of which one frame is wanted does not stay in memory.
        kept = {place: _small(frame).copy() for place, frame in enumerate(frames) if place in wanted}
    except ClipError:
        return []
    return [Shot(place / float(spec.fps), kept[place]) for place in places]


def evenly(count: int) -> Callable[[int], Sequence[int]]:
    """Indices from the first to the last frame.

    >>> evenly(3)(51)
    [0, 25, 50]
    """

    def choose(frames: int) -> list[int]:
        wanted = min(count, frames)
        return [round(i * (frames - 1) / max(1, wanted - 1)) for i in range(wanted)]

    return choose


def _small(image: FrameImage) -> FrameImage:
    """Every n-th pixel, so that a page of frames stays small."""
    step = math.ceil(max(image.shape[:2]) / LONGEST_SIDE)
    return image[::step, ::step]


@dataclass(frozen=True)
class Line:
    """A row of a mosaic.

    Attributes:
        label: What stands before it.
        images: One for each column; None leaves the place empty.
        quiet: Whether the label is grey, as those of anchors are.
    """

    label: str
    images: Sequence[FrameImage | None]
    quiet: bool = False


def mosaic(lines: Sequence[Line], heads: Sequence[str]) -> Any:
    """One figure of all images on one axis: dozens of axes would take minutes to lay out.

    Args:
        lines: Rows; at least one holds an image.
        heads: Labels of the columns.
    """
    sample = next(image for line in lines for image in line.images if image is not None)
    height, width = sample.shape[:2]
    gap = max(2, width // 40)
    across, down = len(heads), len(lines)
    canvas = np.zeros((down * (height + gap) - gap, across * (width + gap) - gap, 4), dtype=np.uint8)
    for y, line in enumerate(lines):
        for x, image in enumerate(line.images):
            if image is None:
                continue
            h, w = min(height, image.shape[0]), min(width, image.shape[1])
            top, left = y * (height + gap), x * (width + gap)
            canvas[top : top + h, left : left + w, :3] = image[:h, :w]
            canvas[top : top + h, left : left + w, 3] = 255
    inches = min(TEXT_WIDTH - 1.3, across * WIDEST_IMAGE)
    figure, axes = new_figure(inches + 1.3, 0.3 + inches * canvas.shape[0] / canvas.shape[1])
    axis = axes[0]
    axis.imshow(canvas, interpolation="nearest", aspect="equal")
    axis.set_xticks([x * (width + gap) + width / 2 for x in range(across)], list(heads))
    axis.set_yticks([y * (height + gap) + height / 2 for y in range(down)], [line.label for line in lines])
    axis.tick_params(length=0, labeltop=True, labelbottom=False, pad=4, labelsize=LABEL_SIZE)
    for label, line in zip(axis.get_yticklabels(), lines, strict=True):
        label.set_color("#6b6e77" if line.quiet else TRUTH_COLOUR)
    for side in axis.spines.values():
        side.set_visible(False)
    return figure


def with_box(image: FrameImage, box: tuple[float, float, float, float], colour: tuple[int, int, int]) -> FrameImage:
    """The image with a frame around a region, and darker outside of it.

    Args:
        image: ``uint8 RGB [H, W, 3]``.
        box: Left, top, right, bottom as fractions of the image.
        colour: Of the line.
    """
    height, width = image.shape[:2]
    left, right = (min(max(round(box[side] * width), 0), width) for side in (0, 2))
    top, bottom = (min(max(round(box[side] * height), 0), height) for side in (1, 3))
    shown: FrameImage = (image * 0.45).astype(np.uint8)
    shown[top:bottom, left:right] = image[top:bottom, left:right]
    line = max(1, width // 96)
    for y0, y1, x0, x1 in (
        (top, top + line, left, right),
        (bottom - line, bottom, left, right),
        (top, bottom, left, left + line),
        (top, bottom, right - line, right),
    ):
        shown[max(y0, 0) : y1, max(x0, 0) : x1] = colour
    return shown
