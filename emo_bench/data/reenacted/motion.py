"""Transfers a driver's face motion to a portrait: head pose and expression are separated and put on the other face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.reenacted.points import (
    BROWS,
    INNER_LIPS,
    JAW,
    LEFT_EYE,
    LIDS,
    LOWER_INNER,
    LOWER_OUTER,
    OUTER_LIPS,
    RIGHT_EYE,
    RIGID,
    UPPER_INNER,
    UPPER_OUTER,
    expression_weights,
)

Points = NDArray[np.float64]
_OPEN_EYE = 0.7
"""Quantile of the lids' distance that counts as an open eye."""
_POSE_SMOOTHING = 1.6
"""Standard deviation in frames of the Gaussian that smooths the head's pose."""
_BLINK = 0.45
"""Below this share of the open eye a blink is under way; it then closes the lids almost fully."""


@dataclass(frozen=True, kw_only=True)
class MotionRules:
    """How a driver's motion is put onto a portrait.

    Attributes:
        turn_limit: Degrees of head rotation that are taken as they are; of what exceeds them ``turn_beyond``.
        turn_beyond: Share of the rotation beyond the limit.
        shift_limit: Largest shift of the head as a share of the face's width.
    """

    turn_limit: float = 11.0
    turn_beyond: float = 0.2
    shift_limit: float = 0.12


@dataclass(frozen=True, eq=False)
class DriverMotion:
    """A driver's motion about its own neutral frame.

    Attributes:
        neutral: ``[478, 3]`` points of the frame with the mouth most closed.
        expression: ``[T, 478, 3]`` offsets from it, head pose removed.
        rotation: ``[T, 3]`` rotation vectors relative to it.
        shift: ``[T, 3]`` movement of the head.
        eyes: ``[T, 2]`` how far each eye is open, 1 = usual.
    """

    neutral: Points
    expression: Points
    rotation: Points
    shift: Points
    eyes: Points


def similarity(source: Points, target: Points) -> tuple[float, Points, Points]:
    """Scale, rotation and translation that take ``source`` ``[n, 3]`` onto ``target`` in the least squares' sense."""
    from_mean, to_mean = source.mean(0), target.mean(0)
    a, b = source - from_mean, target - to_mean
    U, s, Vt = np.linalg.svd(a.T @ b)
    sign = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(Vt.T @ U.T)))])
    rotation = Vt.T @ sign @ U.T
    scale = float((s * np.diag(sign)).sum() / np.square(a).sum())
    return scale, rotation, to_mean - scale * rotation @ from_mean


def lip_gap(points: Points) -> Points:
    """Distance of the inner lips' middles, in the unit of the points."""
    gap: Points = np.linalg.norm(points[..., 13, :2] - points[..., 14, :2], axis=-1)
    return gap


def driver_motion(points: Points, valid: NDArray[np.bool_]) -> DriverMotion:
    """Tells head pose from expression.

    Lips stay as they were tracked, since smoothing would cut short openings; the rest of the expression is smoothed
    lightly, the head's pose more: it moves slowly, and what trembles from frame to frame is the tracker's noise.

    Args:
        points: ``[T, 478, 3]``, any unit.
        valid: ``[T]``; frames without a face are never the neutral one.
    """
    import cv2

    lids = np.stack([_lid_gap(points, upper, lower) for upper, lower in LIDS], 1)
    cost = lip_gap(points) - 0.3 * lids.sum(1)
    neutral = points[int(np.argmin(np.where(valid, cost, np.inf)))]
    expression = np.zeros_like(points)
    rotation, shift = np.zeros((len(points), 3)), np.zeros((len(points), 3))
    centre = neutral[list(RIGID)].mean(0)
    for row, now in enumerate(points):
        scale, turn, move = similarity(neutral[list(RIGID)], now[list(RIGID)])
        expression[row] = ((now - move) @ turn) / scale - neutral
        rotation[row] = cv2.Rodrigues(turn)[0][:, 0]
        shift[row] = turn @ centre * scale + move - centre
    lips = [*INNER_LIPS, *OUTER_LIPS]
    exact = expression[:, lips].copy()
    expression = _smooth(expression)
    expression[:, lips] = exact
    opened = np.quantile(lids[valid], _OPEN_EYE, axis=0)
    return DriverMotion(neutral, expression, _calm(rotation), _calm(shift), lids / np.maximum(opened, 1e-6))


def with_closed_lips(points: Points) -> Points:
    """A portrait's points with the lips together: lower lip and jaw rise, the upper lip sinks a little."""
    closed = points.copy()
    for upper, lower, above, below in zip(UPPER_INNER, LOWER_INNER, UPPER_OUTER, LOWER_OUTER, strict=True):
        gap = points[lower] - points[upper]
        closed[[upper, above]] += 0.3 * gap
        closed[[lower, below]] -= 0.7 * gap
    closed[list(JAW)] -= 0.4 * (points[14] - points[13])
    return closed


