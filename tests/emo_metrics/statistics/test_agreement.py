"""Agreement with and between people, and strengths from preferences, against hand-worked cases and known truths."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats

from emo_metrics.contract import Unscored
from emo_metrics.statistics.agreement import (
    agreement_of_raters,
    agreement_with_majority,
    krippendorff_alpha,
    rank_correlation,
    rank_correlation_between,
    rank_correlation_within,
    resampled_interval,
)
from emo_metrics.statistics.bradley_terry import Ballot, bradley_terry, strengths, wins_of


def test_agreement_counts_ties_of_the_number_half_and_leaves_ties_of_raters_out() -> None:
    found = agreement_with_majority(
        np.array([2.0, -2.0, 0.0, np.nan, 1.0]), np.array([9.0, 9, 9, 9, 5]), np.array([6.0, 6, 6, 6, 5])
    )
    assert found[:3].tolist() == [1.0, 0.0, 0.5]
    assert np.isnan(found[3:]).all()


def test_the_ceiling_of_raters_is_that_of_leaving_each_out() -> None:
    generator = np.random.default_rng(0)
    first = generator.integers(0, 9, size=200).astype(float)
    second = generator.integers(0, 9, size=200).astype(float)
    found = agreement_of_raters(first, second)
    for n, m, value in zip(first, second, found, strict=True):
        opinions = [1] * int(n) + [-1] * int(m)
        if len(opinions) < 2:
            assert np.isnan(value)
            continue
        total = sum(opinions)
        expected = np.mean([(1 + mine * np.sign(total - mine)) / 2 for mine in opinions])
        assert value == pytest.approx(expected)


def test_rank_correlation_is_scipys() -> None:
    generator = np.random.default_rng(1)
    a = generator.integers(0, 6, size=50)
    b = a + generator.normal(size=50)
    assert rank_correlation(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    with pytest.raises(Unscored, match="undefined"):
        rank_correlation([1, 1, 1], [1, 2, 3])
    with pytest.raises(Unscored, match="too_few"):
        rank_correlation([1, 2], [1, 2])


def test_a_number_that_ranks_systems_but_not_clips_is_seen_as_such() -> None:
    """Simpson's paradox: between systems the order is right, within each it is reversed."""
    systems = np.repeat(["a", "b", "c"], 5)
    within = np.tile(np.arange(5.0), 3)
    level = np.repeat([0.0, 10.0, 20.0], 5)
    number, opinion = level - within, level + within
    assert rank_correlation_within(number, opinion, systems) == pytest.approx(-1)
    assert rank_correlation_between(number, opinion, systems) == pytest.approx(1)
    assert 0 < rank_correlation(number, opinion) < 1


def test_intervals_draw_units_not_items() -> None:
    """Ten copies of each unit's value add no information: the interval stays as wide as over the units alone."""
    values = np.random.default_rng(2).normal(size=12)
    copies, units = np.repeat(values, 10), np.repeat(np.arange(12), 10)

    def mean_of(data: np.ndarray, groups: np.ndarray) -> float:
        made = resampled_interval(
            lambda chosen: float(data[chosen].mean()), groups, generator=np.random.default_rng(3), resamples=2000
        )
        return made.half_width

    assert mean_of(copies, units) == pytest.approx(mean_of(values, np.arange(12)), rel=1e-9)
    with pytest.raises(Unscored, match="too_few"):
        mean_of(values, np.zeros(12))


def test_alpha_is_one_for_full_agreement_and_about_zero_for_chance() -> None:
    assert krippendorff_alpha(np.array([[5.0, 0], [0, 5], [5, 0]])) == pytest.approx(1)
    answers = np.random.default_rng(4).integers(0, 2, size=(400, 6))
    counts = np.stack([(answers == value).sum(axis=1) for value in (0, 1)], axis=1).astype(float)
    assert abs(krippendorff_alpha(counts)) < 0.05
    with pytest.raises(Unscored, match="all answers are equal"):
        krippendorff_alpha(np.array([[5.0, 0], [5, 0]]))
    with pytest.raises(Unscored, match="two raters"):
        krippendorff_alpha(np.array([[1.0, 0], [0, 1]]))


def _votes(truth: np.ndarray, *, n_raters: int, n_clips: int, seed: int) -> Ballot:
    generator = np.random.default_rng(seed)
    rows = []
    for rater in range(n_raters):
        for clip in range(n_clips):
            for a in range(len(truth)):
                for b in range(a + 1, len(truth)):
                    wins = generator.random() < scipy.special.expit(truth[a] - truth[b])
                    rows.append((a, b, rater, clip) if wins else (b, a, rater, clip))
    winner, loser, raters, clips = np.array(rows).T
    names = tuple("abcdefgh"[: len(truth)])
    return Ballot(systems=names, winner=winner, loser=loser, weight=np.ones(len(rows)), rater=raters, clip=clips)


def test_known_strengths_are_recovered_and_lie_in_their_intervals() -> None:
    truth = np.array([1.2, 0.3, -0.5, -1.0])
    ballot = _votes(truth, n_raters=12, n_clips=12, seed=5)
    found = bradley_terry(ballot, generator=np.random.default_rng(6), resamples=200)
    assert [item.system for item in found] == ["a", "b", "c", "d"]
    for item in found:
        true = truth["abcd".index(item.system)]
        assert item.value == pytest.approx(true, abs=0.2)
        assert item.low is not None
        assert item.high is not None
        assert item.low < true < item.high
    assert sum(item.value for item in found) == pytest.approx(0, abs=1e-6)


def test_strengths_are_the_maximum_of_the_likelihood() -> None:
    wins = np.array([[0.0, 8, 3], [4, 0, 6], [5, 2, 0]])
    theta = strengths(wins, virtual=0)
    odds = scipy.special.expit(theta[:, None] - theta[None, :])
    expected = ((wins + wins.T) * odds).sum(axis=1)
    assert expected == pytest.approx(wins.sum(axis=1), abs=1e-5)  # Bradley and Terry's condition


def test_a_system_that_always_wins_keeps_a_finite_strength_and_ties_are_even() -> None:
    theta = strengths(np.array([[0.0, 20], [0, 0]]))
    assert np.isfinite(theta).all()
    assert theta[0] > 1
    even = strengths(np.array([[0.0, 7.5, 2], [7.5, 0, 2], [2, 2, 0]]))
    assert even == pytest.approx(np.zeros(3), abs=1e-6)


def test_systems_that_never_met_are_not_ranked() -> None:
    wins = np.zeros((4, 4))
    wins[0, 1] = wins[2, 3] = 5
    with pytest.raises(Unscored, match="do not link"):
        strengths(wins)
    with pytest.raises(Unscored, match="too_few"):
        strengths(np.zeros((2, 2)))


def test_one_rater_and_one_clip_give_no_interval() -> None:
    ballot = _votes(np.array([1.0, -1.0]), n_raters=1, n_clips=1, seed=7)
    found = bradley_terry(ballot, generator=np.random.default_rng(8))
    assert all(item.low is None and item.high is None for item in found)
    assert wins_of(ballot).sum() == 1


def test_raters_who_see_no_difference_agree_by_half() -> None:
    """Two ties are no two votes against each other: every rater's others are tied, which counts half."""
    both, one = agreement_of_raters(np.array([1.0, 1.5]), np.array([1.0, 0.5]), np.array([2.0, 1.0]))
    assert both == 0.5
    assert one == 0.5
