from __future__ import annotations

import sys

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, Unscored
from emo_metrics.faces.alignment import ARCFACE_112, aligned_face, similarity_transform, square_crop
from emo_metrics.faces.finder import choose
from emo_metrics.faces.gaps import FACE, close_gaps, face_arrays
from emo_metrics.faces.landmarker import Face
from emo_metrics.faces.quiet import routine_notes_dropped
from emo_metrics.faces.rotation import angle_between, nearest_rotation, pose_degrees


def turn(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def test_angles_come_back_from_the_matrix_they_made():
    rng = np.random.default_rng(0)
    for yaw, pitch, roll in rng.uniform(-80, 80, (50, 3)):
        R = turn(1, yaw) @ turn(0, -pitch) @ turn(2, roll)
        np.testing.assert_allclose(pose_degrees(R), [yaw, pitch, roll], atol=1e-9)


def test_signs_of_the_angles():
    forward = np.array([0.0, 0.0, 1.0])
    assert (turn(1, 30) @ forward)[0] > 0  # yaw: to the image's right
    assert (turn(0, -20) @ forward)[1] > 0  # pitch: up
    assert (turn(2, 10) @ np.array([1.0, 0, 0]))[1] > 0  # roll: the image's right side goes up


@pytest.mark.parametrize("degrees", [1e-4, 0.5, 90.0, 179.0])
def test_the_angle_between_two_rotations(degrees):
    base = turn(0, 25) @ turn(2, -40)
    turned = base @ turn(1, degrees)
    assert angle_between(base, turned) == pytest.approx(degrees, rel=1e-6)
    single = angle_between(base.astype(np.float32), turned.astype(np.float32))
    assert single == pytest.approx(degrees, abs=2e-4 if degrees > 100 else 2e-5)


def test_the_nearest_rotation_drops_scale():
    R = turn(0, 10) @ turn(1, 20)
    np.testing.assert_allclose(nearest_rotation(1.7 * R), R, atol=1e-12)
    assert np.linalg.det(nearest_rotation(np.diag([1.0, 1.0, -1.0]))) == pytest.approx(1.0)


def test_a_known_similarity_is_recovered_without_reflection():
    A = 1.3 * turn(2, 25)[:2, :2]
    matrix = similarity_transform(ARCFACE_112, ARCFACE_112 @ A.T + [5, -7])
    np.testing.assert_allclose(matrix, np.column_stack([A, [5, -7]]), atol=1e-9)
    mirrored = ARCFACE_112 * [-1, 1]
    assert np.linalg.det(similarity_transform(ARCFACE_112, mirrored)[:, :2]) > 0
    with pytest.raises(ValueError, match="coincide"):
        similarity_transform(np.ones((5, 2)), ARCFACE_112)


def test_a_face_already_in_place_is_only_cropped():
    frame = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    np.testing.assert_array_equal(aligned_face(frame, ARCFACE_112), frame[:112, :112])


def test_a_crop_that_leaves_the_frame_is_black_there():
    frame = np.full((4, 4, 3), 9, dtype=np.uint8)
    crop = square_crop(frame, -1, 2, 4)
    assert crop[:2, 1:].min() == 9
    assert crop[2:].max() == 0
    assert crop[:, 0].max() == 0
    assert square_crop(frame, 90, 90, 3).max() == 0


def test_gaps_are_closed_only_when_short():
    values = np.stack([np.array([0, np.nan, 2, np.nan, np.nan, np.nan, 6.0])] * 2, axis=1)
    filled = close_gaps(values, longest=2)
    assert filled[:3, 0].tolist() == [0, 1, 2]
    assert np.isnan(filled[3:6]).all()
    assert close_gaps(values, longest=3)[:, 1].tolist() == list(range(7))
    assert close_gaps(np.full((3, 2), np.nan), longest=5).shape == (3, 2)


def test_a_clip_needs_faces_on_four_fifths_of_its_frames():
    def clip(found):
        return ClipFeatures(
            clip_id="c", identity="i", fps=25, n_frames=len(found), arrays={FACE: {"found": np.array(found)}}
        )

    face_arrays(clip([True] * 8 + [False] * 2))
    with pytest.raises(Unscored, match="7 of 10"):
        face_arrays(clip([True] * 7 + [False] * 3))
    with pytest.raises(Unscored):
        face_arrays(clip([]))


def face_at(x: float, size: float) -> Face:
    corners = np.array([[x, 0.0], [x + size, size]], dtype=np.float32)
    return Face(corners, np.zeros(52, dtype=np.float32), np.eye(4))


def test_a_face_is_followed_and_otherwise_the_largest_is_taken():
    small, large = face_at(0, 10), face_at(100, 40)
    assert choose([], None) is None
    assert choose([small, large], None) is large
    assert choose([small, large], small.box) is small
    assert choose([small, large], np.array([500.0, 0, 510, 10])) is large


def test_native_routine_notes_are_dropped_and_errors_kept(capfd):
    import os

    with routine_notes_dropped():
        os.write(2, b"W0000 00:00:1.2 3 graph.cc:1] note\nE0000 00:00:1.2 3 graph.cc:1] broken\n")
        sys.stderr.write("of ours\n")
    captured = capfd.readouterr().err
    assert "note" not in captured
    assert "broken" in captured
    assert "of ours" in captured
    with pytest.raises(RuntimeError), routine_notes_dropped():
        raise RuntimeError("passes")
    os.write(2, b"W0000 after\n")
    assert "after" in capfd.readouterr().err
