from __future__ import annotations

import numpy as np
import pytest

from emo_metrics.contract import Unscored
from emo_metrics.extractors.face_landmarks import FaceAnalysis
from emo_metrics.extractors.mobilefacenet import MobileFaceNet
from emo_metrics.metrics.f_sim import FSimMobileFaceNet

IDENTITY = "identity/mobilefacenet@1"


@pytest.fixture(scope="module")
def networks(weights):
    return [FaceAnalysis(weights), MobileFaceNet(weights)]


def test_the_same_man_is_near_and_others_are_far(networks, clip_frames, extract):
    names = ("grid_pwij3p.mpg", "grid_id2_swwp2s.mpg", "grid_bbaf2n.mpg", "May_5s.mp4")
    reference = clip_frames("grid_pwij3p.mpg", 3)[0]
    values = {}
    for name in names:
        features = extract(networks, clip_frames(name, 3), reference=reference)
        values[name] = FSimMobileFaceNet().score_clip(features, None)["f-sim"]
    assert values["grid_pwij3p.mpg"] > 90
    assert values["grid_id2_swwp2s.mpg"] > 80
    assert abs(values["grid_bbaf2n.mpg"]) < 30
    assert abs(values["May_5s.mp4"]) < 30


def test_rows_are_unit_vectors_and_independent_of_the_pieces(networks, clip_frames, extract):
    frames = clip_frames("grid_pwij3p.mpg", 8).copy()
    frames[2] = 0
    whole = extract(networks, frames, piece=32).arrays[IDENTITY]
    for piece in (1, 7):
        other = extract(networks, frames, piece=piece).arrays[IDENTITY]
        np.testing.assert_array_equal(whole["embedding"], other["embedding"])
        np.testing.assert_array_equal(whole["reference_embedding"], other["reference_embedding"])
    norms = np.linalg.norm(whole["embedding"].astype(np.float64), axis=1)
    assert np.isnan(norms).tolist() == [False, False, True] + [False] * 5
    np.testing.assert_allclose(norms[np.isfinite(norms)], 1.0, atol=1e-6)


def test_a_frozen_reference_scores_a_hundred(networks, clip_frames, extract):
    frames = np.repeat(clip_frames("grid_pwij3p.mpg", 1), 3, axis=0)
    values = FSimMobileFaceNet().score_clip(extract(networks, frames), None)
    assert values["f-sim"] == pytest.approx(100.0, abs=1e-4)
    assert values["f-sim-std"] == pytest.approx(0.0, abs=1e-4)


def test_no_face_in_the_reference_has_a_status(networks, clip_frames, extract):
    frames = clip_frames("grid_pwij3p.mpg", 2)
    features = extract(networks, frames, reference=np.zeros((64, 64, 3), dtype=np.uint8))
    with pytest.raises(Unscored, match=r"no_face.*reference image"):
        FSimMobileFaceNet().score_clip(features, None)
