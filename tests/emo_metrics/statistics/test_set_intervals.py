from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from emo_metrics.contract import Unscored
from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.distances.samples import joined
from emo_metrics.statistics import group_jackknife, group_jackknife_difference, pivotal_bootstrap


def _frechet(generated: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Mapping[str, float]:
    return {"fid": frechet_distance(joined(generated), joined(truth))}


def _mean(generated: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Mapping[str, float]:
    return {"mean": float(np.mean([part.mean() for part in generated]))}


def _set(seed: int, clips: int = 40, frames: int = 5, width: int = 4, shift: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"clip{i:03d}": rng.normal(size=(frames, width)) + rng.normal(size=width) + shift for i in range(clips)}


def test_jackknife_of_a_mean_is_the_textbook_standard_error() -> None:
    rng = np.random.default_rng(0)
    clips = {f"c{i:02d}": rng.normal(size=(1, 1)) for i in range(25)}
    interval = group_jackknife(_mean, clips, {}, generator=np.random.default_rng(0), groups=25)["mean"]
    data = np.array([float(v[0, 0]) for v in clips.values()])
    expected = 2.0638985616 * data.std(ddof=1) / 5.0
    assert interval.half_width == pytest.approx(expected, rel=1e-8)
    assert interval.n_units == 25


def test_percentile_bootstrap_misses_its_own_estimate_and_ours_do_not() -> None:
    a, b = _set(1, width=16, clips=30), _set(2, width=16, clips=30)
    people = {clip: clip for clip in a}
    estimate = _frechet(list(a.values()), list(b.values()))["fid"]
    jackknife = group_jackknife(_frechet, a, b, people, generator=np.random.default_rng(0))["fid"]
    pivotal = pivotal_bootstrap(_frechet, a, b, people, generator=np.random.default_rng(0))["fid"]
    assert jackknife.low < estimate < jackknife.high
    # The plain quantiles are 2 * estimate minus the pivotal ends; their lower end lies above the estimate.
    assert 2 * estimate - pivotal.high > estimate
    assert pivotal.high < estimate


def test_identities_are_left_out_whole_and_on_both_sides() -> None:
    a, b = _set(3, clips=12), _set(4, clips=12)
    people = {clip: f"person{i // 4}" for i, clip in enumerate(a)}
    seen: list[tuple[int, int]] = []

    def compute(generated: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Mapping[str, float]:
        seen.append((len(generated), len(truth)))
        return {"v": 1.0}

    interval = group_jackknife(compute, a, b, people, generator=np.random.default_rng(0))["v"]
    assert seen == [(12, 12)] + [(8, 8)] * 3
    assert (interval.low, interval.high, interval.n_units) == (1.0, 1.0, 3)


def test_order_of_clips_does_not_matter() -> None:
    a, b = _set(5), _set(6)
    back = dict(reversed(a.items()))
    for function in (group_jackknife, pivotal_bootstrap):
        first = function(_frechet, a, b, generator=np.random.default_rng(0))
        assert first == function(_frechet, back, b, generator=np.random.default_rng(0))


def test_difference_of_two_systems_is_far_tighter_than_either() -> None:
    truth = _set(7)
    rng = np.random.default_rng(8)
    first = {clip: part + 0.05 * rng.normal(size=part.shape) for clip, part in truth.items()}
    second = {clip: part + 0.2 * rng.normal(size=part.shape) for clip, part in truth.items()}
    other = _set(9)
    generator = np.random.default_rng
    paired = group_jackknife_difference(_frechet, first, second, other, generator=generator(0))["fid"]
    alone = group_jackknife(_frechet, second, other, generator=generator(0))["fid"]
    worse = group_jackknife_difference(_frechet, first, first, other, generator=generator(0))["fid"]
    assert paired.half_width < alone.half_width / 3
    assert (worse.low, worse.high) == (0.0, 0.0)


def test_two_identities_are_too_few() -> None:
    a = _set(10, clips=2)
    for function in (group_jackknife, pivotal_bootstrap):
        with pytest.raises(Unscored, match="at least 3"):
            function(_frechet, a, a, generator=np.random.default_rng(0))


@pytest.mark.slow
def test_jackknife_covers_the_expected_distance_of_this_many_clips() -> None:
    def draw(seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        return _set(2 * seed, clips=60, frames=2, shift=1.0), _set(2 * seed + 1, clips=60, frames=2)

    expected = np.mean([_frechet(list(a.values()), list(b.values()))["fid"] for a, b in map(draw, range(400, 900))])
    hits = 0
    for seed in range(200):
        a, b = draw(seed)
        interval = group_jackknife(_frechet, a, b, generator=np.random.default_rng(seed))["fid"]
        hits += interval.low <= expected <= interval.high
    assert hits / 200 >= 0.90
