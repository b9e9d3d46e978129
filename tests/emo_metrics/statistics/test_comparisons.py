from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_metrics.contract import Unscored
from emo_metrics.statistics import (
    benjamini_hochberg,
    compare_paired,
    coverage_of,
    holm,
    minimum_detectable_effect,
    rank_stability,
    tie_groups,
    units_needed,
)
from emo_metrics.statistics.paired import sign_flip_p, signed_rank, smallest_p
from emo_metrics.statistics.units import group_into_units


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _values(seed: int, n: int, shift: float = 0.0, base: dict[str, float] | None = None) -> dict[str, float]:
    rng = _rng(seed)
    return {f"clip{i:02d}": (base or {}).get(f"clip{i:02d}", 0.0) + shift + float(rng.normal()) for i in range(n)}


def test_a_clear_difference_is_found_and_none_is_not_invented() -> None:
    base = {clip: v * 10 for clip, v in _values(0, 30).items()}
    better, same = _values(1, 30, 1.5, base), _values(2, 30, 0.0, base)
    found = compare_paired(better, base, generator=_rng())
    assert found.interval.excludes(0.0)
    assert max(found.wilcoxon_p, found.permutation_p) < 0.01
    assert found.rank_biserial > 0.7
    nothing = compare_paired(same, base, generator=_rng())
    assert min(nothing.wilcoxon_p, nothing.permutation_p) > 0.01


def test_swapping_the_systems_swaps_the_sign() -> None:
    a, b = _values(3, 20), _values(4, 20, 0.3)
    one, two = compare_paired(a, b, generator=_rng()), compare_paired(b, a, generator=_rng())
    assert one.difference == -two.difference
    assert one.rank_biserial == pytest.approx(-two.rank_biserial)
    assert one.wilcoxon_p == pytest.approx(two.wilcoxon_p)
    assert one.permutation_p == two.permutation_p


def test_only_shared_clips_count_and_the_others_are_named() -> None:
    a, b = _values(5, 10), _values(6, 12)
    del a["clip00"]
    result = compare_paired(a, b, generator=_rng())
    assert result.n_clips == 9
    assert result.only_second == ("clip00", "clip10", "clip11")
    assert result.only_first == ()
    with pytest.raises(Unscored):
        compare_paired({"x": 1.0}, {"y": 1.0}, generator=_rng())


def test_equal_systems_are_exactly_tied() -> None:
    a = _values(7, 10)
    result = compare_paired(a, dict(a), generator=_rng())
    assert (result.difference, result.wilcoxon_p, result.permutation_p, result.rank_biserial) == (0.0, 1.0, 1.0, 0.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=5, max_size=30))
def test_signed_rank_equals_scipy(data: list[int]) -> None:
    differences = np.array(data, dtype=float)
    p, effect = signed_rank(differences)
    assert 0.0 <= p <= 1.0
    assert -1.0 <= effect <= 1.0
    kept = differences[differences != 0]
    if len(kept) and len(np.unique(np.abs(kept))) == len(kept):
        assert p == pytest.approx(scipy.stats.wilcoxon(kept, method="exact").pvalue)


def test_sign_flips_equal_the_enumeration() -> None:
    units = group_into_units({"a": 1.0, "b": 2.0, "c": 3.0}, None)
    assert sign_flip_p(units, generator=_rng(), resamples=10) == 2 / 8


def test_a_certain_difference_survives_the_correction_for_many_comparisons() -> None:
    many = {f"{i:02d}": 1.0 + 0.01 * i for i in range(40)}
    p = sign_flip_p(group_into_units(many, None), generator=_rng(), resamples=2000)
    assert p == pytest.approx(1e-5, rel=0.01)
    assert p == pytest.approx(smallest_p(40, resamples=2000))
    others = {f"other {i}": 0.5 for i in range(300)}
    assert holm({"this": p, **others})["this"] < 0.05


def test_more_sign_patterns_leave_the_callers_generator_alone_and_keep_large_p() -> None:
    certain = group_into_units({f"{i:02d}": 1.0 for i in range(20)}, None)
    unclear = group_into_units({f"{i:02d}": (-1.0) ** i + 0.1 for i in range(20)}, None)
    states = []
    for units in (certain, unclear):
        generator = _rng()
        sign_flip_p(units, generator=generator, resamples=200)
        states.append(generator.random())
    assert states[0] == states[1]
    signs = _rng().choice(np.array([1.0, -1.0]), size=(200, 20))
    sums = unclear.sums[:, 0]
    extreme = np.sum(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9)
    assert sign_flip_p(unclear, generator=_rng(), resamples=200) == (1 + extreme) / 201


