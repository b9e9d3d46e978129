"""What is known about every frame: landmarks, boxes, mouth, and the file that keeps it (safetensors, written here)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdtf_synth.draw.eyes import brow_curve, eye_shape
from hdtf_synth.draw.head import axis_depth, half_width, lower_jaw, raise_jaw, skull_depth, view_of
from hdtf_synth.draw.mouth import mouth_shape
from hdtf_synth.draw.skin import relief
from hdtf_synth.exact import cosine, sine
from hdtf_synth.identity import Identity
from hdtf_synth.motion import Motion
from hdtf_synth.state import EXPRESSION_NAMES, POSE_NAMES, FrameState
from hdtf_synth.visemes import VISEME_NAMES

Point = tuple[float, float]
"""A place on the face, X and Y in head units, with the jaw where it is."""


def landmarks68(who: Identity, states: Sequence[FrameState], size: int) -> NDArray[np.float32]:
    """The 68 landmarks of T frames in iBUG order, ``float32 [T, 68, 2]``: x, y in pixels from the top left corner."""
    views = [view_of(state, size) for state in states]
    nose = _nose(who)
    places = np.asarray(
        [[*_brows(who, state), *nose, *_eyes(who, state), *_mouth(who, state)] for state in states], np.float64
    )
    X, Y = places[:, :, 0], places[:, :, 1]
    rest = np.stack([raise_jaw(row, view.jaw) for row, view in zip(Y, views, strict=True)])
    # All frames at once: the relief of a face is a sum of some twenty hills.
    Z = skull_depth(who, X, rest) + relief(who, X, rest)
    rim_x, rim_y, rim_z = _jaw(who)
    points = np.empty((len(views), 68, 2), np.float32)
    for frame, view in enumerate(views):
        points[frame, :17] = np.stack(view.project(rim_x, lower_jaw(rim_y, view.jaw), rim_z), axis=1)
        points[frame, 17:] = np.stack(view.project(X[frame], Y[frame], Z[frame]), axis=1)
    return points


@lru_cache(maxsize=8)
def _jaw(who: Identity) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The 17 points of the jaw line on the resting face: X, Y, Z in head units."""
    points = []
    for k in range(17):
        # From ear over chin to ear: an angle down the rim of the face, slightly in front of its silhouette.
        angle = -90.0 + 180.0 * (k / 16.0)
        Y = 0.02 + 0.96 * cosine(angle)
        reach = float(half_width(who, Y)) * float(np.sqrt(max(1.0 - Y * Y, 0.0)))
        share = sine(angle)
        X = reach * (0.985 if share > 0 else -0.985) * min(1.0, abs(share) * 1.35 / (abs(share) * 0.35 + 1.0))
        inside = max(reach * reach - X * X, 0.0)
        Z = axis_depth(Y) + who.depth * float(np.sqrt(inside)) / max(float(half_width(who, Y)), 0.1)
        points.append((X, Y, Z))
    rim = np.asarray(points, np.float64)
    return rim[:, 0], rim[:, 1], rim[:, 2]


def _brows(who: Identity, state: FrameState) -> list[Point]:
    points: list[Point] = []
    for side, order in ((-1.0, (0.95, 0.5, 0.0, -0.5, -0.95)), (1.0, (-0.95, -0.5, 0.0, 0.5, 0.95))):
        for u in order:
            Y = float(brow_curve(who, state, side, u))
            points.append((side * (who.eye_x + 0.01 + 0.205 * u), Y))
    return points


def _nose(who: Identity) -> list[Point]:
    tip = who.nose_length
    heights = [who.eye_y + (tip - 0.03 - who.eye_y) * k / 3.0 for k in range(4)]
    points = [(0.0, Y) for Y in heights]
    base = tip + 0.06
    points += [(who.nose_width * share, base) for share in (-0.85, -0.42, 0.0, 0.42, 0.85)]
    return points


