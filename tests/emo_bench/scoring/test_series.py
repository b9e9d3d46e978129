"""Curves over lags for the report: sign, gaps, and that every listed array exists under its name."""

from __future__ import annotations

import numpy as np
import pytest

from emo_bench.scoring.series import agreement_over_offsets
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
