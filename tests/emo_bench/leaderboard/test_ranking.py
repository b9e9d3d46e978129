"""Ranks: never finer than chance allows, the same in any order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_bench.leaderboard.ranking import Score, ranks


def score(cost: float, half: float, level: float = 0.95) -> Score:
    return Score(cost, cost - half, cost + half, level)


def test_clear_differences_give_clear_ranks() -> None:
    assert ranks([score(3, 0.1), score(1, 0.1), score(2, 0.1)]) == [3, 1, 2]


def test_overlap_shares_a_rank() -> None:
    assert ranks([score(1.0, 0.5), score(1.2, 0.5), score(9.0, 0.5)]) == [1, 1, 3]


def test_a_wide_interval_claims_nothing_in_either_direction() -> None:
    # The second is surely better than the third; nothing is known of the first.
    assert ranks([score(2.0, 10.0), score(1.0, 0.1), score(3.0, 0.1)]) == [1, 1, 2]


def test_a_paired_comparison_of_one_record_counts_over_the_intervals() -> None:
    close = [score(1.0, 0.5), score(1.2, 0.5)]
    assert ranks(close) == [1, 1]
    assert ranks(close, {(0, 1): True, (1, 0): False}) == [1, 2]
    far = [score(1.0, 0.1), score(5.0, 0.1)]
    assert ranks(far, {(0, 1): False, (1, 0): False}) == [1, 1]


def test_equal_values_without_spread_are_ties() -> None:
    assert ranks([score(1.0, 0.0), score(1.0, 0.0), score(2.0, 0.0)]) == [1, 1, 3]


def test_more_systems_need_clearer_differences() -> None:
    # p of this pair is 0.02: enough alone, not among 190 pairs.
    pair = [score(0.0, 1.96), score(3.3, 1.96)]
    assert ranks(pair) == [1, 2]
    crowd = [score(1000.0, 1.96) for _ in range(18)]
    assert ranks([*pair, *crowd])[:2] == [1, 1]


def test_chance_alone_seldom_makes_an_order() -> None:
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        means = generator.normal(0, 1, 8)
        wrong += max(ranks([score(float(mean), 1.96) for mean in means])) > 1
    assert wrong / 200 <= 0.08  # 0.05 and what 200 draws allow


def test_levels_are_brought_to_one_another() -> None:
    from scipy.stats import norm

    half = float(norm.ppf(0.995))
    wide = [score(0.0, half, 0.99), score(5.0, half, 0.99)]
    assert ranks(wide) == ranks([score(0.0, 1.96), score(5.0, 1.96)]) == [1, 2]


scores = st.lists(
    st.tuples(st.floats(-100, 100), st.floats(0, 20)).map(lambda pair: score(*pair)), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(scores, st.randoms(use_true_random=False))
def test_order_of_systems_does_not_matter_and_someone_is_first(found: list[Score], random: object) -> None:
    first = ranks(found)
    assert min(first) == 1
    assert all(1 <= rank <= len(found) for rank in first)
    order = list(range(len(found)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert ranks([found[index] for index in order]) == [first[index] for index in order]


@settings(max_examples=60, deadline=None)
@given(scores)
def test_the_best_value_is_never_below_first(found: list[Score]) -> None:
    best = min(range(len(found)), key=lambda index: found[index].cost)
    assert ranks(found)[best] == 1
