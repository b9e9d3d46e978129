from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, Unscored
from emo_metrics.metrics.fid import FidInfinityOpen, FidOpen, FidPytorchFid, KidClean
from emo_metrics.metrics.fvd import FvdCdI3d, FvdStyleganV, KvdCdI3d


def _clips(seed: int, count: int = 12, rows: int = 4, width: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(rows, width)) + rng.normal(size=width) for _ in range(count)]


def test_samples_are_the_features_in_double_precision() -> None:
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    clip = ClipFeatures(
        clip_id="c",
        identity="p",
        fps=Fraction(25),
        n_frames=100,
        arrays={"inception/pytorch-fid@1": {"features": features, "frame": np.arange(4)}},
    )
    samples = FidPytorchFid().samples(clip)
    assert samples.dtype == np.float64
    assert np.array_equal(samples, features)


@pytest.mark.parametrize("metric", [FidOpen(), KidClean(), FvdStyleganV(), FvdCdI3d(), KvdCdI3d(), FidInfinityOpen()])
def test_order_of_clips_never_changes_a_digit(metric: FidOpen) -> None:
    a, b = _clips(0), _clips(1)
    assert metric.compute(a, b) == metric.compute(a[::-1], b[5:] + b[:5])


@pytest.mark.parametrize("metric", [FidOpen(), KidClean(), FvdCdI3d()])
def test_bad_sets_have_a_status(metric: FidOpen) -> None:
    good = _clips(0)
    broken = [*good[1:], np.full((4, 6), np.nan)]
    for generated, status in (
        ([], "too_few"),
        ([good[0][:1]], "too_few"),
        (broken, "undefined"),
        ([np.ones((4, 5))], "undefined"),
    ):
        with pytest.raises(Unscored) as found:
            metric.compute(generated, good)
        assert found.value.status == status


def test_one_clip_and_fewer_samples_than_dimensions_have_a_value() -> None:
    a, b = _clips(0, count=1, width=300), _clips(1, count=1, width=300)
    assert FidOpen().compute(a, b)["fid"] > 0
    assert FidOpen().compute(a, a)["fid"] == 0.0
    with pytest.raises(Unscored, match="at least 8"):
        FidInfinityOpen().compute(a, b)


def test_sets_farther_apart_have_larger_distances() -> None:
    truth = _clips(0)
    for metric in (FidOpen(), FvdCdI3d(), KvdCdI3d(), KidClean()):
        (key,) = (value.key for value in metric.spec.values)
        values = [metric.compute([clip + shift for clip in truth], truth)[key] for shift in (0.0, 0.5, 2.0)]
        assert values[0] < values[1] < values[2]
