"""Conversion between coded frames and RGB, the same everywhere: pinned swscale flags, stated colour rules."""

from __future__ import annotations

from typing import Any

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from emo_bench.media.colour import HD_SHORTER_SIDE

FLAGS = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
"""Bicubic (its kernel widens when shrinking, so it does not alias), exact rounding, chroma at full resolution, and no
arithmetic that depends on the processor."""

# AVColorSpace of the stream -> matrix of swscale; everything else counts as untagged.
_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}


def matrix_of(colorspace: int, *, width: int, height: int) -> Colorspace:
    """The YUV matrix of a frame: as tagged, else BT.709 for HD and BT.601 for smaller frames.

    >>> matrix_of(2, width=512, height=512).name, matrix_of(2, width=1080, height=1920).name
    ('ITU601', 'ITU709')
    """
    untagged = Colorspace.ITU709 if min(width, height) >= HD_SHORTER_SIDE else Colorspace.ITU601
    return _MATRIX.get(colorspace, untagged)


class RgbConverter:
    """Turns decoded frames of one stream into RGB bytes, resized on the way when asked.

    Args:
        width: Of the result, before rotation; None keeps the frame's.
        height: As ``width``.
    """

    def __init__(self, *, width: int | None = None, height: int | None = None) -> None:
        self._width = width
        self._height = height
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> VideoFrame:
        """The frame as ``rgb24`` in full range; an untagged range counts as limited."""
        colour: dict[str, Any] = {}
        if not frame.format.is_rgb:
            matrix = matrix_of(frame.colorspace, width=frame.width, height=frame.height)
            colour = {"src_colorspace": matrix, "dst_color_range": ColorRange.JPEG}
        return self._reformatter.reformat(
            frame, self._width, self._height, "rgb24", interpolation=FLAGS, threads=1, **colour
        )


def packed_bytes(frame: VideoFrame) -> bytes | memoryview:
    """The pixels of an ``rgb24`` frame without the padding at the ends of its rows."""
    plane = frame.planes[0]
    data = memoryview(plane)
    row = frame.width * 3
    if plane.line_size == row:
        return data[: row * frame.height]
    return b"".join(data[start : start + row] for start in range(0, plane.line_size * frame.height, plane.line_size))
