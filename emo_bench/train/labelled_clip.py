"""What training reads off a clip's labels: boxes, head speed, mouth opening and lids, in pixels of the frames used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.labels import Labels, mouth_opening

if TYPE_CHECKING:
    from emo_models.training.clips import TrainingClip


def scaled(labels: Labels, scale: tuple[float, float]) -> Labels:
    """Labels in pixels of frames that were scaled by (x, y)."""
    if scale == (1.0, 1.0):
        return labels
    box = np.asarray(labels["box"], np.float32) * np.array([*scale, *scale], np.float32)
    return {
        **labels,
        "box": box,
        "landmarks68": np.asarray(labels["landmarks68"], np.float32) * np.array(scale, np.float32),
    }


def labelled_clip(labels: Labels, **given: Any) -> TrainingClip:
    """A clip with what follows from its labels: boxes, head speed, mouth and lids.

    Args:
        labels: As `read_labels` gives them.
        given: The other fields of `TrainingClip`.
    """
    from emo_models.training.clips import TrainingClip

    points, pose = (np.asarray(labels[name], np.float32) for name in ("landmarks68", "pose"))
    known = labels.get("head_velocity")
    blink = labels.get("blink")
    opening = labels.get("mouth_opening")
    return TrainingClip(
        mouth_boxes=_box_around(points[:, 48:68], margin=0.25),
        eye_boxes=_box_around(points[:, 36:48], margin=0.15),
        face_boxes=np.asarray(labels["box"], np.float32),
        head_speed=head_speed(pose[:, :3]) if known is None else np.asarray(known, np.float32),
        mouth_opening=mouth_opening(points) if opening is None else np.asarray(opening, np.float32),
        eye_closure=None if blink is None else np.asarray(blink).mean(1).astype(np.float32),
        labels=labels,
        **given,
    )


def head_speed(angles: NDArray[np.floating]) -> NDArray[np.float32]:
    """Head rotation per frame in degrees, ``float32 [T]``, from yaw, pitch, roll ``[T, 3]``.

    Angles are small, so the rotation between two frames is the length of the vector of differences. The first frame
    repeats the second.

    >>> head_speed(np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]])).tolist()
    [5.0, 5.0]
    """
    if len(angles) < 2:
        return np.zeros(len(angles), np.float32)
    speed = np.linalg.norm(np.diff(angles.astype(np.float64), axis=0), axis=1)
    return np.concatenate([speed[:1], speed]).astype(np.float32)


def _box_around(points: NDArray[np.floating], *, margin: float) -> NDArray[np.float32]:
    low, high = points.min(1), points.max(1)
    extra = (high - low).max(1, keepdims=True) * margin
    return np.concatenate([low - extra, high + extra], 1).astype(np.float32)
