"""The portrait face detector: what ships finds faces, small and large; training learns from composed scenes."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from emo_models.face_detector.detect import find_faces
from emo_models.face_detector.network import STRIDE, FaceDetector, boxes_of
from emo_models.face_detector.training import (
    DetectorTraining,
    Portrait,
    loss_of,
    moved,
    scene,
    targets_of,
    train_detector,
)

HOPPER = (157.0, 107.0, 347.0, 353.0)
"""Where the face of the photograph lies, told by eye and by the detector alike."""


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A portrait in the public domain that comes with matplotlib, ``uint8 RGB [600, 512, 3]``."""
    from matplotlib.cbook import get_sample_data

    with get_sample_data("grace_hopper.jpg") as file:
        return np.array(Image.open(file).convert("RGB"))


def share(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union."""
    inside = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return inside / (area - inside)


def test_the_face_of_a_photograph_is_found_in_every_size_and_in_grey(photograph: np.ndarray) -> None:
    for factor in (1, 2, 4):
        small = photograph[::factor, ::factor]
        (face,) = find_faces(small)
        assert share(face.box, tuple(value / factor for value in HOPPER)) > 0.7, factor
    grey = np.repeat(photograph.mean(2, keepdims=True), 3, 2).astype(np.uint8)
    assert share(find_faces(grey)[0].box, HOPPER) > 0.6


def test_a_small_face_in_a_large_picture_is_found_by_looking_at_parts(photograph: np.ndarray) -> None:
    small = np.array(Image.fromarray(photograph).resize((102, 120)))
    wide = np.full((1200, 1600, 3), 128, np.uint8)
    wide[700:820, 1200:1302] = small
    (face,) = find_faces(wide)
    assert np.hypot(face.centre[0] - 1250, face.centre[1] - 746) < 15
    assert 35 < face.height < 100  # it is 50; a portrait glued to a grey wall is no scene of the training


def test_two_faces_are_two_and_a_wall_is_none(photograph: np.ndarray) -> None:
    assert len(find_faces(np.concatenate([photograph, photograph], axis=1))) == 2
    assert find_faces(np.full((300, 400, 3), 118, np.uint8)) == []
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))
    assert find_faces(ramp) == []


def rendered(number: int) -> Portrait:
    """A head-like oval with eyes and a mouth on a plain ground."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:96, :96] / 96
    picture = np.full((96, 96, 3), rng.integers(0, 90, 3), np.uint8)
    picture[((x - 0.5) / 0.22) ** 2 + ((y - 0.5) / 0.3) ** 2 < 1] = rng.integers(140, 255, 3)
    for eye in (0.42, 0.58):
        picture[((x - eye) / 0.03) ** 2 + ((y - 0.42) / 0.02) ** 2 < 1] = 0
    picture[((x - 0.5) / 0.08) ** 2 + ((y - 0.65) / 0.02) ** 2 < 1] = (150, 20, 30)
    return Portrait(picture, (96 * 0.28, 96 * 0.25, 96 * 0.72, 96 * 0.8))


def test_scenes_are_the_same_for_the_same_seed_and_their_boxes_lie_on_faces() -> None:
    portraits = [rendered(number) for number in range(6)]
    kinds = set()
    for seed in range(40):
        picture, boxes = scene(portraits, np.random.default_rng(seed), side=96)
        again, same = scene(portraits, np.random.default_rng(seed), side=96)
        assert np.array_equal(picture, again)
        assert np.array_equal(boxes, same)
        assert picture.shape == (96, 96, 3)
        assert boxes.shape[1:] == (4,)
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        kinds.add(len(boxes))
    assert {0, 1} <= kinds


def test_scenes_are_made_smaller_without_aliasing_as_in_use() -> None:
    """A fine pattern becomes grey, and what is coarse stays where it is."""
    turn = cv2.getRotationMatrix2D((150.0, 150.0), 20, 0.2)
    turn[:, 2] -= 110
    pattern = (np.indices((300, 300)).sum(0) % 2 * 255).astype(np.uint8)
    assert moved(np.repeat(pattern[..., None], 3, 2), turn, side=80)[20:60, 20:60].std() < 10
    y, x = np.mgrid[:300, :300]
    smooth = (127 + 100 * np.sin(x / 30) * np.cos(y / 25)).astype(np.uint8)[..., None].repeat(3, 2)
    single = cv2.warpAffine(smooth, turn, (80, 80)).astype(float)
    away = np.abs(moved(smooth, turn, side=80)[20:60, 20:60] - single[20:60, 20:60])
    assert away.max() < 6
    enlarged = np.array([[1.5, 0, 3], [0, 1.5, -2]])
    assert np.array_equal(moved(smooth, enlarged, side=80), cv2.warpAffine(smooth, enlarged, (80, 80)))


def test_what_the_targets_say_is_read_back_as_boxes() -> None:
    wanted = np.array([[20, 16, 60, 70], [70, 60, 90, 88]], np.float32)
    heat, values, known = targets_of([wanted], side=96)
    perfect = torch.cat([torch.where(heat == 1, 6.0, -6.0), values], 1)
    ((boxes, sure),) = boxes_of(perfect, threshold=0.5)
    assert len(boxes) == 2
    assert float(sure.min()) > 0.9
    found = sorted(boxes.tolist())
    assert np.allclose(found, wanted, atol=0.02)
    assert known.sum() >= 2
    assert float(loss_of(perfect, heat, values, known)) < 0.2
    assert heat.shape[-1] == 96 // STRIDE


def test_training_teaches_a_small_detector(tmp_path: Path) -> None:
    portraits = [rendered(number) for number in range(12)]
    told: list[str] = []
    torch.manual_seed(0)
    fresh = FaceDetector(width=8, side=64)
    settings = DetectorTraining(steps=200, batch=8, learning_rate=6e-3)
    net = train_detector(portraits, settings, tmp_path, network=copy.deepcopy(fresh), report=told.append)
    rng = np.random.default_rng(99)
    pairs = [scene(portraits, rng, side=64) for _ in range(16)]
    pictures = torch.from_numpy(np.stack([p for p, _ in pairs])).permute(0, 3, 1, 2).float() / 127.5 - 1
    goals = targets_of([boxes for _, boxes in pairs], side=64)
    with torch.no_grad():
        after, before = (float(loss_of(one.eval()(pictures), *goals)) for one in (net, fresh))
    assert after < 0.8 * before
    assert told[-1].startswith("face detector: step 200/200")


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    portraits = [rendered(number) for number in range(3)]
    settings = DetectorTraining(steps=4, batch=2, checkpoint_every=2)
    torch.manual_seed(0)
    fresh = FaceDetector(width=8, side=64)
    whole = train_detector(portraits, settings, tmp_path / "whole", network=copy.deepcopy(fresh))

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    first = copy.deepcopy(fresh)
    with pytest.raises(KeyboardInterrupt):
        train_detector(portraits, settings, tmp_path / "parts", network=first, report=stop)
    again = train_detector(portraits, settings, tmp_path / "parts", network=copy.deepcopy(fresh))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    wide = FaceDetector(width=16, side=64)
    for named, shown, network in (("portraits", portraits[:2], copy.deepcopy(fresh)), ("network", portraits, wide)):
        with pytest.raises(ValueError, match=rf"other settings \({named}\)"):
            train_detector(shown, settings, tmp_path / "whole", network=network)
