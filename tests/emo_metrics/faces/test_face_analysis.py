from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from emo_metrics.extractors.face_landmarks import SHAPES, FaceAnalysis
from emo_metrics.faces.finder import FoundBy, square_around
from emo_metrics.faces.gaps import FACE
from emo_metrics.faces.landmark_sets import BLENDSHAPE_NAMES, IBUG_68, MOUTH_68


@pytest.fixture(scope="module")
def analysis(weights):
    return FaceAnalysis(weights)


def same(first, second):
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def test_shapes_and_types_of_a_real_clip(analysis, clip_frames, extract):
    frames = clip_frames("May_5s.mp4", 9)
    arrays = extract([analysis], frames).arrays[FACE]
    assert arrays["found"].all()
    assert arrays["n_faces"].tolist() == [1] * 9
    for key, shape in SHAPES.items():
        assert arrays[key].shape == (9, *shape)
        assert arrays[key].dtype == np.float32
        assert arrays[f"reference_{key}"].shape == (1, *shape)
    assert arrays["frame_size"].tolist() == [[512, 512]]
    box, points = arrays["box"], arrays["points68"]
    assert (points >= box[:, None, :2] - 1e-3).all()
    assert (points <= box[:, None, 2:] + 1e-3).all()
    rotation = arrays["rotation"].astype(np.float64)
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (9, 3, 3)), atol=1e-5)


def test_points_lie_where_their_names_say(analysis, clip_frames, extract):
    points = extract([analysis], clip_frames("grid_pwij3p.mpg", 1)).arrays[FACE]["points68"][0]
    left_eye, right_eye, mouth, chin = (
        points[36:42].mean(0),
        points[42:48].mean(0),
        points[MOUTH_68].mean(0),
        points[8],
    )
    assert left_eye[0] < points[30, 0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < points[30, 1] < mouth[1] < chin[1]
    assert points[17:22, 1].mean() < left_eye[1]
    assert points[48, 0] < points[54, 0]
    assert points[62, 1] <= points[66, 1]
    assert points[0, 0] < points[16, 0]
    assert len(set(IBUG_68)) == 68
    assert len(BLENDSHAPE_NAMES) == 52


def test_rows_do_not_depend_on_the_length_of_the_pieces(analysis, clip_frames, extract):
    frames = clip_frames("May_5s.mp4", 9).copy()
    frames[3:5] = 0
    whole = extract([analysis], frames, piece=32).arrays[FACE]
    for piece in (1, 7):
        same(whole, extract([analysis], frames, piece=piece).arrays[FACE])
    assert whole["found"].tolist() == [True] * 3 + [False] * 2 + [True] * 4


def test_the_order_of_clips_does_not_matter(analysis, clip_frames, extract):
    frames = clip_frames("May_5s.mp4", 3)
    before = extract([analysis], frames).arrays[FACE]
    extract([analysis], clip_frames("grid_pwij3p.mpg", 3))
    same(before, extract([analysis], frames).arrays[FACE])


@pytest.mark.parametrize("side", [128, 16])
def test_without_a_face_rows_are_nan_and_nothing_fails(analysis, extract, side):
    noise = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    arrays = extract([analysis], noise).arrays[FACE]
    assert not arrays["found"].any()
    assert (arrays["found_by"] == FoundBy.NOTHING).all()
    assert arrays["n_faces"].sum() == 0
    assert np.isnan(arrays["blendshapes"]).all()
    assert not arrays["reference_found"].any()


def test_a_frame_of_128_pixels_is_large_enough(analysis, clip_frames, extract):
    frames = clip_frames("May_5s.mp4", 2)[:, ::4, ::4]
    assert extract([analysis], frames).arrays[FACE]["found"].all()


def test_several_faces_are_counted_and_the_first_one_is_kept(analysis, clip_frames, extract):
    big = clip_frames("May_5s.mp4", 2)
    small = np.zeros_like(big)
    small[:, 64:448, 64:448] = big[:, ::1, ::1][:, 64:448, 64:448]
    small = np.pad(small[:, ::2, ::2], ((0, 0), (128, 128), (0, 0), (0, 0)))
    side_by_side = np.concatenate([big, small], axis=2)
    only_small_grows = np.concatenate([small, big], axis=2)
    arrays = extract([analysis], side_by_side).arrays[FACE]
    assert arrays["n_faces"].tolist() == [2, 2]
    assert (arrays["box"][:, 2] < 512).all()
    # the large one is chosen first on either side
    assert (extract([analysis], only_small_grows).arrays[FACE]["box"][:, 2] > 256).all()


def test_a_face_too_small_for_the_first_try_is_found_in_a_crop(analysis, clip_frames, extract):
    face = clip_frames("May_5s.mp4", 1)[0][::4, ::4]
    frame = np.full((1, 1000, 1400, 3), 90, dtype=np.uint8)
    frame[0, 500:628, 900:1028] = face
    arrays = extract([analysis], frame).arrays[FACE]
    assert arrays["found"].all()
    assert arrays["found_by"][0] == FoundBy.CROP_AT_DETECTION
    left, top, right, bottom = arrays["box"][0]
    assert 900 < left < right < 1028
    assert 500 < top < bottom < 628


def test_the_square_to_look_at_again_is_cut_at_the_edges():
    assert square_around(np.array([10.0, 10, 30, 30]), 100, 100) == (0, 0, 45, 45)
    left, _, right, _ = square_around(np.array([200.0, 10, 220, 30]), 100, 100)
    assert right <= left


@pytest.mark.slow
def test_native_notes_stay_off_the_terminal(weights):
    program = (
        "import sys, numpy as np, pathlib\n"
        "from emo_metrics.extractors.face_landmarks import FaceAnalysis, FACE_FILES\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "finder = FaceAnalysis({name: folder / name for name in FACE_FILES})._finder\n"
        "print(finder.find(np.zeros((64, 64, 3), np.uint8)).face)\n"
    )
    folder = next(iter(weights.values())).parent
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
    assert done.stderr == ""
