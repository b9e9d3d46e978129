"""A still face has no correlation, beats or expression, however a codec makes its landmarks tremble."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, ClipMetric, Unscored
from emo_metrics.extractors.loudness_pitch import AUDIO
from emo_metrics.faces.finder import FoundBy
from emo_metrics.faces.gaps import FACE
from emo_metrics.faces.landmark_sets import BLENDSHAPE_NAMES
from emo_metrics.faces.rotation import pose_degrees
from emo_metrics.metrics.beat_alignment import BeatAlignment
from emo_metrics.metrics.expressiveness import Expressiveness
from emo_metrics.metrics.head_motion import head_turn
from emo_metrics.metrics.mouth_audio import MouthAudio
from emo_metrics.signals.motion_floors import BROWS_FLOOR, HEAD_FLOOR, MOUTH_FLOOR, amplitude
from emo_metrics.synth.as_open import rotations

FRAMES = 150
FPS = 25.0


def signal(seed: int) -> np.ndarray:
    """A smooth signal ``[FRAMES]`` whose amplitude, as the floors measure it, is 1."""
    noise = np.convolve(np.random.default_rng(seed).normal(size=FRAMES + 20), np.hanning(9), mode="same")[10:-10]
    return noise / amplitude(noise, fps=FPS)


def talking(*, mouth: float, head: float, brows: float, offset: float = 0.2) -> ClipFeatures:
    """A face that follows the loudness with the given amplitudes (eye distances, degrees, blendshapes)."""
    voice = signal(0)
    points = np.zeros((FRAMES, 68, 2))
    points[:, 45] = (100.0, 0.0)
    points[:, 65:68, 1] = 100 * (offset + mouth * voice)[:, None]
    shapes = np.full((FRAMES, 52), 0.5)
    shapes[:, BLENDSHAPE_NAMES.index("browDownLeft")] += brows * voice
    shapes[:, BLENDSHAPE_NAMES.index("browDownRight")] += brows * voice
    rotation = rotations(np.stack([np.full(FRAMES, 20.0), head * voice, np.zeros(FRAMES)], axis=1))
    face = {
        "found": np.ones(FRAMES, dtype=bool),
        "found_by": np.full(FRAMES, FoundBy.WHOLE_FRAME),
        "points68": points,
        "blendshapes": shapes,
        "rotation": rotation,
        "pose_degrees": pose_degrees(rotation),
    }
    sound = {"loudness_db": -30 + 20 * voice, "pitch_hz": np.full(FRAMES, 150.0)}
    return ClipFeatures(clip_id="c", identity="i", fps=Fraction(25), n_frames=FRAMES, arrays={FACE: face, AUDIO: sound})


def why(metric: ClipMetric, clip: ClipFeatures) -> str:
    with pytest.raises(Unscored) as outcome:
        metric.score_clip(clip, None)
    assert outcome.value.status == "undefined"
    return outcome.value.reason


def test_amplitude_is_in_the_unit_of_the_signal_whatever_its_level() -> None:
    values = signal(1)
    assert amplitude(3.0 * values + 40.0, fps=FPS) == pytest.approx(3.0)
    assert amplitude(np.stack([values, 2 * values], axis=1), fps=FPS) == pytest.approx(2.0)
    assert amplitude(np.full(20, np.nan), fps=FPS) == 0.0


def test_the_tremor_of_single_frames_counts_less_than_a_movement() -> None:
    tremor = np.random.default_rng(2).normal(size=FRAMES)
    assert amplitude(tremor, fps=FPS) < 0.6 * (np.percentile(tremor, 95) - np.percentile(tremor, 5))


def test_head_turns_are_measured_from_any_pose() -> None:
    assert amplitude(head_turn(talking(mouth=0.0, head=3.0, brows=0.0)), fps=FPS) == pytest.approx(3.0, rel=0.02)


def test_a_mouth_below_the_floor_has_no_value_and_one_above_keeps_its_own() -> None:
    small, large = (talking(mouth=factor * MOUTH_FLOOR, head=0.0, brows=0.0) for factor in (0.9, 1.1))
    assert "0.04 eye distances" in why(MouthAudio(), small)
    assert MouthAudio().score_clip(large, None)["mouth-audio"] == pytest.approx(1.0)


def test_a_head_below_the_floor_has_no_beats() -> None:
    small, large = (talking(mouth=0.0, head=factor * HEAD_FLOOR, brows=0.0) for factor in (0.9, 1.1))
    assert "0.8 degrees" in why(BeatAlignment(), small)
    assert 0.0 < BeatAlignment().score_clip(large, None)["beat-alignment"] <= 1.0


def test_what_does_not_move_explains_nothing_and_a_still_face_is_undefined() -> None:
    values = Expressiveness().score_clip(talking(mouth=0.0, head=0.5 * HEAD_FLOOR, brows=0.2), None)
    assert (values["head"], values["eyes"]) == (0.0, 0.0)
    assert values["brows"] > 0.5
    assert values["expressiveness"] == pytest.approx(values["brows"] / 3)
    still = talking(mouth=0.0, head=0.5 * HEAD_FLOOR, brows=0.9 * BROWS_FLOOR)
    assert "neither brows, eyes nor head" in why(Expressiveness(), still)
