from __future__ import annotations

import numpy as np
import pytest
import torch

from emo_metrics.extractors.face_landmarks import FaceAnalysis
from emo_metrics.extractors.morphable_face import MorphableFace, crop_square
from emo_metrics.faces.gaps import FACE
from emo_metrics.metrics.e_fid import EFid3ddfa, EFidMediaPipe
from emo_metrics.metrics.mouth_audio import mouth_opening
from emo_metrics.networks.mobilenet_v1 import MobileNetV1

EXPRESSION = "expression/3ddfa-v2@1"


@pytest.fixture(scope="module")
def networks(weights):
    torch.set_num_threads(1)
    return [FaceAnalysis(weights), MorphableFace(weights)]


@pytest.fixture(scope="module")
def speech(networks, clip_frames, extract):
    return extract(networks, clip_frames("grid_pwij3p.mpg", 75))


@pytest.fixture(scope="module")
def someone_else(networks, clip_frames, extract):
    return extract(networks, clip_frames("May_5s.mp4", 60))


def test_the_network_has_half_of_the_full_width():
    model = MobileNetV1().eval()
    assert model(torch.zeros(2, 3, 120, 120)).shape == (2, 62)
    assert model.dw6.conv_sep.weight.shape == (512, 512, 1, 1)  # half of the full width of 1024


def test_coefficients_follow_the_mouth_and_the_head(speech):
    coefficients = speech.arrays[EXPRESSION]["expression"].astype(np.float64)
    correlation = np.corrcoef(np.column_stack([coefficients, mouth_opening(speech)]).T)[-1, :-1]
    assert np.abs(correlation).max() > 0.6


def test_the_pose_is_a_scaled_rotation_near_the_other_estimate(speech):
    rows = speech.arrays[EXPRESSION]["pose"].astype(np.float64).reshape(-1, 3, 4)[:, :, :3]
    scale = np.linalg.norm(rows, axis=2)
    np.testing.assert_allclose(scale[:, 0], scale[:, 1], rtol=0.1)
    facing = np.cross(rows[:, 0] / scale[:, :1], rows[:, 1] / scale[:, 1:2])
    angle = np.degrees(np.arccos(np.clip(np.abs(facing[:, 2]), 0, 1)))
    assert angle.mean() < 20  # he looks at the camera
    assert np.abs(speech.arrays[FACE]["pose_degrees"][:, 0]).mean() < 20


def test_rows_do_not_depend_on_the_length_of_the_pieces(networks, clip_frames, extract):
    frames = clip_frames("grid_pwij3p.mpg", 8).copy()
    frames[5] = 0
    whole = extract(networks, frames, piece=32).arrays[EXPRESSION]
    for piece in (1, 7):
        other = extract(networks, frames, piece=piece).arrays[EXPRESSION]
        for key in whole:
            np.testing.assert_array_equal(whole[key], other[key])
    assert np.isnan(whole["expression"][5]).all()


@pytest.mark.parametrize("metric", [EFidMediaPipe(), EFid3ddfa()])
def test_the_same_clip_is_nearer_than_another_person(metric, speech, someone_else):
    own, theirs = metric.samples(speech), metric.samples(someone_else)
    assert metric.compute([own], [own])["e-fid"] == 0.0
    assert metric.compute([own[::2], own[1::2]], [own])["e-fid"] == pytest.approx(0.0, abs=1e-8)
    assert metric.compute([theirs], [own])["e-fid"] > 0.05


def test_the_crop_is_the_diagonal_of_the_points_square():
    points = np.zeros((68, 2))
    points[1] = (100, 60)
    assert crop_square(points) == (-21, -41, 141)