def _eyes(who: Identity, state: FrameState) -> list[Point]:
    points: list[Point] = []
    for side in (-1.0, 1.0):
        shape = eye_shape(who, state, side)
        # Around each eye as in iBUG: the corner on the picture's left first, then over the top.
        left = 1.0 if side < 0 else -1.0
        around = [(left, 0), (0.4 * left, -1), (-0.4 * left, -1), (-left, 0), (-0.4 * left, 1), (0.4 * left, 1)]
        for u, lid in around:
            v = 0.0 if lid == 0 else float(shape.upper(u) if lid < 0 else shape.lower(u))
            Y = who.eye_y + (v - shape.tilt * u) * who.eye_width
            points.append((side * (who.eye_x + u * who.eye_width), Y))
    return points


def _mouth(who: Identity, state: FrameState) -> list[Point]:
    shape = mouth_shape(who, state)

    def at(t: float, edge: int) -> Point:
        return t * shape.half_width, float(shape.edges(t)[edge])

    outer = [at(t, 0) for t in (-1.0, -0.6, -0.25, 0.0, 0.25, 0.6, 1.0)]
    outer += [at(t, 3) for t in (0.6, 0.3, 0.0, -0.3, -0.6)]
    inner = [at(-0.9, 1), at(-0.4, 1), at(0.0, 1), at(0.4, 1), at(0.9, 1), at(0.4, 2), at(0.0, 2), at(-0.4, 2)]
    return outer + inner


def face_box(points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The box around the landmarks, widened upwards to the hairline, within the picture: x0, y0, x1, y1."""
    left, top = float(points[:, 0].min()), float(points[:, 1].min())
    right, bottom = float(points[:, 0].max()), float(points[:, 1].max())
    top -= 0.22 * (bottom - top)
    limit = float(size)
    return np.asarray([max(left, 0.0), max(top, 0.0), min(right, limit), min(bottom, limit)], np.float32)


def truth_of(who: Identity, motion: Motion, size: int) -> dict[str, NDArray[Any]]:
    """All truth arrays of a clip; names, units and shapes are those of ``make_hdtf_synth``'s documentation."""
    states = [motion.state(frame) for frame in range(len(motion.pose))]
    shapes = [mouth_shape(who, state) for state in states]
    landmarks = landmarks68(who, states, size)
    boxes = np.stack([face_box(points, size) for points in landmarks])
    column = EXPRESSION_NAMES.index
    return {
        "mouth_opening": np.asarray([shape.opening for shape in shapes], np.float32),
        "mouth_width": np.asarray([2.0 * shape.half_width for shape in shapes], np.float32),
        "mouth_rounding": np.asarray([shape.round for shape in shapes], np.float32),
        "expression": motion.expression.astype(np.float32),
        "pose": motion.pose.astype(np.float32),
        "gaze": motion.expression[:, [column("look_x"), column("look_y")]].astype(np.float32),
        "blink": motion.expression[:, [column("blink_left"), column("blink_right")]].astype(np.float32),
        "viseme": motion.viseme.astype(np.int32),
        "phoneme": motion.phoneme.astype(np.int32),
        "box": boxes,
        "landmarks68": landmarks,
    }


_KINDS = {np.dtype(np.float32): "F32", np.dtype(np.int32): "I32"}


def truth_bytes(arrays: Mapping[str, NDArray[Any]], phonemes: list[list[Any]]) -> bytes:
    """A safetensors file: arrays in order of name, and names of columns as metadata; every byte is decided here."""
    header: dict[str, Any] = {
        "__metadata__": {
            "expression_names": json.dumps(EXPRESSION_NAMES),
            "phonemes": json.dumps(phonemes, ensure_ascii=False),
            "pose_names": json.dumps(POSE_NAMES),
            "viseme_names": json.dumps(VISEME_NAMES),
        }
    }
    body = bytearray()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": _KINDS[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(body)
