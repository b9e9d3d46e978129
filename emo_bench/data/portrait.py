"""From an image of any size to the square that a model animates, and back into the whole image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo_bench.media.types import FrameArray
from emo_core.errors import GenerationError, NoFaceError

Box = tuple[float, float, float, float]
SMALLEST_FACE = 24
"""Pixels that a face must be high; below there is no mouth to move."""

CLEARLY_LARGER = 2.0
"""The largest of several faces is taken when its area is so many times that of the next."""

SURER = 0.1
"""A face counts as turned when the detector is surer of it by that much once the image is turned back."""

UNSURE = 0.6
"""A face that the detector is less sure of is told with its place, which may be wrong."""

FEATHER = 0.1
"""Share of the square's side over which a moving face fades into the still image."""


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How weights want their portraits cut; weights know theirs.

    Attributes:
        side: Side of the square in heights of the face box (brow to chin).
        up: How far the square's centre lies above the box's, in heights of the box.
    """

    side: float = 2.3
    up: float = 0.0


@dataclass(frozen=True)
class Square:
    """The part of an image that is animated; may reach beyond the image.

    Attributes:
        left: Left edge in pixels of the image.
        top: Upper edge.
        side: Side in pixels.
    """

    left: int
    top: int
    side: int

    def cut(self, image: FrameArray) -> FrameArray:
        """The square, ``uint8 RGB [side, side, 3]``; what lies beyond the image mirrors it."""
        height, width = image.shape[:2]
        rows = _mirrored(self.top, self.side, height)
        columns = _mirrored(self.left, self.side, width)
        return np.ascontiguousarray(image[rows][:, columns])

    def paste(self, image: FrameArray, frames: Iterable[FrameArray]) -> Iterator[FrameArray]:
        """Pieces of whole images, ``uint8 RGB [T, H, W, 3]``, with the moving square faded in at its edges.

        Args:
            image: The whole image, ``uint8 RGB [H, W, 3]``.
            frames: Pieces of squares, ``uint8 RGB [T, S, S, 3]``; enlarged or reduced to the square's side.
        """
        height, width = image.shape[:2]
        x0, y0 = max(0, self.left), max(0, self.top)
        x1, y1 = min(width, self.left + self.side), min(height, self.top + self.side)
        inner = (slice(y0 - self.top, y1 - self.top), slice(x0 - self.left, x1 - self.left))
        share = self._share(height, width)[inner][..., None]
        still = image[y0:y1, x0:x1].astype(np.float32) * (1 - share)
        for piece in frames:
            whole = np.repeat(image[None], len(piece), axis=0)
            for index, frame in enumerate(piece):
                moving = _resized(frame, self.side)[inner].astype(np.float32)
                whole[index, y0:y1, x0:x1] = np.rint(still + moving * share).astype(np.uint8)
            yield whole

    def _share(self, height: int, width: int) -> NDArray[np.float32]:
        """How much of the moving square is seen, ``float32 [side, side]``; the image's own edges do not fade."""
        place = (np.arange(self.side, dtype=np.float32) + 0.5) / max(1.0, FEATHER * self.side)
        rise = np.clip(place, 0, 1)
        rise = rise * rise * (3 - 2 * rise)
        ones = np.ones_like(rise)
        left = ones if self.left <= 0 else rise
        right = ones if self.left + self.side >= width else rise[::-1]
        top = ones if self.top <= 0 else rise
        bottom = ones if self.top + self.side >= height else rise[::-1]
        share: NDArray[np.float32] = (top * bottom)[:, None] * (left * right)[None, :]
        return share


def _mirrored(start: int, count: int, length: int) -> NDArray[np.int64]:
    """Places from ``start`` on, those outside of ``length`` mirrored at its ends.

    >>> _mirrored(-2, 6, 3).tolist()
    [1, 0, 0, 1, 2, 2]
    """
    places = np.arange(start, start + count, dtype=np.int64) % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)


def square_around(box: Box, framing: Framing, *, height: int, width: int) -> Square:
    """The square that weights want around a face, moved inside the image as far as it fits.

    Args:
        box: The face, brow to chin, in pixels.
        framing: What the weights were trained on.
        height: Of the image.
        width: Of the image.
    """
    left, top, right, bottom = box
    face = bottom - top
    side = max(8, round(framing.side * face))
    x = round((left + right) / 2 - side / 2)
    y = round((top + bottom) / 2 - framing.up * face - side / 2)
    return Square(_inside(x, side, width), _inside(y, side, height), side)


