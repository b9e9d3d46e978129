from __future__ import annotations

import numpy as np
import pytest
import torch

from emo_metrics.extractors.synth_sync import MAX_LAG, _known_only
from emo_metrics.faces.rotation import angle_between, pose_degrees
from emo_metrics.metrics.synth_clips import concordance
from emo_metrics.metrics.synth_lip_sync import SyncOnSynth
from emo_metrics.synth.as_open import blendshapes, rotations
from emo_metrics.synth.face import EXPRESSION_NAMES
from emo_metrics.synth.face_network import crops, placement_of, points_to_crop, points_to_frame
from emo_metrics.synth.layers import to_square


def test_crop_coordinates_go_forth_and_back() -> None:
    place = torch.tensor([[0.4, 0.6, -0.5, 0.3], [0.5, 0.5, 0.0, 0.0]])
    points = torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(points_to_frame(points_to_crop(points, place), place), points, atol=1e-6)
    # The whole frame as a crop: shares of the frame become [-1, 1].
    assert torch.allclose(points_to_crop(points, place)[1], points[1] * 2 - 1, atol=1e-6)


def test_a_point_of_the_frame_is_where_the_crop_shows_it() -> None:
    frame = torch.zeros(1, 3, 128, 128)
    frame[..., 80, 40] = 1.0
    place = torch.tensor([[0.4, 0.55, -0.9, 0.25]])
    seen = crops(frame, place, side=72)[0, 0]
    row, column = divmod(int(seen.argmax()), 72)
    expected = points_to_crop(torch.tensor([[[40.5 / 128, 80.5 / 128]]]), place)[0, 0]
    assert abs((column + 0.5) / 36 - 1 - float(expected[0])) < 0.03
    assert abs((row + 0.5) / 36 - 1 - float(expected[1])) < 0.03


def test_placement_turns_and_moves_with_the_face() -> None:
    points = torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(1))
    angle = 0.2
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    plain, moved = placement_of(points), placement_of(2 * points @ turn.T + 0.1)
    assert torch.allclose(moved[:, :2], 2 * plain[:, :2] @ turn.T + 0.1, atol=1e-5)
    assert float(moved[0, 2] - plain[0, 2]) == pytest.approx(np.log(2), abs=1e-5)
    assert float(moved[0, 3] - plain[0, 3]) == pytest.approx(angle, abs=1e-5)


def test_frames_of_the_right_size_pass_untouched_and_ranges_are_never_guessed() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    assert np.array_equal(np.rint(to_square(frames, 8).permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8), frames)
    assert to_square(np.full((1, 9, 9, 3), 51, np.uint8), 4).numpy() == pytest.approx(0.2, abs=1e-6)
    with pytest.raises(TypeError, match="uint8"):
        to_square(frames.astype(np.float32), 8)


def test_rotations_have_the_signs_of_the_open_family() -> None:
    pose = np.array([[10.0, -5.0, 3.0], [0.0, 0.0, 0.0]])
    matrices = rotations(pose)
    # HDTF-Synth's pitch looks down and its roll is clockwise; the open family's are the other way round.
    assert pose_degrees(matrices)[0] == pytest.approx([10.0, 5.0, -3.0])
    assert angle_between(rotations(np.array([[7.0, 0, 0]])), rotations(np.zeros((1, 3))))[0] == pytest.approx(7.0)


def test_expression_columns_are_those_of_the_data_set() -> None:
    from hdtf_synth.state import EXPRESSION_NAMES as TRUE_NAMES

    assert EXPRESSION_NAMES == TRUE_NAMES
    row = np.zeros((1, 26))
    row[0, EXPRESSION_NAMES.index("blink_left")] = 0.5
    assert blendshapes(row).sum() == 0.5


def test_concordance_punishes_scale_and_offset() -> None:
    t = np.sin(np.linspace(0, 9, 80))
    assert concordance(t, t) == pytest.approx(1.0)
    assert concordance(0.5 * t, t) == pytest.approx(2 * 0.5 / (1 + 0.25), rel=0.05)
    assert concordance(np.zeros(80), t) == 0.0


def test_only_sound_that_exists_is_compared() -> None:
    from fractions import Fraction

    from emo_metrics.contract import ClipFeatures

    distances = np.full((40, 2 * MAX_LAG + 1), 1.4)
    distances[:, MAX_LAG + 3] = 0.5
    known = _known_only(distances, 36)
    assert np.isnan(known[0, :MAX_LAG]).all()
    assert np.isfinite(known[:36, MAX_LAG]).all()
    assert np.isnan(known[36:, MAX_LAG:]).all()
    clip = ClipFeatures(
        clip_id="c", identity="p", fps=Fraction(25), n_frames=48, arrays={"sync/synth@1": {"distances": known}}
    )
    values = SyncOnSynth().score_clip(clip, None)
    # The sound of three windows later fits: the audio is late, the offset negative.
    assert values["offset"] == -3.0
    assert values["lse-d"] == pytest.approx(0.5)
    assert values["lse-c"] == pytest.approx(0.9)
