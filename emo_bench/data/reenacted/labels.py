"""Labels of a re-enacted clip: they follow from how it was made, so they are exact where a tracker would guess."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.labels import mouth_opening
from emo_bench.data.prepare.speech import log_mel
from emo_bench.data.reenacted.motion import MovedPoints, Points
from emo_core.atomic import write_bytes
from emo_core.hashing import sha256_bytes

Labels = dict[str, NDArray[np.generic]]
TEXT = {
    "box": "left, top, right, bottom of the face in pixels of the clip, f32 [T, 4]",
    "landmarks68": "x, y in pixels of the clip, iBUG order, f32 [T, 68, 2]",
    "landmarks478": "x, y, z in pixels of the clip, MediaPipe's order, f32 [T, 478, 3]",
    "pose": "yaw, pitch, roll in degrees; x, y, z in centimetres of the portrait's camera, f32 [T, 6]",
    "head_velocity": "rotation since the frame before, degrees per frame, f32 [T]; frame 0 repeats frame 1",
    "mouth_opening": "gap between the inner lips over the distance from nose bridge to chin, f32 [T]",
    "blink": "how far each eye is closed, 0 to 1, the eye on the image's left first, f32 [T, 2]",
    "flow": "frame(x) = portrait(x + flow(x)) in pixels outside of the open mouth, on a 64x64 grid, f16 [T, 64, 64, 2]",
    "found": "1 on every frame, u8 [T]",
    "log_mel": "80 mel bands every 10 ms at 16 kHz, natural logarithm, f32 [M, 80]",
}
_FLIP = np.diag([1.0, -1.0, -1.0])
"""From image axes (x right, y down, z away) to MediaPipe's (x right, y up, z towards the camera)."""
_HALF_VIEW = np.deg2rad(31.5)
"""Half of the vertical angle of view that MediaPipe's landmarker assumes."""
_CLOSED = 0.45


def reenacted_labels(
    moved: MovedPoints,
    flow: NDArray[np.float32],
    samples: NDArray[np.float32],
    *,
    rotation: Points,
    translation: Points,
    picture_height: float,
) -> Labels:
    """The arrays of ``TEXT``.

    Args:
        moved: Points of every frame in pixels of the clip.
        flow: ``[T, 64, 64, 2]``.
        samples: Audio, 16 kHz.
        rotation: Of the portrait's head, ``[3, 3]``, MediaPipe's axes.
        translation: Of the portrait's head, ``[3]`` centimetres.
        picture_height: Of the portrait's whole image, in pixels of the clip.
    """
    from emo_metrics.faces.landmark_sets import ibug_68
    from emo_metrics.faces.rotation import pose_degrees

    points68 = np.stack([ibug_68(points[:, :2].astype(np.float32)) for points in moved.points])
    turned = _FLIP @ moved.rotation @ _FLIP @ rotation
    cm_per_pixel = abs(float(translation[2])) * 2 * np.tan(_HALF_VIEW) / picture_height
    place = translation[None] + np.pad(moved.shift, ((0, 0), (0, 1))) * np.array([1, -1, 0]) * cm_per_pixel
    low, high = moved.points[..., :2].min(1), moved.points[..., :2].max(1)
    return {
        "box": np.concatenate([low, high], 1).astype(np.float32),
        "landmarks68": points68.astype(np.float32),
        "landmarks478": moved.points.astype(np.float32),
        "pose": np.concatenate([pose_degrees(turned), place], 1).astype(np.float32),
        "head_velocity": head_velocity(moved.rotation),
        "mouth_opening": mouth_opening(points68),
        "blink": np.clip(1 - moved.eyes, 0, 1).astype(np.float32),
        "flow": flow.astype(np.float16),
        "found": np.ones(len(flow), np.uint8),
        "log_mel": log_mel(samples),
    }


def head_velocity(rotation: Points) -> NDArray[np.float32]:
    """Degrees from frame to frame, ``[T]``, of rotations ``[T, 3, 3]``; the first frame repeats the second."""
    from emo_metrics.faces.rotation import angle_between

    if len(rotation) < 2:
        return np.zeros(len(rotation), np.float32)
    steps = angle_between(rotation[1:], rotation[:-1])
    return np.concatenate([steps[:1], steps]).astype(np.float32)


def motion_facts(
    opening: NDArray[np.floating], velocity: NDArray[np.floating], eyes: Points, fps: float
) -> dict[str, float]:
    """What a clip's motion amounts to, for statistics beside real clips.

    Args:
        opening: ``[T]``, see ``data.labels.mouth_opening``.
        velocity: ``[T]`` degrees a frame.
        eyes: ``[T, 2]`` how far the eyes are open.
        fps: Frames per second.
    """
    closed = np.concatenate([[False], eyes.mean(1) < _CLOSED])
    return {
        "opening_mean": round(float(opening.mean()), 5),
        "opening_sd": round(float(opening.std()), 5),
        "opening_p95": round(float(np.quantile(opening, 0.95)), 5),
        "blinks_per_minute": round(float((closed[1:] & ~closed[:-1]).sum() * 60 * fps / len(eyes)), 2),
        "head_velocity": round(float(velocity.mean()), 4),
    }


def write_reenacted_labels(path: Path, labels: Mapping[str, NDArray[np.generic]]) -> str:
    """Writes labels as safetensors, the same bytes for the same values; returns their SHA-256."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(labels[name]) for name in sorted(labels)}
    # One entry only: the order of several would change from run to run.
    data = save(arrays, metadata={"labels": "; ".join(f"{name}: {TEXT[name]}" for name in arrays)})
    write_bytes(path, data, durable=False)
    return sha256_bytes(data)
