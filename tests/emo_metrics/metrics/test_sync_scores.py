from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, ClipInputs, Unscored
from emo_metrics.extractors.sync_windows import SyncNetJoonson, SyncNetMocha, frames_at_25, to_int16
from emo_metrics.faces.tracks import FaceTracker, cut_face
from emo_metrics.metrics.lip_sync import SyncJoonson, SyncMocha
from emo_metrics.signals.sync_curve import lag_distances, sync_scores


def _embeddings(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 32))


@pytest.mark.parametrize("delay", [-10, -3, 0, 3, 10])
def test_offset_is_minus_the_delay_of_the_audio(delay: int) -> None:
    vectors = _embeddings(120)
    mouth = vectors[20:100]
    sound = vectors[20 - delay : 100 - delay]  # what is heard now was seen `delay` frames ago
    scores = sync_scores(lag_distances(mouth, sound))
    assert scores.offset == -delay
    words = scores.in_words()
    assert ("late" in words) == (delay > 0)
    assert ("early" in words) == (delay < 0)


def test_unrelated_sound_has_no_confidence() -> None:
    related = sync_scores(lag_distances(_embeddings(80), _embeddings(80)))
    unrelated = sync_scores(lag_distances(_embeddings(80), _embeddings(80, 1)))
    assert related.confidence > 5 * unrelated.confidence
    assert related.distance < 0.01 < unrelated.distance
    assert related.distance_at_zero == related.distance


def test_tracks_are_joined_as_the_protocols_say() -> None:
    first, second = _embeddings(90), _embeddings(40, 1)
    good, noisy = lag_distances(first, first), lag_distances(second, second + 0.5 * _embeddings(40, 2))
    arrays = {"distances": np.concatenate([noisy, good]), "track": np.repeat([0, 1], [40, 90])}
    by_extractor = {"syncnet/joonson@1": arrays, "syncnet/mocha@1": arrays}
    clip = ClipFeatures(clip_id="c", identity="p", fps=Fraction(25), n_frames=140, arrays=by_extractor)
    mean, best = SyncJoonson().score_clip(clip, None), SyncMocha().score_clip(clip, None)
    one, two = sync_scores(noisy), sync_scores(good)
    assert mean["lse-d"] == pytest.approx((one.distance + two.distance) / 2)
    assert best["lse-d"] == pytest.approx(min(one.distance, two.distance))
    assert best["lse-c"] == pytest.approx(max(one.confidence, two.confidence))
    assert (mean["n-tracks"], mean["n-windows"], mean["offset"]) == (2.0, 130.0, 0.0)


class _NoNetwork(SyncNetJoonson):
    """The refusals come before any network is needed."""

    def __init__(self) -> None:
        self.weight_paths = {}
        self.device = "cpu"


class _NoNetworkMocha(_NoNetwork, SyncNetMocha):
    pass


@pytest.mark.parametrize(
    ("frames", "fps", "audio", "status"),
    [
        (90, Fraction(25), np.zeros(99999, dtype=np.float32), "too_short"),
        (120, Fraction(30), np.zeros(99999, dtype=np.float32), "too_short"),
        (200, Fraction(25), None, "no_audio"),
        (200, Fraction(25), np.zeros(0, dtype=np.float32), "no_audio"),
    ],
)
def test_clips_that_cannot_have_a_track_are_refused(
    frames: int, fps: Fraction, audio: np.ndarray | None, status: str
) -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    clip = ClipInputs(clip_id="c", fps=fps, n_frames=frames, height=8, width=8, reference_image=image, audio=audio)
    with pytest.raises(Unscored) as found:
        _NoNetwork().begin(clip)
    assert found.value.status == status
    assert SyncNetMocha.min_track == 50


def test_frame_rates_are_converted_by_time() -> None:
    assert frames_at_25(30, Fraction(30000, 1001)) == 25
    assert frames_at_25(25, Fraction(25)) == 25
    assert frames_at_25(24, Fraction(24)) == 25


def test_sound_is_scaled_and_resampled() -> None:
    assert to_int16(np.array([0.0, 0.5, 1.0, -1.0], dtype=np.float32), 16000).tolist() == [0, 16384, 32767, -32768]
    tone = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000).astype(np.float32)
    assert abs(len(to_int16(tone, 48000)) - 16000) <= 1


def _collect(crops: list[list[np.ndarray]]) -> Callable[[], Callable[[np.ndarray], None]]:
    def new() -> Callable[[np.ndarray], None]:
        crops.append([])
        return crops[-1].append

    return new


def test_one_pass_holds_few_frames_and_cuts_every_frame_of_a_track() -> None:
    crops: list[list[np.ndarray]] = []
    tracker = FaceTracker(_collect(crops))
    most = 0
    for i in range(200):
        frame = np.full((120, 160, 3), i, dtype=np.uint8)
        seen = not (50 <= i < 60 or 90 <= i < 130)
        box = np.array([[40.0, 30, 100, 90, 1.0]]) if seen else np.zeros((0, 5))
        tracker.update(i, frame, box)
        most = max(most, len(tracker._frames))
    tracks = tracker.finish()
    # A gap of 10 frames is bridged, one of 40 begins a new track.
    assert [(t.start, len(t.boxes)) for t in tracks] == [(0, 90), (130, 70)]
    assert [len(rows) for rows in crops] == [90, 70]
    assert [int(rows[112, 112, 0]) for rows in crops[0]] == list(range(90))
    assert most <= 33


def test_crop_keeps_the_framing_at_the_border() -> None:
    frame = np.full((100, 100, 3), 200, dtype=np.uint8)
    crop = cut_face(frame, 40.0, 5.0, 50.0)
    assert crop.shape == (224, 224, 3)
    assert crop[100, 20].tolist() == [110, 110, 110]
    assert crop[60, 200].tolist() == [200, 200, 200]
