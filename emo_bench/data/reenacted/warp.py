"""Renders the frames of a re-enactment: the portrait warped to its moved points, the driver's open mouth blended in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.reenacted.motion import MovedPoints, Points, lip_gap
from emo_bench.data.reenacted.points import CONTROL, INNER_LIPS, OVAL, SKIN

Image = NDArray[np.uint8]
Pixels = NDArray[np.float32]
FLOW_SIDE = 64
"""Rows and columns of the flow; with 32 eyelids of a small image do not close."""
_SMOOTHING = 0.1
_HAIR = 1.25
"""How far outside of the face's oval the ring lies that carries the hair."""
_HAIR_MOVES = 0.8
_BORDER_POINTS = 7
_HOLLOW = np.array([0.30, 0.14, 0.12])
"""Colour of the unlit inside of a mouth as shares of the skin's lightness."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """A re-enactment.

    Attributes:
        frames: ``uint8 RGB [T, S, S, 3]``.
        flow: ``float32 [T, 64, 64, 2]``: frame(x) = portrait(x + flow(x)), in pixels, outside of the open mouth.
    """

    frames: Image
    flow: Pixels


class Warp:
    """Backward displacement by radial basis functions (linear kernel) on a grid.

    Args:
        portrait: ``[478, 3]`` pixels.
        size: Side of the square image.
    """

    def __init__(self, portrait: Points, size: int) -> None:
        oval = portrait[list(OVAL), :2]
        middle = portrait[[1, 168, 152, 10], :2].mean(0)
        ring = middle + (oval - middle) * _HAIR
        edge = np.linspace(0, size - 1, _BORDER_POINTS)
        border = [(x, y) for x in edge for y in edge if {x, y} & {0.0, float(size - 1)}]
        shoulders = [(x, size - 1 - 0.03 * size) for x in edge]
        self._oval, self._size = oval, size
        self._kept = ((ring > 0.025 * size) & (ring < 0.97 * size)).all(1)
        self._ring = ring[self._kept]
        self._fixed = np.array(border + shoulders)
        self._source = np.concatenate([portrait[list(CONTROL), :2], oval, self._ring, self._fixed])
        x, y = np.meshgrid(np.linspace(0, size - 1, FLOW_SIDE), np.linspace(0, size - 1, FLOW_SIDE))
        self._grid = np.stack([x.ravel(), y.ravel()], 1)

    def flow(self, points: Points, rigid: Points) -> Pixels:
        """``float32 [64, 64, 2]`` for the points ``[478, 3]`` of one frame."""
        ring = self._ring + _HAIR_MOVES * (rigid[list(OVAL), :2] - self._oval)[self._kept]
        target = np.concatenate([points[list(CONTROL), :2], points[list(OVAL), :2], ring, self._fixed])
        n = len(target)
        system = np.zeros((n + 1, n + 1))
        system[:n, :n] = np.eye(n) * _SMOOTHING * self._size / 128 - _distances(target, target)
        system[:n, n] = system[n, :n] = 1
        weights = np.linalg.solve(system, np.concatenate([self._source - target, np.zeros((1, 2))]))
        field = weights[n] - _distances(self._grid, target) @ weights[:n]
        # Rounded, so that another order of summation in the solver gives the same image.
        return np.asarray(np.round(field * 1024) / 1024, np.float32).reshape(FLOW_SIDE, FLOW_SIDE, 2)


def _distances(a: Points, b: Points) -> Points:
    squares: Points = (-2 * a) @ b.T  # large: the rest is done in place
    squares += np.square(a).sum(1)[:, None]
    squares += np.square(b).sum(1)
    np.maximum(squares, 0, out=squares)
    return np.sqrt(squares, out=squares)


def full_flow(flow: Pixels, size: int) -> Pixels:
    """The kept flow at every pixel, ``float32 [size, size, 2]``; first and last rows are the image's borders."""
    import cv2

    at = np.linspace(0, FLOW_SIDE - 1, size, dtype=np.float32)
    x, y = np.meshgrid(at, at)
    return np.asarray(cv2.remap(flow, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)


def warped(image: Image, flow: Pixels) -> Image:
    """``image`` ``uint8 [S, S, 3]`` read at x + flow(x)."""
    import cv2

    size = len(image)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    moved = full_flow(flow, size)
    return np.asarray(
        cv2.remap(image, x + moved[..., 0], y + moved[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def render(image: Image, portrait: Points, moved: MovedPoints, driver_frames: Image, driver_points: Points) -> Rendered:
    """Draws all frames.

    Args:
        image: The portrait, ``uint8 RGB [S, S, 3]``.
        portrait: Its points in pixels, ``[478, 3]``.
        moved: From ``move_portrait``.
        driver_frames: The driver's frames, ``uint8 RGB [T, h, w, 3]``.
        driver_points: Their points in pixels, ``[T, 478, 3]``.
    """
    warp = Warp(portrait, len(image))
    middle = len(driver_frames) // 2
    tone = MouthTone(image, portrait, driver_frames[middle], driver_points[middle])
    frames, flows = np.zeros((len(driver_frames), *image.shape), np.uint8), []
    for row, frame in enumerate(driver_frames):
        flows.append(warp.flow(moved.points[row], moved.rigid[row]))
        moved_image = warped(image, flows[-1])
        frames[row] = _with_mouth(moved_image, moved.points[row], frame, driver_points[row], tone)
    return Rendered(frames, np.stack(flows))


class MouthTone:
    """Brings the inside of a driver's mouth into the colours of a portrait.

    The gain is that of the skin, limited; a grey portrait gets a grey mouth; what would be brighter than the portrait's
    skin, teeth under a bright lamp, is held back; the hollow is a dark red, never black, as in a lit portrait.
    """

    def __init__(self, image: Image, portrait: Points, frame: Image, points: Points) -> None:
        own, other = _skin(image, portrait), _skin(frame, points)
        level = float(np.clip(own.mean() / max(other.mean(), 1.0), 0.4, 1.15))
        chroma, other_chroma = _saturation(own), _saturation(other)
        self._colour = 0.0 if chroma < 0.02 else float(np.clip(chroma / max(other_chroma, 1e-3), 0, 1))
        gain = np.clip(own / np.maximum(other, 1), 0.35, 1.3)
        self._gain = np.asarray(gain / gain.mean() * level, np.float32)
        self._grey = np.asarray(own / max(own.mean(), 1) * level, np.float32)
        self._limit = np.asarray(1.1 * np.maximum(own, 50.0), np.float32)
        hollow = self._colour * _HOLLOW + (1 - self._colour) * _HOLLOW.mean() * own / max(own.mean(), 1)
        self._hollow = np.asarray(own.mean() * hollow, np.float32)

    def __call__(self, mouth: Pixels) -> Pixels:
        """Pixels ``float32 RGB [..., 3]`` in the portrait's colours."""
        light = mouth.mean(-1, keepdims=True)
        mixed = self._colour * mouth * self._gain + (1 - self._colour) * light * self._grey
        held = np.minimum(mixed, self._limit + 0.25 * (mixed - self._limit))
        return np.asarray(np.sqrt(np.square(np.maximum(held, 0)) + np.square(self._hollow)), np.float32)


def _skin(image: Image, points: Points) -> Points:
    """Median colour of the cheeks, ``[3]``."""
    height, width = image.shape[:2]
    reach = max(2, width // 64)
    places = [
        (int(x), int(y))
        for x, y in points[list(SKIN), :2]
        if reach <= x < width - reach and reach <= y < height - reach
    ]
    patches = [image[y - reach : y + reach + 1, x - reach : x + reach + 1].reshape(-1, 3) for x, y in places]
    return np.median(np.concatenate(patches).astype(np.float64), axis=0) if patches else np.full(3, 120.0)


def _saturation(colour: Points) -> float:
    return float(colour.std() / max(colour.mean(), 1.0))


def _with_mouth(image: Image, points: Points, frame: Image, driver: Points, tone: MouthTone) -> Image:
    """Blends the driver's open mouth into the contour of the inner lips."""
    import cv2

    unit = len(image) / 128
    opening = float(lip_gap(points)) / unit
    if opening <= 1.0:
        return image
    contour = points[list(INNER_LIPS), :2].astype(np.float32)
    left, top = np.maximum(np.floor(contour.min(0) - 4 * unit).astype(int), 0)
    right, bottom = np.minimum(np.ceil(contour.max(0) + 4 * unit).astype(int) + 1, len(image))
    if right - left < 2 or bottom - top < 2:
        return image
    place = contour - np.array([left, top], np.float32)
    lips = np.concatenate([driver[list(INNER_LIPS), :2], np.ones((len(INNER_LIPS), 1))], 1)
    onto = np.linalg.lstsq(lips, place, rcond=None)[0].T
    shape = (int(right - left), int(bottom - top))
    mouth = cv2.warpAffine(frame, onto, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((shape[1] * 4, shape[0] * 4), np.uint8)
    cv2.fillPoly(mask, [np.asarray(place * 4 + 1.5, np.int32)], (255,))
    soft = cv2.GaussianBlur(cv2.resize(mask, shape, interpolation=cv2.INTER_AREA), (0, 0), 0.7 * unit)
    share = soft.astype(np.float32)[..., None] / 255 * min(opening - 1.0, 1.0)
    mixed = image.copy()
    part = mixed[top:bottom, left:right].astype(np.float32)
    mixed[top:bottom, left:right] = np.clip(part * (1 - share) + tone(mouth.astype(np.float32)) * share, 0, 255)
    return mixed
