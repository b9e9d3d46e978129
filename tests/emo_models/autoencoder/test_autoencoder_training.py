"""Crops and weights of the autoencoder's training: boxes partly or wholly outside, frames that are too small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emo_models.autoencoder.small_autoencoder import SmallAutoencoder
from emo_models.autoencoder.training import AutoencoderTraining, part_weights, train_autoencoder, without_parts
from emo_models.training.clips import TrainingClip


def clip(*mouth: float, side: int = 16) -> TrainingClip:
    boxes = {name: np.zeros((1, 4), np.float32) for name in ("eye_boxes", "face_boxes")}
    return TrainingClip(
        id="a",
        frames=np.zeros((1, side, side, 3), np.uint8),
        audio=np.zeros(0, np.float32),
        mouth_boxes=np.array([mouth], np.float32),
        head_speed=np.zeros(1, np.float32),
        reference_index=0,
        **boxes,
    )


@pytest.mark.parametrize(
    ("mouth", "pixels"),
    [
        ((4, 6, 8, 9), 12),
        ((-3, 6, 2, 9), 6),
        ((-9, 6, -3, 9), 0),
        ((4, -9, 8, -2), 0),
        ((18, 6, 25, 9), 0),
        ((4, 17, 8, 20), 0),
        ((5, 5, 5, 5), 1),
    ],
)
def test_a_mouth_weighs_more_where_it_is_seen(mouth: tuple[float, ...], pixels: int) -> None:
    """A face that leaves the frame takes its mouth with it."""
    eyes = 1  # a box without extent is one pixel
    assert (part_weights(clip(*mouth), 0, 3.0) > 1).sum() == pixels + eyes
    assert (without_parts(clip(*mouth), 0) == 0).sum() == pixels + eyes


def test_crops_larger_than_the_frames_are_refused(tmp_path: Path) -> None:
    config = AutoencoderTraining(steps=1, batch=1, crop=32)
    with pytest.raises(ValueError, match=r"at least 32 pixels .* found 16x16 in clip a; lower autoencoder\.crop"):
        train_autoencoder(SmallAutoencoder(), config, [clip(4, 6, 8, 9)], tmp_path, report=lambda line: None)
