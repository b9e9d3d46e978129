"""Blinks, head velocity, mouth against voice, beats and expressiveness on made-up signals with known answers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, Unscored
from emo_metrics.extractors.loudness_pitch import AUDIO
from emo_metrics.faces.gaps import FACE
from emo_metrics.faces.landmark_sets import BLENDSHAPE_NAMES
from emo_metrics.faces.rotation import pose_degrees
from emo_metrics.metrics.beat_alignment import BeatAlignment, alignment, audio_beats, local_minima, motion_beats
from emo_metrics.metrics.blink import BlinkLength, BlinkRate, blink_lengths
from emo_metrics.metrics.expressiveness import Expressiveness, excess_explained
from emo_metrics.metrics.head_motion import HeadVelocity
from emo_metrics.metrics.mouth_audio import MouthAudio, mouth_opening
from emo_metrics.signals.time_series import lagged_correlation, smoothed, without_slow_changes


def yaw_matrices(degrees):
    radians = np.radians(degrees)
    R = np.zeros((len(radians), 3, 3))
    R[:, 0, 0] = R[:, 2, 2] = np.cos(radians)
    R[:, 0, 2], R[:, 2, 0], R[:, 1, 1] = np.sin(radians), -np.sin(radians), 1.0
    return R


def clip_of(count, *, fps=Fraction(25), yaw=None, opening=None, shapes=None, loudness=None, pitch=None, found=None):
    """A clip of made-up rows: a face of 100 px between the eyes, mouth open by ``opening`` eye distances."""
    points = np.zeros((count, 68, 2))
    points[:, 36], points[:, 45] = (0, 0), (100, 0)
    points[:, 65:68, 1] = 100 * (np.zeros(count) if opening is None else opening)[:, None]
    blendshapes = np.zeros((count, 52))
    for name, values in (shapes or {}).items():
        blendshapes[:, BLENDSHAPE_NAMES.index(name)] = values
    rotation = yaw_matrices(np.zeros(count) if yaw is None else yaw)
    found = np.ones(count, dtype=bool) if found is None else found
    face = {
        "points68": points,
        "blendshapes": blendshapes,
        "rotation": rotation,
        "pose_degrees": pose_degrees(rotation),
    }
    face = {key: np.where(found.reshape(-1, *[1] * (rows.ndim - 1)), rows, np.nan) for key, rows in face.items()}
    arrays = {
        FACE: {key: rows.astype(np.float32) for key, rows in face.items()}
        | {"found": found, "found_by": found.astype(np.int8)},
        AUDIO: {
            "loudness_db": np.full(count, np.nan) if loudness is None else loudness,
            "pitch_hz": np.full(count, np.nan) if pitch is None else pitch,
        },
    }
    return ClipFeatures(clip_id="c", identity="i", fps=fps, n_frames=count, arrays=arrays)


def wave(count, seed):
    """A smooth signal without a period, mean 0 and deviation 1."""
    noise = np.convolve(np.random.default_rng(seed).normal(size=count + 20), np.hanning(7), mode="same")[10:-10]
    return (noise - noise.mean()) / noise.std()


class TestHeadVelocity:
    def test_a_constant_turn(self):
        values = HeadVelocity().score_clip(clip_of(50, yaw=0.8 * np.arange(50)), None)
        assert values["velocity"] == pytest.approx(0.8, abs=1e-4)
        assert values["velocity-variance"] == pytest.approx(0.0, abs=1e-7)

    def test_the_same_turn_at_another_frame_rate_is_the_same_number(self):
        values = HeadVelocity().score_clip(clip_of(50, yaw=0.4 * np.arange(50), fps=Fraction(50)), None)
        assert values["velocity"] == pytest.approx(0.8, abs=1e-4)

    def test_alternating_steps_have_a_known_variance(self):
        steps = np.tile([1.0, 3.0], 50)
        values = HeadVelocity().score_clip(clip_of(101, yaw=np.concatenate([[0], np.cumsum(steps)])), None)
        assert values["velocity"] == pytest.approx(2.0, abs=1e-4)
        assert values["velocity-variance"] == pytest.approx(100 / 99, abs=1e-4)

    def test_a_frozen_head_does_not_move(self):
        assert HeadVelocity().score_clip(clip_of(30), None) == {
            "velocity": 0.0,
            "velocity-variance": 0.0,
            "vmv": 0.0,
        }

    def test_steps_over_a_missing_frame_are_left_out(self):
        found = np.arange(50) % 10 != 4
        yaw = np.arange(50) * 0.5
        yaw[25:] += 40  # the jump happens at a frame that is not seen
        found[25] = False
        found[24] = True
        assert HeadVelocity().score_clip(clip_of(50, yaw=yaw, found=found), None)["velocity"] == pytest.approx(
            0.5, abs=1e-4
        )

    def test_a_change_between_whole_frame_and_crop_is_left_out(self):
        yaw = np.where(np.arange(50) == 20, 7.0, 0.0)
        clip = clip_of(50, yaw=yaw)
        clip.arrays[FACE]["found_by"][20] = 2
        assert HeadVelocity().score_clip(clip, None)["velocity"] == 0.0

    def test_too_short(self):
        with pytest.raises(Unscored, match="too_short"):
            HeadVelocity().score_clip(clip_of(5), None)

    def test_one_clip_has_no_variance_over_clips(self):
        rows = {"velocity": np.array([1.0]), "velocity-variance": np.array([2.0]), "vmv": np.array([1.0])}
        values = HeadVelocity().summarise(rows)
        assert (values["velocity"], values["velocity-variance"]) == (1.0, 2.0)
        assert np.isnan(values["vmv"])


class TestBlinks:
    def eyes(self, *stretches, count=100, level=0.1, height=0.6):
        values = np.full(count, level)
        for start, length in stretches:
            values[start : start + length] = height
        return values

    def test_rate_and_length(self):
        eyes = self.eyes((10, 4), (50, 6))
        clip = clip_of(100, shapes={"eyeBlinkLeft": eyes, "eyeBlinkRight": eyes})
        assert BlinkRate().score_clip(clip, None)["blink-rate"] == pytest.approx(2 / 4.0)
        assert BlinkLength().score_clip(clip, None)["blink-length"] == pytest.approx(0.2)

    def test_narrow_eyes_and_shallow_dips_are_no_blinks(self):
        assert len(blink_lengths(self.eyes(level=0.4, height=0.6), fps=25.0)) == 0
        assert len(blink_lengths(self.eyes((20, 4), level=0.4, height=0.6), fps=25.0)) == 0
        assert len(blink_lengths(self.eyes((20, 4), level=0.4, height=0.7), fps=25.0)) == 1

    def test_shut_eyes_are_no_blink(self):
        assert len(blink_lengths(self.eyes((20, 30)), fps=25.0)) == 0

    def test_a_short_gap_within_a_blink_is_closed(self):
        eyes = self.eyes((10, 6))
        found = np.ones(100, dtype=bool)
        found[12] = False
        clip = clip_of(100, shapes={"eyeBlinkLeft": eyes, "eyeBlinkRight": eyes}, found=found)
        assert BlinkLength().score_clip(clip, None)["blink-length"] == pytest.approx(6 / 25)

    def test_no_blink_has_a_rate_and_no_length(self):
        assert BlinkRate().score_clip(clip_of(100), None)["blink-rate"] == 0.0
        with pytest.raises(Unscored, match="undefined"):
            BlinkLength().score_clip(clip_of(100), None)
        with pytest.raises(Unscored, match="too_short"):
            BlinkRate().score_clip(clip_of(40), None)


class TestMouthAndVoice:
    @pytest.mark.parametrize("delay", [-7, -1, 0, 3, 10])
    def test_a_late_mouth_has_a_positive_lag(self, delay):
        loudness = wave(150, 1)
        opening = 0.3 + 0.1 * np.roll(loudness, delay)
        values = MouthAudio().score_clip(clip_of(150, opening=opening, loudness=8 * loudness - 30), None)
        assert values["mouth-audio-lag"] == delay
        assert values["mouth-audio-peak"] > 0.95
        assert (values["mouth-audio"] > 0.99) == (delay == 0)

    def test_the_opening_is_in_eye_distances(self):
        opening = np.linspace(0, 0.5, 60)
        np.testing.assert_allclose(mouth_opening(clip_of(60, opening=opening)), opening, atol=1e-6)

    def test_correlation_equals_numpy_at_every_lag(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 80))
        a[5] = np.nan
        curve = lagged_correlation(a, b, largest_lag=3)
        late, early = a[2:], b[:-2]
        known = np.isfinite(late)
        assert curve[5] == pytest.approx(np.corrcoef(late[known], early[known])[0, 1])
        assert curve[1] == pytest.approx(np.corrcoef(np.delete(a[:-2], 5), np.delete(b[2:], 5))[0, 1])

    def test_slow_changes_go_and_quick_ones_stay(self):
        slow = np.linspace(0, 9, 200)
        quick = np.sin(2 * np.pi * 4 * np.arange(200) / 25)
        left = without_slow_changes(slow + quick, fps=25.0)
        assert np.abs(left[20:-20] - quick[20:-20]).max() < 0.1

    def test_what_cannot_be_scored_has_a_status(self):
        loud = wave(100, 2)
        for clip, status in [
            (clip_of(100, opening=0.1 + 0.01 * loud), "no_audio"),
            (clip_of(100, loudness=loud), "undefined"),
            (clip_of(100, opening=loud, loudness=np.full(100, -60.0)), "undefined"),
            (clip_of(30, opening=loud[:30], loudness=loud[:30]), "too_short"),
            (clip_of(100, opening=loud, loudness=loud, found=np.zeros(100, dtype=bool)), "no_face"),
        ]:
            with pytest.raises(Unscored) as caught:
                MouthAudio().score_clip(clip, None)
            assert caught.value.status == status


class TestBeats:
    def test_beats_are_where_the_head_rests_and_the_voice_sets_in(self):
        count = 200
        time = np.arange(count) / 25
        # the speed |sin| rests every 0.8 s; the loudness rises fastest at the same places
        yaw = np.cumsum(np.abs(np.sin(np.pi * (time + 0.02) / 0.8)))
        loudness = -30 + 10 * np.sin(2 * np.pi * time / 0.8)
        clip = clip_of(count, yaw=yaw, loudness=loudness)
        rests, onsets = motion_beats(clip), audio_beats(clip)
        assert np.abs(np.diff(rests) - 0.8).max() < 0.05
        assert np.abs(np.diff(onsets)[1:-1] - 0.8).max() < 0.05
        assert np.abs(((rests + 0.4) % 0.8) - 0.4).max() < 0.06
        assert BeatAlignment().score_clip(clip, None)["beat-alignment"] > 0.85
        half_off = clip_of(count, yaw=yaw, loudness=-30 - 10 * np.sin(2 * np.pi * time / 0.8))
        assert BeatAlignment().score_clip(half_off, None)["beat-alignment"] < 0.3

    def test_alignment_has_the_closed_form(self):
        assert alignment(np.array([1.0]), np.array([1.12, 5.0]), sigma=0.12) == pytest.approx(np.exp(-0.5))

    def test_shallow_ripples_are_no_beats(self):
        signal = np.cos(np.arange(100) / 100 * 4 * np.pi) + 0.001 * np.cos(np.arange(100) * np.pi)
        assert len(local_minima(signal)) == 2

    def test_smoothing_keeps_a_constant_and_bridges_gaps(self):
        signal = np.full(50, 3.0)
        signal[20:22] = np.nan
        np.testing.assert_allclose(smoothed(signal, deviation=2.0), 3.0)

    @pytest.mark.filterwarnings("error")
    def test_a_face_found_in_another_way_on_every_frame_has_no_beats(self):
        yaw = np.cumsum(wave(100, 4))
        clip = clip_of(100, yaw=yaw, loudness=-30 + 8 * wave(100, 3))
        clip.arrays[FACE]["found_by"][::2] = 2
        with pytest.raises(Unscored, match="undefined"):
            BeatAlignment().score_clip(clip, None)

    def test_a_head_at_rest_has_no_beats(self):
        with pytest.raises(Unscored, match="undefined"):
            BeatAlignment().score_clip(clip_of(100, loudness=wave(100, 3)), None)


class TestExpressiveness:
    def test_a_face_that_follows_the_voice_is_above_one_that_does_not(self):
        count, voice = 300, wave(300, 5)
        loudness, pitch = -30 + 8 * voice, 120 * 2 ** (0.2 * wave(300, 6))

        def clip(brows, eyes, head):
            shapes = {"browInnerUp": 0.5 + 0.15 * brows, "eyeWideLeft": 0.5 + 0.15 * eyes}
            made = clip_of(count, shapes=shapes, loudness=loudness, pitch=pitch)
            made.arrays[FACE]["pose_degrees"][:, 1] = head
            return made

        follows = Expressiveness().score_clip(clip(voice, np.roll(voice, 4), wave(300, 9)), None)
        ignores = Expressiveness().score_clip(clip(wave(300, 7), wave(300, 8), wave(300, 9)), None)
        assert follows["brows"] > 0.6
        assert follows["eyes"] > 0.6
        assert abs(follows["head"]) < 0.2
        assert abs(ignores["expressiveness"]) < 0.15
        assert follows["expressiveness"] == pytest.approx(np.mean([follows[key] for key in ("brows", "eyes", "head")]))

    def test_a_pose_from_a_crop_is_no_nod(self):
        voice = wave(300, 5)
        clip = clip_of(300, loudness=-30 + 8 * voice, pitch=120 * 2 ** (0.2 * wave(300, 6)))
        clip.arrays[FACE]["pose_degrees"][:, 1] = 2 * voice
        clear = Expressiveness().score_clip(clip, None)["head"]
        assert clear > 0.6
        cropped = np.arange(300) % 25 < 5
        clip.arrays[FACE]["found_by"][cropped] = 2
        clip.arrays[FACE]["pose_degrees"][cropped, 1] += 9  # the crop is another camera
        assert Expressiveness().score_clip(clip, None)["head"] == pytest.approx(clear, abs=0.1)

    def test_chance_is_about_zero_on_average(self):
        values = [
            excess_explained(wave(150, 100 + seed), np.column_stack([wave(150, seed)] * 2), fps=25.0)
            for seed in range(40)
        ]
        assert abs(np.mean(values)) < 0.03

    def test_what_cannot_be_scored_has_a_status(self):
        with pytest.raises(Unscored, match="undefined"):
            Expressiveness().score_clip(clip_of(100, loudness=wave(100, 3)), None)
        with pytest.raises(Unscored, match="too_short"):
            Expressiveness().score_clip(clip_of(50, loudness=wave(50, 3)), None)
