"""Sharpness, drift, jumps, expression and motion distances on made-up rows with known answers; BRISQUE's statistics."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emo_metrics.contract import ClipFeatures, ClipInputs, Piece, Unscored
from emo_metrics.extractors.brisque_frames import BRISQUE, MACHINE, RANGE, BrisqueFrames, BrisqueModel
from emo_metrics.extractors.face_crop_quality import FACE_CROP, FaceCropQuality, face_square, mean_lab, sharpness
from emo_metrics.faces.finder import FoundBy
from emo_metrics.faces.gaps import FACE
from emo_metrics.faces.landmark_sets import BLENDSHAPE_NAMES
from emo_metrics.metrics.brisque import Brisque
from emo_metrics.metrics.drift import IDENTITY, Drift, largest_jump, slope
from emo_metrics.metrics.emotion import CUES, Emotion
from emo_metrics.metrics.face_sharpness import FaceSharpness
from emo_metrics.metrics.motion_distance import LandmarkVelocityDistance, PoseDistance, upright_points
from emo_metrics.signals.natural_scenes import asymmetric_fit, scene_statistics, shape_of
from emo_metrics.synth.as_open import rotations


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def clip_of(count: int, arrays: dict[str, dict[str, np.ndarray]], *, fps: int = 25) -> ClipFeatures:
    return ClipFeatures(clip_id="c", identity="i", fps=Fraction(fps), n_frames=count, arrays=arrays)


def textured(side: int = 300) -> np.ndarray:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:side, 0:side]
    base = 128 + 50 * np.sin(x / 5.0) * np.cos(y / 7.0)
    return np.clip(base[..., None] + rng.normal(scale=12, size=(side, side, 3)), 0, 255).astype(np.uint8)


def blurred(frame: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma))


def test_blur_lowers_sharpness_and_face_size_does_not_change_it_much() -> None:
    import cv2

    frame, box = textured(), np.array([50.0, 50.0, 250.0, 250.0])
    sharp = sharpness(face_square(frame, box))
    softer = [sharpness(face_square(blurred(frame, sigma), box)) for sigma in (1.0, 2.0, 4.0)]
    assert sharp > softer[0] > softer[1] > softer[2] > 0
    smooth = blurred(frame, 4.0)
    double = cv2.resize(smooth, (600, 600), interpolation=cv2.INTER_CUBIC)
    assert sharpness(face_square(double, 2 * box)) == pytest.approx(softer[2], rel=0.1)


def test_the_edge_of_the_frame_is_no_detail_of_the_face() -> None:
    frame, box = blurred(textured(), 3.0), np.array([50.0, 50.0, 250.0, 250.0])
    inside = sharpness(face_square(frame, box))
    for cut in (50, 90):
        part = np.ascontiguousarray(frame[cut:])
        assert sharpness(face_square(part, box - [0, cut, 0, cut])) == pytest.approx(inside, rel=0.2)


def test_colour_of_a_grey_face() -> None:
    grey = np.full((256, 256, 3), 119, dtype=np.uint8)
    np.testing.assert_allclose(mean_lab(grey), [50.0, 0.0, 0.0], atol=0.3)


def test_frames_without_a_face_have_no_sharpness() -> None:
    clip = ClipInputs(clip_id="c", fps=Fraction(25), n_frames=2, height=300, width=300, reference_image=textured())
    accumulator = FaceCropQuality({}).begin(clip)
    face = {"found": np.array([True, False]), "box": np.array([[50.0, 50, 250, 250], [np.nan] * 4])}
    rows = accumulator.update(Piece(frames=np.stack([textured()] * 2), start=0, upstream={FACE: face}))
    assert np.isfinite(rows["sharpness"]).tolist() == [True, False]
    assert np.isnan(rows["lab"][1]).all()
    features = {FACE: {"found": np.array([True, False])}, FACE_CROP: dict(rows)}
    with pytest.raises(Unscored, match="no_face"):
        FaceSharpness().score_clip(clip_of(2, features), None)


def test_slope_is_per_ten_seconds_and_passes_over_gaps() -> None:
    ramp = np.linspace(1.0, 0.5, 251)  # 10 s at 25 fps
    ramp[40:60] = np.nan
    assert slope(ramp, fps=25.0) == pytest.approx(-0.5)
    assert np.isnan(slope(np.full(10, np.nan), fps=25.0))


def test_a_segment_boundary_is_a_jump_and_steady_motion_is_none() -> None:
    walk = np.cumsum(noise((200, 8)) * 0.01, axis=0)
    cut = walk.copy()
    cut[100:] += 1.0
    assert largest_jump(walk, fps=25.0) < 2.0
    assert largest_jump(cut, fps=25.0) > largest_jump(walk, fps=25.0) + 3.0
    with pytest.raises(ValueError, match="nothing changes"):
        largest_jump(np.ones((50, 3)), fps=25.0)


def test_repeated_frames_leave_the_jump_as_it_is() -> None:
    walk = np.cumsum(noise((200, 8)) * 0.01, axis=0)
    walk[100:] += 1.0
    jump = largest_jump(walk, fps=25.0)
    assert largest_jump(walk.repeat(2, axis=0), fps=50.0) == pytest.approx(jump, abs=0.05)
    # 12.5 images a second, each shown twice at 25 fps: steps are those of 12.5 fps, a cut is still a cut.
    halved = walk[::2].repeat(2, axis=0)
    assert largest_jump(halved, fps=25.0) == pytest.approx(jump, abs=0.3)
    # One repeated frame in 25, as after a conversion from 24 fps, changes nothing either.
    assert largest_jump(np.insert(walk, np.arange(24, 200, 24), walk[23:199:24], axis=0), fps=25.0) == pytest.approx(
        jump, abs=0.1
    )


def drifting(turn: float, *, count: int = 250) -> ClipFeatures:
    """Identity turns away by ``turn`` radians, colour by 10 ΔE and sharpness by one octave over 10 s."""
    angle = np.linspace(0.0, turn, count)
    jitter = 1e-3 * noise((count, 4))
    embedding = np.stack([np.cos(angle), np.sin(angle), 0 * angle, 0 * angle], axis=1) + jitter
    lab = np.stack([60 - np.linspace(0, 10, count), np.full(count, 10.0), np.full(count, 12.0)], axis=1)
    arrays = {
        FACE: {"found": np.ones(count, dtype=bool)},
        IDENTITY: {"embedding": embedding},
        FACE_CROP: {"lab": lab + 0.01 * noise((count, 3), 1), "sharpness": 8.0 * 2.0 ** -np.linspace(0, 1, count)},
    }
    return clip_of(count, arrays)


def test_drift_finds_what_was_put_in() -> None:
    values = Drift().score_clip(drifting(1.0), None)
    assert values["sharpness-slope"] == pytest.approx(-1.0, rel=0.02)
    assert values["colour-slope"] == pytest.approx(10.0, rel=0.1)
    assert values["identity-slope"] < -0.3
    assert abs(Drift().score_clip(drifting(0.0), None)["identity-slope"]) < 0.01
    with pytest.raises(Unscored, match="too_short"):
        Drift().score_clip(drifting(1.0, count=60), None)


def face_with(shapes: dict[str, float], count: int = 40) -> ClipFeatures:
    rows = np.zeros((count, len(BLENDSHAPE_NAMES)))
    for name, value in shapes.items():
        rows[:, BLENDSHAPE_NAMES.index(name)] = value
    return clip_of(count, {FACE: {"found": np.ones(count, dtype=bool), "blendshapes": rows}})


def test_emotion_compares_cues_and_not_the_mouth_of_speech() -> None:
    neutral, smiling = face_with({}), face_with({"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8})
    speaking = face_with({"jawOpen": 0.7, "mouthFunnel": 0.4})
    assert Emotion().score_clip(smiling, neutral)["emotion"] == pytest.approx(0.8 / len(CUES))
    assert Emotion().score_clip(speaking, neutral)["emotion"] == 0.0
    with pytest.raises(Unscored, match="not_applicable"):
        Emotion().score_clip(smiling, None)


def moving_head(count: int, *, size: float, seed: int = 0, fps: int = 25) -> ClipFeatures:
    steps = noise((count + 9, 3), seed)
    pose = 5 * size * np.stack([steps[start : start + 10].mean(axis=0) for start in range(count)])
    arrays = {
        FACE: {
            "found": np.ones(count, dtype=bool),
            "rotation": rotations(pose),
            "found_by": np.full(count, FoundBy.WHOLE_FRAME),
        }
    }
    return clip_of(count, arrays, fps=fps)


def test_pose_distance_tells_a_still_head_from_a_lively_one() -> None:
    metric = PoseDistance()
    true, alike, still = (
        [metric.samples(moving_head(300, size=size, seed=seed))] for size, seed in ((1.0, 0), (1.0, 1), (0.05, 2))
    )
    assert metric.compute(true, true)["pose-fd"] == pytest.approx(0.0, abs=1e-9)
    assert metric.compute(still, true)["pose-fd"] > 2 * metric.compute(alike, true)["pose-fd"]
    with pytest.raises(Unscored, match="too_few"):
        metric.compute([true[0][:5]], true)


def test_upright_points_forget_place_size_and_roll() -> None:
    points = 100 * np.abs(noise((5, 68, 2)))
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = 1.7 * points @ turn.T + np.array([40.0, -20.0])
    np.testing.assert_allclose(upright_points(moved), upright_points(points), atol=1e-9)


def test_velocities_are_converted_between_frame_rates() -> None:
    points = np.cumsum(noise((200, 68, 2)), axis=0) * 0.05 + 100 * np.abs(noise((1, 68, 2), 5))
    arrays = {FACE: {"found": np.ones(200, dtype=bool), "points68": points}}
    metric = LandmarkVelocityDistance()
    slow, quick = metric.samples(clip_of(200, arrays)), metric.samples(clip_of(200, arrays, fps=50))
    np.testing.assert_allclose(quick, 2 * slow)


def test_shape_of_known_distributions() -> None:
    assert shape_of(0.5) == pytest.approx(1.0, abs=1e-6)  # Laplace
    rng = np.random.default_rng(0)
    right_half = rng.random(200_000) < 2 / 3  # each side has weight in proportion to its deviation
    values = np.abs(rng.normal(size=200_000)) * np.where(right_half, 2.0, -1.0)
    shape, mean, left, right = asymmetric_fit(values)
    assert shape == pytest.approx(2.0, abs=0.05)
    assert (left, right) == (pytest.approx(1.0, abs=0.02), pytest.approx(2.0, abs=0.03))
    assert mean == pytest.approx(np.sqrt(2 / np.pi) * (right - left), rel=0.05)


def test_statistics_of_a_uniform_image_are_refused() -> None:
    with pytest.raises(ValueError, match="uniform"):
        scene_statistics(np.full((64, 64), 0.5))
    with pytest.raises(ValueError, match="16"):
        scene_statistics(np.zeros((8, 64)))


@pytest.fixture
def model_files(tmp_path: Path) -> dict[str, Path]:
    """A regression whose score is minus the sum of two kernels."""
    low, high = torch.full((36,), -1.0), torch.full((36,), 11.0)
    machine = {
        "coefficients": torch.tensor([-1.0, -1.0]),
        "vectors": torch.stack([torch.zeros(36), torch.full((36,), -0.8)]),
        "gamma": torch.tensor([0.05]),
        "rho": torch.tensor([-3.0]),
    }
    save_file(machine, tmp_path / MACHINE)
    save_file({"min_": low, "max_": high}, tmp_path / RANGE)
    return {MACHINE: tmp_path / MACHINE, RANGE: tmp_path / RANGE}


def test_brisque_frames_are_spread_evenly_and_pieces_do_not_matter(model_files: dict[str, Path]) -> None:
    frames = np.stack([blurred(textured(96), 0.3 + 0.1 * i) for i in range(20)])
    frames[0] = 128
    clip = ClipInputs(clip_id="c", fps=Fraction(25), n_frames=20, height=96, width=96, reference_image=frames[0])
    found = []
    for cuts in ((0, 20), (0, 7, 8, 20)):
        accumulator = BrisqueFrames(model_files).begin(clip)
        for start, stop in pairwise(cuts):
            accumulator.update(Piece(frames=frames[start:stop], start=start))
        found.append(accumulator.finish())
    np.testing.assert_array_equal(found[0]["score"], found[1]["score"])
    assert len(found[0]["frame"]) == 16
    assert np.isnan(found[0]["score"][0])
    assert len(set(found[0]["score"][1:].tolist())) == 15


def test_a_clip_of_blank_frames_has_no_brisque_of_the_few_others() -> None:
    scores = np.full(16, 30.0)
    scores[:3] = np.nan
    assert Brisque().score_clip(clip_of(16, {BRISQUE: {"score": scores}}), None) == {"brisque": 30.0}
    scores[:4] = np.nan
    with pytest.raises(Unscored, match=r"undefined.*4 of 16"):
        Brisque().score_clip(clip_of(16, {BRISQUE: {"score": scores}}), None)


def test_another_regression_is_refused(model_files: dict[str, Path], tmp_path: Path) -> None:
    save_file({"weights": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="no regression"):
        BrisqueModel(tmp_path / "other.safetensors", model_files[RANGE])
