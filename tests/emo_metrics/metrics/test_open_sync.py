"""The open sync network's input, its protocol, and what it says of shifted audio."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, ClipInputs, Piece, Unscored
from emo_metrics.extractors.open_sync import LEAST_FRAMES, SYNC, SyncOpen, window_features
from emo_metrics.extractors.sync_windows import source_frame
from emo_metrics.faces.gaps import FACE
from emo_metrics.metrics.open_lip_sync import SyncOpenProtocol, spoken_curve
from emo_metrics.metrics.sync_drift import SyncDrift
from emo_metrics.sync_open.audio import PER_FRAME, log_mel, mel_filters, power_spectra, speech_rows
from emo_metrics.sync_open.mouths import OUTLINE, SIDE, lip_outlines, mouth_squares


def face_points(*, size: float = 60.0, centre: tuple[float, float] = (128.0, 110.0), roll: float = 0.0) -> np.ndarray:
    """A plain face: eyes, nose and lips where they lie on most faces; ``size`` between the outer eye corners."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, size=(68, 2))
    points[36], points[45], points[33] = (-0.5, 0.0), (0.5, 0.0), (0.0, 0.5)
    points[8] = (0.0, 1.3)
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    points[48:68] = np.stack([-0.28 * np.cos(angles), 0.8 + 0.12 * np.sin(angles)], axis=1)
    points[48], points[54] = (-0.28, 0.8), (0.28, 0.8)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return (size * points @ turn.T + centre)[None]


def test_outlines_forget_place_size_and_roll() -> None:
    first = lip_outlines(face_points())
    second = lip_outlines(face_points(size=25.0, centre=(60.0, 70.0), roll=0.5))
    assert first.shape == (1, OUTLINE)
    np.testing.assert_allclose(first, second, atol=1e-5)


def painted(points: np.ndarray, side: int = 256) -> np.ndarray:
    """A frame whose brightness depends on the place in the face, smoothly."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    across = points[0, 45] - points[0, 36]
    unit, middle = np.linalg.norm(across), (points[0, 48] + points[0, 54]) / 2
    axis = across / unit
    u = ((x - middle[0]) * axis[0] + (y - middle[1]) * axis[1]) / unit
    v = (-(x - middle[0]) * axis[1] + (y - middle[1]) * axis[0]) / unit
    grey = 128 + 60 * np.sin(4 * u) + 40 * np.cos(5 * v)
    return np.repeat(grey[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)[None]


def test_squares_show_the_same_of_a_turned_and_a_larger_face() -> None:
    plain = face_points()
    expected = mouth_squares(painted(plain), plain)[0].astype(float)
    assert expected.shape == (SIDE, SIDE)
    assert expected.std() > 20
    for changed in (face_points(roll=0.4), face_points(size=100.0, centre=(128.0, 90.0))):
        found = mouth_squares(painted(changed), changed)[0].astype(float)
        assert np.abs(found - expected).mean() < 4


def test_squares_at_the_edge_repeat_it() -> None:
    points = face_points(centre=(10.0, 230.0))
    assert np.isfinite(mouth_squares(painted(points), points).astype(float)).all()


def spoken(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """Syllables of noise, four to six a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * 16000)) / 16000
    envelope = np.maximum(0.0, np.sin(2 * np.pi * 4.5 * t + np.cumsum(rng.normal(size=len(t))) * 0.01))
    return (0.2 * envelope * rng.normal(size=len(t))).astype(np.float32)


def test_loudness_and_colouring_drop_out_of_the_bands() -> None:
    quiet = log_mel(power_spectra(0.1 * spoken(), 75), mel_filters())
    loud = log_mel(power_spectra(spoken(), 75), mel_filters())
    assert quiet.shape == (40, 75 * PER_FRAME)
    np.testing.assert_allclose(quiet, loud, atol=1e-3)
    assert np.isfinite(log_mel(power_spectra(np.zeros(16000, np.float32), 25), mel_filters())).all()


def test_a_burst_lies_in_the_row_of_its_time() -> None:
    audio = np.zeros(16000, np.float32)
    audio[8000:8160] = 0.5  # 10 ms at half a second: row 50
    assert int(power_spectra(audio, 25).sum(axis=1).argmax()) == 50


def test_pauses_are_no_speech() -> None:
    audio = np.concatenate([spoken(1.0), np.zeros(16000, np.float32), spoken(1.0, 1)])
    rows = speech_rows(power_spectra(audio, 75))
    assert rows[:100].mean() > 0.5
    assert not rows[105:195].any()
    assert not speech_rows(power_spectra(np.zeros(48000, np.float32), 75)).any()


@pytest.mark.parametrize(("frames", "fps"), [(60, 30), (75, 25), (120, 50), (30, 12)])
def test_source_frames_are_in_order_and_inside(frames: int, fps: int) -> None:
    count = round(frames * 25 / fps)
    places = [source_frame(index, frames=frames, fps=Fraction(fps)) for index in range(count)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, frames - 1 if fps != 50 else frames - 2)


