"""Motion and warp on made-up faces: known movements come back, lips meet, lids close, turns are limited."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from emo_bench.data.labels import mouth_opening
from emo_bench.data.reenacted.blinks import seeded_blinks
from emo_bench.data.reenacted.motion import (
    MotionRules,
    driver_motion,
    lip_gap,
    move_portrait,
    similarity,
    with_closed_lips,
)
from emo_bench.data.reenacted.points import (
    INNER_LIPS,
    LIDS,
    LOWER_INNER,
    LOWER_OUTER,
    OVAL,
    RIGID,
    UPPER_INNER,
    UPPER_OUTER,
)
from emo_bench.data.reenacted.warp import MouthTone, Warp, full_flow, render, warped

SIZE = 128


def face(*, centre: float = 64.0, width: float = 50.0, gap: float = 0.0) -> np.ndarray:
    """Points of a rough face, ``[478, 3]`` pixels: an oval, eyes and lips where they belong, the rest spread out."""
    rng = np.random.default_rng(5)
    points = rng.uniform(-0.3, 0.3, (478, 3)) * width
    angle = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL)] = np.stack([np.sin(angle) * 0.5, -np.cos(angle) * 0.65, 0 * angle], 1) * width
    for (upper, lower), side in zip(LIDS, (-1, 1), strict=True):
        along = np.linspace(-0.08, 0.08, 5)
        points[list(upper)] = np.stack([along + 0.2 * side, 0 * along - 0.2, 0 * along], 1) * width
        points[list(lower)] = np.stack([along + 0.2 * side, 0 * along - 0.14, 0 * along], 1) * width
    across = np.linspace(-0.16, 0.16, 9)
    for row, height in ((UPPER_INNER, 0.3), (LOWER_INNER, 0.3), (UPPER_OUTER, 0.26), (LOWER_OUTER, 0.35)):
        points[list(row)] = np.stack([across, 0 * across + height, 0 * across], 1) * width
    points[list(LOWER_INNER), 1] += gap
    points[list(LOWER_OUTER), 1] += gap
    points[[10, 152]] = np.array([[0, -0.65, 0], [0, 0.65, 0]]) * width
    points[:, :2] += centre
    return points


def speaking(n: int = 12) -> np.ndarray:
    """A driver whose mouth opens, whose eyes close once and whose head turns, ``[n, 478, 3]``."""
    frames = []
    for t in range(n):
        points = face(width=60, gap=6 * np.sin(np.pi * t / (n - 1)) ** 2)
        if t == n // 2:
            for upper, lower in LIDS:
                points[list(upper)] = points[list(lower)] + np.array([0, -0.2, 0])
        turn = cv2.Rodrigues(np.array([0.0, np.deg2rad(2.0 * t), 0.0]))[0]
        frames.append((points - 64) @ turn.T + 64)
    return np.stack(frames)


def test_a_similarity_comes_back() -> None:
    points = face()
    turn = cv2.Rodrigues(np.array([0.1, -0.2, 0.3]))[0]
    scale, found, move = similarity(points, 1.3 * points @ turn.T + 5)
    assert scale == pytest.approx(1.3)
    np.testing.assert_allclose(found, turn, atol=1e-9)
    np.testing.assert_allclose(move, 5, atol=1e-6)


def test_pose_and_expression_are_told_apart() -> None:
    points = speaking()
    motion = driver_motion(points, np.ones(len(points), bool))
    still = np.abs(motion.expression[:, list(RIGID)]).max()
    assert still < 0.5
    angle = np.rad2deg(np.linalg.norm(motion.rotation, axis=1))
    assert np.ptp(angle) == pytest.approx(22, abs=3)
    assert motion.eyes[6].max() < 0.2
    assert lip_gap(motion.neutral) < 0.1


def moved(gap: float = 0.0, **options: float):
    points = speaking()
    motion = driver_motion(points, np.ones(len(points), bool))
    given = {"opening": 1.0, "turning": 1.0, **options}
    rules = MotionRules()
    return points, move_portrait(face(gap=gap), motion, np.arange(len(points)), rules=rules, **given)


def test_a_portrait_speaks_like_its_driver() -> None:
    points, found = moved()
    np.testing.assert_allclose(lip_gap(found.points), lip_gap(points) * 50 / 60, atol=0.6)
    wider = moved(opening=1.3)[1]
    assert lip_gap(wider.points).max() > 1.2 * lip_gap(found.points).max()
    for upper, lower in LIDS:
        lids = np.linalg.norm(found.points[6, list(upper)] - found.points[6, list(lower)], axis=1)
        assert lids.max() < 0.15 * 3.0


def test_lips_that_are_apart_in_the_still_close() -> None:
    smiling = face(gap=4.0)
    assert lip_gap(with_closed_lips(smiling)) == pytest.approx(0.0, abs=1e-9)
    found = moved(gap=4.0)[1]
    assert lip_gap(found.points)[0] < 0.5
    for points in found.points:
        assert (points[list(LOWER_INNER), 1] >= points[list(UPPER_INNER), 1] - 1.5).all()


def test_turns_are_limited() -> None:
    found = moved(turning=4.0)[1]
    angles = [np.rad2deg(np.linalg.norm(cv2.Rodrigues(turn)[0])) for turn in found.rotation]
    rules = MotionRules()
    assert rules.turn_limit < max(angles) < rules.turn_limit + rules.turn_beyond * 4 * 22


def test_the_warp_keeps_a_still_face_and_follows_a_shift() -> None:
    points = face()
    warp = Warp(points, SIZE)
    np.testing.assert_allclose(warp.flow(points, points), 0, atol=1e-3)
    shifted = points + np.array([3.0, 0, 0])
    flow = full_flow(warp.flow(shifted, shifted), SIZE)
    assert flow[70, 66] == pytest.approx([-3, 0], abs=0.5)
    assert np.abs(flow[0]).max() < 0.5
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[66:74, 60:68] = 255
    row = warped(image, warp.flow(shifted, shifted))[70, :, 0].astype(float)
    assert (row * np.arange(SIZE)).sum() / row.sum() == pytest.approx(66.5, abs=0.7)


def test_the_open_mouth_is_the_drivers_in_the_colours_of_the_portrait() -> None:
    points, found = moved()
    image = np.full((SIZE, SIZE, 3), (150, 110, 90), np.uint8)
    frames = np.full((len(points), 160, 160, 3), 200, np.uint8)
    for frame, row in zip(frames, points, strict=True):
        cv2.fillPoly(frame, [row[list(INNER_LIPS), :2].astype(np.int32)], (10, 10, 10))
    drawn = render(image, face(), found, frames, points)
    widest = int(lip_gap(found.points).argmax())
    inside = found.points[widest][[13, 14], :2].mean(0).round().astype(int)
    assert drawn.frames[widest][inside[1], inside[0]].max() < 70
    assert drawn.frames[0][inside[1], inside[0]].min() > 80
    assert drawn.flow.shape == (len(points), 64, 64, 2)


def test_teeth_do_not_glow() -> None:
    dim = np.full((SIZE, SIZE, 3), (90, 60, 40), np.uint8)
    bright = np.full((SIZE, SIZE, 3), (220, 190, 170), np.uint8)
    tone = MouthTone(dim, face(), bright, face())
    teeth = tone(np.full((1, 1, 3), 250, np.float32))[0, 0]
    assert teeth.mean() < 110
    assert teeth[0] > teeth[2]
    grey = MouthTone(np.full_like(dim, 90), face(), bright, face())
    assert np.ptp(grey(np.array([[[200, 90, 80]]], np.float32))[0, 0]) < 1e-3


def test_the_hollow_of_a_mouth_is_dark_red_and_not_black() -> None:
    skin = np.full((SIZE, SIZE, 3), (180, 140, 120), np.uint8)
    tone = MouthTone(skin, face(), skin, face())
    red, green, blue = tone(np.zeros((1, 1, 3), np.float32))[0, 0]
    assert red > 1.5 * green > 1.5 * blue > 15
    assert red < 0.4 * 180


def test_seeded_blinks_have_the_rate_asked_for_and_close_the_lids() -> None:
    opened = seeded_blinks(25 * 60 * 40, np.random.default_rng(1), per_minute=15)
    closed = opened < 0.45
    assert (closed[1:] & ~closed[:-1]).sum() / 40 == pytest.approx(15, abs=1.5)
    assert opened.min() < 0.1
    for never in (0.0, 5e-324, 1e-300):
        assert (seeded_blinks(50, np.random.default_rng(1), per_minute=never) == 1).all()
    lids = np.ones(12)
    lids[3] = 0.03
    found = moved(lids=lids)[1]
    assert found.eyes[3].max() <= 0.03
    assert found.eyes[2].min() > 0.5
    for upper, lower in LIDS:
        gap = np.linalg.norm(found.points[3, list(upper)] - found.points[3, list(lower)], axis=1)
        assert gap.max() < 0.2


def test_a_tracker_that_trembles_does_not_make_the_head_tremble() -> None:
    points = np.stack([face(width=60)] * 40)
    noise = np.random.default_rng(3).normal(0, np.deg2rad(1.0), 40)
    turns = [cv2.Rodrigues(np.array([0.0, angle, 0.0]))[0] for angle in noise]
    turned = np.stack([(p - 64) @ turn.T + 64 for p, turn in zip(points, turns, strict=True)])
    rotation = driver_motion(turned, np.ones(40, bool)).rotation
    assert np.abs(np.diff(rotation[:, 1])).mean() < 0.3 * np.abs(np.diff(noise)).mean()


def test_opening_is_a_share_of_the_head() -> None:
    points = np.zeros((2, 68, 2))
    points[:, 8] = (0, 50)
    points[1, [65, 66, 67]] = (0, 10)
    np.testing.assert_allclose(mouth_opening(points), [0, 0.2], atol=1e-6)