def test_small_p_are_no_smaller_than_they_may_be() -> None:
    rng = _rng(11)
    found = np.array(
        [
            sign_flip_p(
                group_into_units({f"{i:02d}": float(v) for i, v in enumerate(rng.normal(size=16))}, None),
                generator=rng,
                resamples=100,
            )
            for _ in range(400)
        ]
    )
    for level in (0.02, 0.05, 0.2):
        assert np.mean(found <= level) <= level + 3 * np.sqrt(level * (1 - level) / len(found))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_are_monotone_bounded_and_ordered(p: list[float]) -> None:
    named = {f"t{i}": v for i, v in enumerate(p)}
    strict, mild = holm(named), benjamini_hochberg(named)
    reference = scipy.stats.false_discovery_control(p)
    for i, name in enumerate(named):
        assert named[name] <= mild[name] + 1e-15
        assert mild[name] <= strict[name] + 1e-12
        assert strict[name] <= 1.0
        assert mild[name] == pytest.approx(reference[i])
    ordered = sorted(named, key=named.__getitem__)
    assert all(strict[a] <= strict[b] for a, b in pairwise(ordered))


def test_p_values_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="0, 1"):
        holm({"a": 1.5})
    with pytest.raises(ValueError, match="0, 1"):
        benjamini_hochberg({"a": float("nan")})


def test_ranking_follows_direction_and_counts_ties_half() -> None:
    base = _values(8, 25)
    systems = {"good": {c: v + 2 for c, v in base.items()}, "same": dict(base), "twin": dict(base)}
    high = rank_stability(systems, higher_is_better=True, generator=_rng())
    low = rank_stability(systems, higher_is_better=False, generator=_rng())
    assert high.order == ("good", "same", "twin")
    assert low.order == ("same", "twin", "good")
    assert high.above["good"]["same"] == 1.0
    assert high.above["same"]["twin"] == 0.5
    assert high.expected_rank == {"good": 1.0, "same": 2.5, "twin": 2.5}
    assert high.rank_probabilities["good"] == (1.0, 0.0, 0.0)


def test_ranking_probabilities_add_up() -> None:
    systems = {name: _values(i, 15) for i, name in enumerate("abcd")}
    result = rank_stability(systems, higher_is_better=True, generator=_rng())
    for a, b in combinations("abcd", 2):
        assert result.above[a][b] + result.above[b][a] == pytest.approx(1.0)
    assert sum(result.expected_rank.values()) == pytest.approx(10.0)
    shuffled = rank_stability(dict(reversed(systems.items())), higher_is_better=True, generator=_rng())
    assert shuffled == result


def test_tied_runs() -> None:
    order = ["a", "b", "c", "d"]
    different = {frozenset(pair): 0.001 for pair in combinations(order, 2)}
    assert tie_groups(order, different) == []
    assert tie_groups(order, dict.fromkeys(different, 0.9)) == [{"a", "b", "c", "d"}]
    some = {**different, frozenset("bc"): 0.5, frozenset("cd"): 0.5, frozenset("bd"): 0.5}
    assert tie_groups(order, some) == [{"b", "c", "d"}]


def test_detectable_effect_has_the_power_it_claims() -> None:
    rng = _rng(9)
    sample = {f"{i:02d}": float(v) for i, v in enumerate(rng.normal(size=30))}
    spread = np.std(list(sample.values()), ddof=1)
    effect = minimum_detectable_effect(sample) / spread
    found = [scipy.stats.ttest_1samp(rng.normal(size=30) + effect, 0).pvalue < 0.05 for _ in range(1500)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)
    assert units_needed(sample, effect=minimum_detectable_effect(sample)) == 30
    with pytest.raises(ValueError, match="positive"):
        units_needed(sample, effect=0.0)


def test_coverage_bounds() -> None:
    cover = coverage_of(
        {"a": 0.4, "b": 0.6, "z": 9.0}, ["a", "b", "c", "d"], higher_is_better=False, value_range=(0, 1)
    )
    assert (cover.requested, cover.scored, cover.missing, cover.share) == (4, 2, ("c", "d"), 0.5)
    assert (cover.mean_if_worst, cover.mean_if_best) == (0.75, 0.25)
    nothing = coverage_of({}, ["a"], higher_is_better=True)
    assert (nothing.mean, nothing.mean_if_best, nothing.share) == (None, None, 0.0)
