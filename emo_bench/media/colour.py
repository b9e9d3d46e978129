"""What is assumed about colours that a stream does not state, and what is not converted; numbers are FFmpeg's."""

from __future__ import annotations

from emo_bench.media.notes import Note

HD_SHORTER_SIDE = 720
"""From this length of the shorter side on, an untagged frame is taken for BT.709, below for BT.601."""

STATED_MATRICES = frozenset({1, 4, 5, 6, 7, 9, 10})
"""BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020 (both) are converted as stated; others count as unstated."""

_UNSTATED = frozenset({0, 2, 3})
"""RGB, which no frame with a matrix has; unspecified; reserved."""

_HDR = {16: "PQ", 18: "HLG"}
_WITHOUT_MATRIX = ("rgb", "bgr", "gbr", "argb", "abgr", "gray", "pal8", "mono", "ya8", "ya16")


def is_gray(pixel_format: str | None) -> bool:
    """Whether a pixel format has no colours.

    >>> is_gray("gray10le"), is_gray("yuv420p")
    (True, False)
    """
    return (pixel_format or "").startswith(("gray", "mono", "ya8", "ya16"))


def colour_notes(*, pixel_format: str | None, matrix: int, transfer: int, size: tuple[int, int]) -> tuple[Note, ...]:
    """The matrix that is assumed, and a transfer curve that is not converted.

    >>> [str(note) for note in colour_notes(pixel_format="yuv420p", matrix=2, transfer=2, size=(1920, 1080))]
    ['the video does not state its colour matrix: BT.709 assumed (shorter side 1080, HD)']
    """
    notes = []
    if matrix not in STATED_MATRICES and pixel_format and not pixel_format.startswith(_WITHOUT_MATRIX):
        side = min(size)
        hd = side >= HD_SHORTER_SIDE
        name, kind = ("BT.709", "HD") if hd else ("BT.601", "SD")
        unknown = "the video does not state its colour matrix"
        if matrix not in _UNSTATED:
            unknown = f"the colour matrix that the video states (number {matrix} of ITU-T H.273) is not converted"
        text = f"{unknown}: {name} assumed (shorter side {side}, {kind})"
        # Two codes, so that lists of notes by code never give one assumption for the other.
        notes.append(Note("hd_matrix_assumed" if hd else "matrix_assumed", text, {"shorter_side": side}))
    if transfer in _HDR:
        text = f"HDR ({_HDR[transfer]}): not converted to standard range, so colours look flat"
        notes.append(Note("hdr", text))
    return tuple(notes)