@dataclass(frozen=True, eq=False)
class MovedPoints:
    """A portrait's points in every frame.

    Attributes:
        points: ``[T, 478, 3]`` pixels.
        rigid: The same without expression.
        rotation: ``[T, 3, 3]`` of the head, in image axes (x right, y down, z away).
        shift: ``[T, 2]`` pixels.
        eyes: ``[T, 2]`` how far the eyes are open, 0 to 1.15.
    """

    points: Points
    rigid: Points
    rotation: Points
    shift: Points
    eyes: Points


def move_portrait(
    portrait: Points,
    driver: DriverMotion,
    frames: NDArray[np.int64],
    *,
    opening: float,
    turning: float,
    lids: Points | None = None,
    rules: MotionRules,
) -> MovedPoints:
    """Puts a driver's motion onto a portrait.

    Args:
        portrait: ``[478, 3]`` pixels.
        driver: The motion.
        frames: Which of its frames.
        opening: Factor of the expression of mouth and cheeks.
        turning: Factor of the head's rotation.
        lids: How far the eyes may be open at most, ``[T]``; as the driver's when absent.
        rules: Limits.
    """
    import cv2

    scale, onto, _ = similarity(driver.neutral[list(RIGID)], portrait[list(RIGID)])
    width = float(np.linalg.norm(portrait[234] - portrait[454]))
    centre = portrait[[127, 356, 10, 152]].mean(0) + np.array([0.0, 0.0, 0.35 * width])
    lever = portrait[list(RIGID)].mean(0) - centre
    closed = with_closed_lips(portrait)
    weights = expression_weights()[:, None]
    eyes = np.clip(driver.eyes[frames], 0.0, 1.15)
    if lids is not None:
        eyes = np.minimum(eyes, lids[:, None])
    eyes = np.where(eyes < _BLINK, 0.35 * eyes, eyes)
    points, rigid = np.zeros((len(frames), *portrait.shape)), np.zeros((len(frames), *portrait.shape))
    rotation, shift = np.zeros((len(frames), 3, 3)), np.zeros((len(frames), 2))
    eye_area = [*LEFT_EYE, *RIGHT_EYE, *BROWS]
    for row, frame in enumerate(frames):
        offset = scale * driver.expression[frame] @ onto.T * weights
        now = closed + opening * offset
        now[eye_area] = (closed + offset)[eye_area]
        _keep_lips_apart(now)
        for (upper, lower), ratio in zip(LIDS, eyes[row], strict=True):
            now[list(upper)] = now[list(lower)] + (portrait[list(upper)] - portrait[list(lower)]) * ratio
        turn = _limited(driver.rotation[frame] * turning, rules)
        rotation[row] = cv2.Rodrigues(onto @ turn)[0]
        travelled = 0.8 * np.clip(
            scale * onto @ driver.shift[frame], -rules.shift_limit * width, rules.shift_limit * width
        )
        # A turn about a centre behind the face moves the face already; only the rest is shifted, and half of it.
        shift[row] = 0.5 * (travelled - 0.6 * (rotation[row] @ lever - lever))[:2]
        points[row] = (now - centre) @ rotation[row].T + centre
        rigid[row] = (portrait - centre) @ rotation[row].T + centre
        points[row, :, :2] += shift[row]
        rigid[row, :, :2] += shift[row]
    return MovedPoints(points, rigid, rotation, shift, eyes)


def _keep_lips_apart(points: Points) -> None:
    """Lips that would cross meet halfway."""
    for upper, lower in zip(UPPER_INNER, LOWER_INNER, strict=True):
        if points[lower, 1] < points[upper, 1]:
            points[[lower, upper]] = (points[lower] + points[upper]) / 2


def _limited(turn: Points, rules: MotionRules) -> Points:
    angle, limit = float(np.linalg.norm(turn)), float(np.deg2rad(rules.turn_limit))
    return turn if angle <= limit else turn * (limit + rules.turn_beyond * (angle - limit)) / angle


def _lid_gap(points: Points, upper: tuple[int, ...], lower: tuple[int, ...]) -> Points:
    gaps: Points = np.linalg.norm(points[:, list(upper), :2] - points[:, list(lower), :2], axis=-1).mean(1)
    return gaps


def _smooth(values: Points) -> Points:
    if len(values) < 3:
        return values
    smoothed = values.copy()
    smoothed[1:-1] = (values[:-2] + 2 * values[1:-1] + values[2:]) / 4
    return smoothed


def _calm(values: Points) -> Points:
    from scipy.ndimage import gaussian_filter1d

    smoothed: Points = gaussian_filter1d(values, _POSE_SMOOTHING, axis=0, mode="nearest")
    return smoothed
