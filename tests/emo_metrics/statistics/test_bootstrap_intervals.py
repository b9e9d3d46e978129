from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_metrics.contract import Unscored
from emo_metrics.statistics import cluster_bootstrap, two_level_bootstrap
from emo_metrics.statistics.self_test import simulate_coverage


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _clips(seed: int, n: int) -> tuple[dict[str, float], dict[str, str]]:
    rng = _rng(seed)
    values = {f"clip{i}": float(rng.normal()) for i in range(n)}
    return values, {clip: f"person{i % max(2, n // 3)}" for i, clip in enumerate(values)}


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_same_generator_same_interval_whatever_the_order(method: str) -> None:
    values, people = _clips(1, 30)
    backwards = dict(reversed(list(values.items())))
    first = cluster_bootstrap(values, people, generator=_rng(), method=method)
    assert first == cluster_bootstrap(backwards, people, generator=_rng(), method=method)
    assert first != cluster_bootstrap(values, people, generator=_rng(1), method=method)
    assert first.n_units == 10
    assert method in first.method


def test_agrees_with_scipy_bca_on_independent_clips() -> None:
    rng = _rng(3)
    data = rng.gamma(1.0, size=40)
    values = {f"{i:03d}": float(v) for i, v in enumerate(data)}
    ours = cluster_bootstrap(values, generator=_rng(), resamples=20_000)
    reference = scipy.stats.bootstrap((data,), np.mean, n_resamples=20_000, method="BCa", rng=_rng(5))
    low, high = reference.confidence_interval
    assert ours.low == pytest.approx(low, abs=0.03)
    assert ours.high == pytest.approx(high, abs=0.03)


def test_general_statistic_equals_the_fast_mean() -> None:
    values, people = _clips(4, 24)
    fast = cluster_bootstrap(values, people, generator=_rng(), resamples=300)
    slow = cluster_bootstrap(
        values, people, generator=_rng(), resamples=300, statistic=lambda rows: float(rows[:, 0].mean())
    )
    assert (slow.low, slow.high) == pytest.approx((fast.low, fast.high), rel=1e-12)


def test_rows_of_several_values() -> None:
    rng = _rng(6)
    rows = {f"c{i}": rng.normal(size=2) + np.array([5.0, 3.0]) for i in range(40)}
    interval = cluster_bootstrap(
        rows, generator=_rng(), resamples=500, statistic=lambda r: float(abs(r[:, 0].mean() - r[:, 1].mean()))
    )
    gaps = {clip: float(row[0] - row[1]) for clip, row in rows.items()}
    same = cluster_bootstrap(gaps, generator=_rng(), resamples=500)
    assert (interval.low, interval.high) == pytest.approx((same.low, same.high), rel=1e-9)


def test_clips_of_one_identity_move_together() -> None:
    rng = _rng(7)
    means = rng.normal(size=10)
    values = {f"p{p}c{c}": float(means[p] + 0.01 * rng.normal()) for p in range(10) for c in range(30)}
    people = {clip: clip.split("c")[0] for clip in values}
    by_person = cluster_bootstrap(values, people, generator=_rng())
    by_clip = cluster_bootstrap(values, generator=_rng())
    assert by_person.half_width > 3 * by_clip.half_width
    assert (by_person.n_units, by_clip.n_units) == (10, 300)


@settings(max_examples=30, deadline=None)
@given(
    shift=st.floats(-100, 100),
    scale=st.floats(0.01, 100),
    seed=st.integers(0, 1000),
    method=st.sampled_from(["bca", "percentile"]),
)
def test_intervals_move_with_the_data(shift: float, scale: float, seed: int, method: str) -> None:
    values, people = _clips(seed, 12)
    base = cluster_bootstrap(values, people, generator=_rng(), resamples=200, method=method)
    moved_values = {clip: v * scale + shift for clip, v in values.items()}
    moved = cluster_bootstrap(moved_values, people, generator=_rng(), resamples=200, method=method)
    assert base.low <= base.high
    assert moved.low == pytest.approx(base.low * scale + shift, rel=1e-6, abs=1e-6 * scale)
    assert moved.high == pytest.approx(base.high * scale + shift, rel=1e-6, abs=1e-6 * scale)


def test_constant_values_have_an_interval_of_no_width() -> None:
    interval = cluster_bootstrap(dict.fromkeys("abcdef", 2.5), generator=_rng())
    assert (interval.low, interval.high) == (2.5, 2.5)


@pytest.mark.parametrize(
    ("values", "status"), [({"a": 1.0}, "too_few"), ({}, "too_few"), ({"a": 1.0, "b": float("nan")}, "undefined")]
)
def test_bad_values_have_a_status(values: dict[str, float], status: str) -> None:
    with pytest.raises(Unscored) as found:
        cluster_bootstrap(values, generator=_rng())
    assert found.value.status == status


def test_seeds_widen_the_interval_of_few_clips() -> None:
    rng = _rng(8)
    seeds = {f"c{i}": {f"s{s}": float(rng.normal(scale=3.0)) for s in range(3)} for i in range(8)}
    one_seed_mean = {clip: float(np.mean(list(by.values()))) for clip, by in seeds.items()}
    two = two_level_bootstrap(seeds, generator=_rng(), resamples=1000)
    one = cluster_bootstrap(one_seed_mean, generator=_rng(), method="percentile", resamples=1000)
    assert two.half_width > one.half_width
    assert two == two_level_bootstrap(dict(reversed(seeds.items())), generator=_rng(), resamples=1000)
    with pytest.raises(Unscored):
        two_level_bootstrap({"a": {}, "b": {"s": 1.0}}, generator=_rng())


def test_frames_as_units_break_the_promise_and_clips_keep_it() -> None:
    frames = simulate_coverage(unit="frame", generator=_rng(), runs=60, resamples=100)
    clips = simulate_coverage(unit="clip", generator=_rng(), runs=300, resamples=300)
    assert frames.share < 0.35
    assert 0.90 <= clips.share <= 0.985
    assert frames.mean_width < clips.mean_width / 5


@pytest.mark.slow
def test_coverage_at_the_size_of_the_specification() -> None:
    frames = simulate_coverage(unit="frame", generator=_rng(), runs=300, resamples=200)
    clips = simulate_coverage(unit="clip", generator=_rng(), runs=1000, resamples=1000, method="bca")
    assert 0.10 <= frames.share <= 0.25
    assert 0.92 <= clips.share <= 0.97
