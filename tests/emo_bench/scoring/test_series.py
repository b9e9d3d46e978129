"""Curves over frames and lags: sign, gaps, and that they are what the protocols average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emo_bench.record.run_data import load_run
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import suite_from_values
from emo_bench.scoring.series import agreement_over_offsets, identity_over_time, sync_over_time
from emo_metrics.metrics.open_lip_sync import spoken_curve
from emo_metrics.signals.sync_curve import lag_distances, sync_scores


@pytest.mark.parametrize("late", [-7, -1, 0, 4])
def test_the_peak_lies_at_the_protocols_offset(late: int) -> None:
    generator = np.random.default_rng(3)
    mouth = generator.normal(size=(80, 16))
    sound = np.roll(mouth, late, axis=0)  # what belongs to mouth window i is heard at window i + late
    distances = lag_distances(mouth, sound)
    curve = agreement_over_offsets(distances)
    assert int(np.argmax(curve)) - len(curve) // 2 == sync_scores(distances).offset == -late
    assert np.median(curve) == pytest.approx(0.0)


def test_windows_beyond_the_sound_do_not_count() -> None:
    distances = np.array([[1.0, np.nan, 3.0], [3.0, np.nan, 5.0]])
    np.testing.assert_allclose(agreement_over_offsets(distances), [-1.0, np.nan, 1.0])
    assert np.isnan(agreement_over_offsets(np.full((4, 3), np.nan))).all()


def test_identity_is_unknown_where_a_face_is_missing() -> None:
    rows = np.array([[1.0, 0.0], [np.nan, np.nan], [0.6, 0.8]])
    np.testing.assert_allclose(
        identity_over_time({"embedding": rows, "reference_embedding": np.array([[0.6, 0.8]])}), [60.0, np.nan, 100.0]
    )
    nobody = np.full((1, 2), np.nan)
    assert np.isnan(identity_over_time({"embedding": rows, "reference_embedding": nobody})).all()


def test_windows_of_several_tracks_stand_where_their_frames_are() -> None:
    distances = np.array([[9.0, value, 9.0] for value in (1.0, 2.0, 3.0, 4.0, 5.0)])
    arrays = {
        "distances": distances,
        "track": np.array([0, 0, 1, 1, 1]),
        "track_frames": np.array([[0, 8], [6, 9]]),
    }
    unknown = np.nan
    expected = [unknown, unknown, 1.0, 2.0, unknown, unknown, unknown, unknown, 3.0, 4.0, 5.0]
    np.testing.assert_array_equal(sync_over_time(arrays, before=2), expected)
    overlapping = {**arrays, "track_frames": np.array([[0, 8], [1, 9]])}
    np.testing.assert_array_equal(sync_over_time(overlapping, before=2), [unknown, unknown, 1.0, 2.0, 4.0, 5.0])
    assert sync_over_time({"distances": np.zeros((0, 3))}, before=2).size == 0


def test_windows_without_speech_are_in_the_curve_as_little_as_in_the_value() -> None:
    rng = np.random.default_rng(0)
    distances, speech = rng.uniform(0.5, 1.5, size=(40, 31)), rng.random(40) < 0.6
    curve = sync_over_time({"distances": distances, "speech": speech}, before=6)
    assert len(curve) == 46
    assert np.isnan(curve[6:][~speech]).all()
    assert np.nanmean(curve) == pytest.approx(spoken_curve(distances, speech)[15])


def test_curves_of_a_run_are_what_its_values_average(tmp_path: Path) -> None:
    values = {
        "name": "curves",
        "dataset": {"kind": "hdtf-synth", "slice": "mini", "max_clips": 1},
        "metrics": ["f-sim/synth@1", "sync/synth@1"],
        "anchors": ["reencoded"],
        "execution": {"workers": 1},
        "store": str(tmp_path / "store"),
        "output": str(tmp_path / "run"),
    }
    run_suite(suite_from_values(values, base=tmp_path))
    run = load_run(tmp_path / "run")
    (clip,) = (clip.id for clip in run.record.clips)
    for system in ("ground-truth", "reencoded"):
        curves = {series.name: series for series in run.series if series.system == system}
        for name, protocol, key in (
            ("identity", "f-sim/synth@1", "f-sim"),
            ("sync_distance", "sync/synth@1", "lse-d-0"),
        ):
            assert curves[name].fps == 25.0
            known = np.asarray(curves[name].values)
            assert np.nanmean(known) == pytest.approx(run.clip_means(system, protocol, key)[clip])
            assert np.isfinite(known).mean() > 0.8
        frames = len(curves["identity"].values)
        assert len(curves["mouth_opening"].values) == frames
        assert len(curves["sync_distance"].values) == frames - 4
