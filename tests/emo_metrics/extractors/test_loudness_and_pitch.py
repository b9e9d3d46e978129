from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, ClipInputs, Piece, Unscored
from emo_metrics.extractors.loudness_pitch import LoudnessAndPitch, loudness_of

RATE = 16000


def rows_of(audio, count, *, fps=Fraction(25), piece=32, rate=RATE):
    blank = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    clip = ClipInputs(
        clip_id="c", fps=fps, n_frames=count, height=4, width=4, reference_image=blank[0], audio=audio, audio_rate=rate
    )
    running = LoudnessAndPitch({}).begin(clip)
    parts = [
        running.update(Piece(frames=np.repeat(blank, min(piece, count - start), axis=0), start=start))
        for start in range(0, count, piece)
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def tone(hertz, seconds, *, amplitude=0.1, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    harmonics = sum(np.sin(2 * np.pi * k * hertz * time) / k for k in range(1, 5))
    return (amplitude * harmonics).astype(np.float32)


@pytest.mark.parametrize("hertz", [70.0, 123.4, 220.0, 440.0])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_the_pitch_of_a_tone(hertz, rate):
    pitch = rows_of(tone(hertz, 1.0, rate=rate), 25, rate=rate)["pitch_hz"][1:-1]
    np.testing.assert_allclose(pitch, hertz, rtol=0.005)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert np.isfinite(rows_of(noise, 25)["pitch_hz"]).sum() <= 1
    silence = rows_of(np.zeros(RATE, dtype=np.float32), 25)
    assert np.isnan(silence["pitch_hz"]).all()
    assert (silence["loudness_db"] == -60).all()


def test_the_level_of_a_sine():
    sine = (0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)
    np.testing.assert_allclose(rows_of(sine, 25)["loudness_db"][1:-1], 20 * np.log10(0.5 / np.sqrt(2)), atol=0.05)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_a_click_is_heard_in_the_frame_during_which_it_sounds(fps):
    audio = np.zeros(2 * RATE, dtype=np.float32)
    frame = 20
    place = round((frame + 0.5) / fps * RATE)
    audio[place - 8 : place + 8] = 1.0
    loudness = rows_of(audio, 40, fps=fps)["loudness_db"]
    assert loudness[frame] == loudness.max() > -60
    assert (np.delete(loudness, [frame - 1, frame, frame + 1]) == -60).all()


def test_rows_do_not_depend_on_the_length_of_the_pieces():
    audio = tone(150, 1.0) * np.hanning(RATE).astype(np.float32)
    whole = rows_of(audio, 25)
    for piece in (1, 7):
        other = rows_of(audio, 25, piece=piece)
        for key in whole:
            np.testing.assert_array_equal(whole[key], other[key])


def test_frames_after_the_audio_and_clips_without_audio_are_nan():
    rows = rows_of(tone(150, 0.5), 25)
    assert np.isnan(rows["loudness_db"]).tolist() == [False] * 12 + [True] * 13
    assert np.isnan(rows_of(None, 5)["loudness_db"]).all()


def test_no_audio_and_silence_have_a_status():
    for audio, status in ((None, "no_audio"), (np.zeros(RATE, dtype=np.float32), "undefined")):
        arrays = {"audio/loudness-pitch@1": rows_of(audio, 25)}
        clip = ClipFeatures(clip_id="c", identity="i", fps=Fraction(25), n_frames=25, arrays=arrays)
        with pytest.raises(Unscored) as caught:
            loudness_of(clip)
        assert caught.value.status == status
