from __future__ import annotations

import numpy as np
import pytest

from hdtf_synth.draw.mouth import mouth_shape
from hdtf_synth.identity import STYLES, identity_from_seed
from hdtf_synth.motion import Phoneme, motion_from_speech
from hdtf_synth.plan import COUNTS, N_IDENTITIES, OFFSETS, SLICES, clips_of, identities_of
from hdtf_synth.recordings import recording
from hdtf_synth.state import EXPRESSION_NAMES
from hdtf_synth.truth import landmarks68, truth_of
from hdtf_synth.visemes import VISEME_NAMES, visemes_of


def _opening(plan_index: int, part: str = "test") -> tuple[np.ndarray, np.ndarray]:
    plan = clips_of(part)[plan_index]
    speech = recording(plan.slice, plan.number)
    who = identity_from_seed(plan.identity)
    motion = motion_from_speech(speech.phonemes, speech.pitch, speech.loudness(), who, plan.id, speech.n_frames)
    opening = np.asarray([mouth_shape(who, motion.state(t)).opening for t in range(speech.n_frames)])
    return opening, speech.loudness()


def test_mouth_follows_the_voice_at_lag_zero() -> None:
    curves = []
    for index in range(0, 60, 4):
        mouth, sound = _opening(index)
        n = len(sound)
        lags = [
            np.corrcoef(mouth[max(k, 0) : n + min(k, 0)], sound[max(-k, 0) : n + min(-k, 0)])[0, 1]
            for k in range(-5, 6)
        ]
        curves.append(lags)
    mean = np.mean(curves, axis=0)
    assert int(np.argmax(mean)) == 5, f"the strongest lag is not 0: {mean.round(2)}"
    assert mean[5] > 0.5
    assert max(mean[0], mean[-1]) < 0.25


@pytest.mark.parametrize("symbol", ["p", "b", "m"])
def test_bilabials_close_the_mouth_between_open_vowels(symbol: str) -> None:
    who = identity_from_seed(12)
    for start in (0.30, 0.31, 0.32, 0.33):
        sounds = [Phoneme(0.0, start, "a"), Phoneme(start, start + 0.06, symbol), Phoneme(start + 0.06, 0.8, "a")]
        motion = motion_from_speech(sounds, np.full(20, 120.0), np.ones(20), who, "closure", 20)
        gaps = [mouth_shape(who, motion.state(t)).opening for t in range(20)]
        inside = [gap for t, gap in enumerate(gaps) if start <= (t + 0.5) / 25 + 0.012 < start + 0.06]
        assert min(inside) < 0.004
        assert max(gaps[2:6]) > 0.15


def test_rounded_vowels_are_narrow_and_spread_vowels_wide() -> None:
    who = identity_from_seed(3)

    def width(symbol: str) -> float:
        motion = motion_from_speech([Phoneme(0.0, 1.0, symbol)], np.zeros(25), np.ones(25), who, "vowel", 25)
        return mouth_shape(who, motion.state(12)).half_width

    assert width("u") < 0.75 * width("ə") < width("i")


def test_motion_repeats_and_depends_on_the_clip() -> None:
    who = identity_from_seed(1)
    sounds = [Phoneme(0.1, 0.5, "a")]
    first = motion_from_speech(sounds, np.zeros(25), np.ones(25), who, "one", 25)
    again = motion_from_speech(sounds, np.zeros(25), np.ones(25), who, "one", 25)
    other = motion_from_speech(sounds, np.zeros(25), np.ones(25), who, "two", 25)
    assert np.array_equal(first.pose, again.pose)
    assert np.array_equal(first.expression, again.expression)
    assert not np.allclose(first.pose, other.pose)