def curve_with(lag: int, speech: np.ndarray, *, windows: int = 60) -> ClipFeatures:
    """Distances that are small at one lag where somebody speaks, and misleading elsewhere."""
    distances = np.full((windows, 31), 1.4)
    for row in range(windows):
        heard = row + lag
        if 0 <= heard < windows:
            distances[row, 15 + lag] = 0.6 if speech[heard] else 1.4
        if row < windows and not speech[row]:
            distances[row, 15] = 0.1  # a closed mouth in silence fits at once
    arrays = {SYNC: {"distances": distances, "speech": speech, "found": np.ones(windows, bool)}, FACE: {}}
    return ClipFeatures(clip_id="c", identity="i", fps=Fraction(25), n_frames=windows + 12, arrays=arrays)


def test_sync_is_counted_over_speech_only() -> None:
    speech = np.zeros(60, dtype=bool)
    speech[20:45] = True
    values = SyncOpenProtocol().score_clip(curve_with(3, speech), None)
    assert values["offset"] == -3.0
    assert values["delta-sync"] == values["lse-c"] > 0.3
    assert values["n-windows"] == 25.0
    with pytest.raises(Unscored, match="undefined"):
        SyncOpenProtocol().score_clip(curve_with(0, np.zeros(60, dtype=bool)), None)


def test_every_lag_counts_the_same_audio() -> None:
    speech = np.zeros(60, dtype=bool)
    speech[20:40] = True
    distances = np.tile(np.arange(60.0)[:, None], (1, 31))
    curve = spoken_curve(distances, speech)
    np.testing.assert_allclose(np.diff(curve), -1.0)  # the mouth moves, the audio stays


def test_sync_drift_is_the_slope_over_speech() -> None:
    distances = np.full((250, 31), 1.4)
    distances[:, 15] = np.linspace(0.8, 1.3, 250)
    arrays = {SYNC: {"distances": distances, "speech": np.arange(250) % 5 > 0, "found": np.ones(262, bool)}}
    clip = ClipFeatures(clip_id="c", identity="i", fps=Fraction(25), n_frames=262, arrays=arrays)
    assert SyncDrift().score_clip(clip, None)["sync-slope"] == pytest.approx(0.5 * 10 / (249 / 25))


def clip_inputs(count: int, audio: np.ndarray | None, *, fps: int = 25) -> ClipInputs:
    return ClipInputs(
        clip_id="c",
        fps=Fraction(fps),
        n_frames=count,
        height=256,
        width=256,
        reference_image=np.zeros((256, 256, 3), np.uint8),
        audio=audio,
    )


@pytest.fixture(scope="module")
def extractor() -> SyncOpen:
    return SyncOpen({})


def test_refusals(extractor: SyncOpen) -> None:
    with pytest.raises(Unscored, match="no_audio"):
        extractor.begin(clip_inputs(75, None))
    with pytest.raises(Unscored, match="too_short"):
        extractor.begin(clip_inputs(LEAST_FRAMES - 1, spoken()))
    accumulator = extractor.begin(clip_inputs(75, spoken()))
    frames, face = rows_of(75, found=60 / 75 - 0.05)
    accumulator.update(Piece(frames=frames, start=0, upstream={FACE: face}))
    with pytest.raises(Unscored, match="no_face"):
        accumulator.finish()


def rows_of(count: int, *, found: float = 1.0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A face whose mouth opens and shuts, and the rows of the face analysis."""
    points = np.concatenate([face_points() for _ in range(count)])
    points[:, 55:60, 1] += 6 * np.abs(np.sin(np.arange(count)))[:, None]
    frames = np.concatenate([painted(points[row : row + 1]) for row in range(count)])
    known = np.arange(count) < round(found * count)
    return frames, {"found": known, "points68": np.where(known[:, None, None], points, np.nan).astype(np.float32)}


def test_pieces_do_not_matter(extractor: SyncOpen) -> None:
    frames, face = rows_of(80, found=0.9)
    results = []
    for cuts in ((0, 80), (0, 33, 34, 80)):
        accumulator = extractor.begin(clip_inputs(80, spoken(3.2)))
        for start, stop in pairwise(cuts):
            upstream = {FACE: {name: rows[start:stop] for name, rows in face.items()}}
            accumulator.update(Piece(frames=frames[start:stop], start=start, upstream=upstream))
        results.append(accumulator.finish())
    for name in results[0]:
        np.testing.assert_array_equal(results[0][name], results[1][name])
    assert results[0]["distances"].shape == (68, 31)
    assert np.isnan(results[0]["distances"][0, :15]).all()
    assert int(results[0]["found"].sum()) == 72


def test_late_audio_moves_the_curve(extractor: SyncOpen) -> None:
    rng = np.random.default_rng(0)
    mouth = rng.normal(size=(68, 96)).astype(np.float32)
    mouth /= np.linalg.norm(mouth, axis=1, keepdims=True)
    audio = spoken(3.2)
    late = np.concatenate([np.zeros(3 * 640, np.float32), audio])[: len(audio)]
    first, second = (window_features(extractor, mouth, power_spectra(sound, 80)) for sound in (audio, late))
    inner = slice(25, 40)
    np.testing.assert_allclose(second["distances"][inner, 8:], first["distances"][inner, 5:-3], atol=0.15)