def _inside(start: int, side: int, length: int) -> int:
    """Moved so that the image is left as little as possible; centred when the image is smaller."""
    if side >= length:
        return (length - side) // 2
    return min(max(start, 0), length - side)


def find_square(image: FrameArray, framing: Framing, *, face_box: Box | None = None) -> tuple[Square, list[str]]:
    """The square of an image that is to be animated, and what the user should know of the choice.

    Args:
        image: ``uint8 RGB [H, W, 3]``.
        framing: What the weights were trained on.
        face_box: Where the face is, left, top, right, bottom in pixels, brow to chin; found when absent.

    Raises:
        NoFaceError: when there is no face, unless the image is square: then it is taken as it is, with a note.
        GenerationError: when there are several faces of about one size, the face is too small, or the box outside.
    """
    height, width = image.shape[:2]
    if face_box is not None:
        return square_around(_inside_picture(face_box, image), framing, height=height, width=width), []
    box, notes = largest_face(image)
    turned = turned_by(image)
    if turned:
        notes.append(f"the face seems to be turned by {turned} degrees; turn the image if it is")
    if box is not None:
        return square_around(box, framing, height=height, width=width), notes
    if abs(height - width) <= 2:
        return Square(0, 0, min(height, width)), ["no face was found; the square image was taken as it is", *notes]
    raise NoFaceError(
        "no face was found in the portrait",
        expected="one clearly visible face, turned towards the viewer",
        found=f"one that is turned by {turned} degrees, it seems" if turned else "none",
        fix="give its place, --face-box left,top,right,bottom in pixels from brow to chin, or a square image of it",
    )


def turned_by(image: FrameArray) -> int:
    """By how many degrees clockwise a face seems to be turned: 90, 180, 270, or 0 when it is upright or there is none.

    The detector is surest of upright faces, so the image is looked at in all four positions.
    """
    from emo_models.face_detector.detect import find_faces

    sure = [
        max((face.probability for face in find_faces(np.ascontiguousarray(np.rot90(image, turns)))), default=0.0)
        for turns in range(4)
    ]
    best = int(np.argmax(sure))
    return 90 * best if sure[best] > sure[0] + SURER else 0


def largest_face(image: FrameArray) -> tuple[Box | None, list[str]]:
    """The face of an image, brow to chin in pixels, and what the user should know of the choice; None without a face.

    Args:
        image: ``uint8 RGB [H, W, 3]``.

    Raises:
        GenerationError: when there are several faces of about one size, or the face is too small.
    """
    from emo_models.face_detector.detect import find_faces

    faces = find_faces(image)
    if not faces:
        return None, []
    notes = []
    if len(faces) > 1:
        if faces[0].area < CLEARLY_LARGER * faces[1].area:
            places = "; ".join(",".join(f"{value:.0f}" for value in face.box) for face in faces[:6])
            raise GenerationError(
                "the portrait shows several faces",
                expected="one, or one that is clearly the largest",
                found=f"{len(faces)}, at {places}",
                fix="choose one: --face-box left,top,right,bottom in pixels",
            )
        notes.append(f"the image shows {len(faces)} faces; the largest speaks (--face-box chooses another)")
    if faces[0].probability < UNSURE:
        place = ",".join(f"{value:.0f}" for value in faces[0].box)
        notes.append(
            f"the face was found with little certainty, at {place}; if that is not brow to chin, the mouth will be in "
            "the wrong place (--face-box gives the right one)"
        )
    _require_room(faces[0].box)
    return faces[0].box, notes


def _require_room(box: Box) -> None:
    if box[3] - box[1] < SMALLEST_FACE:
        raise GenerationError(
            "the face is too small to speak",
            expected=f"at least {SMALLEST_FACE} pixels from brow to chin",
            found=f"{box[3] - box[1]:.0f}",
            fix="give a larger image",
        )


def _inside_picture(box: Box, image: FrameArray) -> Box:
    height, width = image.shape[:2]
    left, top, right, bottom = box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise GenerationError(
            "the face box is not inside the image",
            expected=f"left,top,right,bottom with 0 <= left < right <= {width} and 0 <= top < bottom <= {height}",
            found=",".join(f"{value:g}" for value in box),
        )
    _require_room(box)
    return box


def _resized(frame: FrameArray, side: int) -> FrameArray:
    import cv2

    if frame.shape[0] == side:
        return frame
    method = cv2.INTER_AREA if frame.shape[0] > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, (side, side), interpolation=method))