def test_splits_are_disjoint_in_people_voices_and_texts() -> None:
    people = {part: set(identities_of(part)) for part in ("train", "validation", "test")}
    assert not people["train"] & people["test"]
    assert not people["train"] & people["validation"]
    assert not people["validation"] & people["test"]
    assert len(people["test"]) == N_IDENTITIES // 10
    assert sum(len(part) for part in people.values()) == N_IDENTITIES >= 60
    voices = {part: {recording(part, n).voice for n in range(COUNTS[part])} for part in SLICES}
    texts = {part: {recording(part, n).text for n in range(COUNTS[part])} for part in SLICES}
    for a in SLICES:
        for b in SLICES:
            if a < b:
                assert not voices[a] & voices[b], (a, b)
                assert not texts[a] & texts[b], (a, b)
    assert len(voices["test"]) >= 6
    languages = {recording("test", n).language.split("-")[0] for n in range(COUNTS["test"])}
    assert {"en", "de", "zh", "ja", "singing"} <= languages


def test_recordings_are_as_long_as_their_clips_and_not_silent() -> None:
    for part in ("mini", "test", "offsets"):
        for number in range(COUNTS[part]):
            speech = recording(part, number)
            assert len(speech.samples) == (2 if part == "mini" else 3) * 16000
            assert speech.loudness().mean() > 0.2
            assert len(speech.phonemes) >= 3
            assert all(p.start < p.end <= 3.0 for p in speech.phonemes)


def test_every_phoneme_of_the_recordings_has_a_viseme() -> None:
    sounds = {p.symbol for part in SLICES for n in range(COUNTS[part]) for p in recording(part, n).phonemes}
    for sound in sounds:
        assert set(visemes_of(sound)) <= set(VISEME_NAMES)
    silent = {sound for sound in sounds if visemes_of(sound) == ["sil"]}
    assert not silent


def test_truth_is_consistent() -> None:
    for index in (0, 7, 13, 26, 34):
        plan = clips_of("test")[index]
        speech = recording(plan.slice, plan.number)
        who = identity_from_seed(plan.identity)
        motion = motion_from_speech(speech.phonemes, speech.pitch, speech.loudness(), who, plan.id, speech.n_frames)
        truth = truth_of(who, motion, 128)
        n = speech.n_frames
        assert truth["landmarks68"].shape == (n, 68, 2)
        assert truth["expression"].shape == (n, len(EXPRESSION_NAMES))
        assert len(EXPRESSION_NAMES) >= 20
        assert truth["landmarks68"].min() >= 0
        assert truth["landmarks68"].max() <= 128
        inner = truth["landmarks68"][:, 66, 1] - truth["landmarks68"][:, 62, 1]
        assert np.corrcoef(inner, truth["mouth_opening"])[0, 1] > 0.98
        box = truth["box"]
        assert (box[:, 2] > box[:, 0] + 30).all()
        assert (box[:, 3] > box[:, 1] + 40).all()
        eyes = truth["landmarks68"][:, 36:48].mean(axis=1)
        assert ((eyes > box[:, :2]) & (eyes < box[:, 2:])).all()
        assert np.abs(truth["pose"][:, 0]).max() <= 28
        assert truth["blink"].min() >= 0
        assert truth["blink"].max() <= 1


def test_turning_the_head_moves_near_features_more() -> None:
    from hdtf_synth.state import FrameState

    who = identity_from_seed(4)
    front = landmarks68(who, [FrameState()], 256)[0]
    turned = landmarks68(who, [FrameState(yaw=20.0)], 256)[0]
    shift = turned[:, 0] - front[:, 0]
    assert shift[30] > shift[27] > shift[0] + 3.0  # nose tip, bridge, ear
    left_eye, right_eye = front[39, 0] - front[36, 0], front[45, 0] - front[42, 0]
    far = turned[45, 0] - turned[42, 0]
    assert abs(left_eye - right_eye) < 0.5
    assert far < 0.95 * right_eye  # the far side is foreshortened


def test_styles_and_offsets_are_all_there() -> None:
    assert {identity_from_seed(i).style for i in identities_of("test")} == set(STYLES)
    assert [plan.offset for plan in clips_of("offsets")] == list(OFFSETS)
    assert sum(COUNTS[part] for part in SLICES) == len(clips_of("all"))
