from __future__ import annotations

import numpy as np
import pytest

from emo_metrics.contract import Unscored
from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.distances.infinity import frechet_infinity
from emo_metrics.distances.kernel import kernel_distance, polynomial_mmd2


def test_mmd_equals_the_double_sum() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 0.5

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within_a = np.mean([k(a[i], a[j]) for i in range(7) for j in range(7) if i != j])
    within_b = np.mean([k(b[i], b[j]) for i in range(5) for j in range(5) if i != j])
    across = np.mean([k(x, y) for x in a for y in b])
    assert polynomial_mmd2(a, b) == pytest.approx(within_a + within_b - 2 * across, rel=1e-12)


def test_mmd_has_no_bias_with_the_number_of_samples() -> None:
    rng = np.random.default_rng(1)
    small = [polynomial_mmd2(rng.normal(size=(10, 8)), rng.normal(size=(12, 8))) for _ in range(400)]
    assert abs(np.mean(small)) < 4 * np.std(small) / 20


def test_mmd_blocks_do_not_change_the_sum() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2100, 4)), rng.normal(size=(1500, 4)) * 1.2
    gram = {key: (x @ y.T / 4 + 1) ** 3 for key, x, y in (("aa", a, a), ("bb", b, b), ("ab", a, b))}
    expected = (gram["aa"].sum() - np.trace(gram["aa"])) / (2100 * 2099)
    expected += (gram["bb"].sum() - np.trace(gram["bb"])) / (1500 * 1499) - 2 * gram["ab"].mean()
    assert polynomial_mmd2(a, b) == pytest.approx(expected, rel=1e-9)


def test_subsets_follow_the_generator_and_shrink_for_small_sets() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(50, 4)), rng.normal(size=(40, 4)) + 1
    first, again, other = (kernel_distance(a, b, generator=np.random.default_rng(s), subsets=5) for s in (0, 0, 1))
    assert first == again
    assert first.subset_size == 40
    assert first.value != other.value
    assert first.value == pytest.approx(polynomial_mmd2(a, b), rel=0.1)


@pytest.mark.parametrize("bad", [np.ones((1, 4)), np.full((3, 4), np.nan), np.ones((3, 5)), np.ones((3, 4)) * 1e200])
def test_bad_features_are_unscored(bad: np.ndarray) -> None:
    with pytest.raises(Unscored):
        polynomial_mmd2(bad, np.ones((4, 4)))


def test_extrapolation_removes_most_of_the_bias() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(800, 32)), rng.normal(size=(800, 32))
    plain = frechet_distance(a, b)
    fit = frechet_infinity([r[None] for r in a], [r[None] for r in b], generator=np.random.default_rng(0))
    assert plain > 0.3
    assert abs(fit.value) < 0.25 * plain
    assert fit.r_squared > 0.95
    assert fit.sizes[-1] == 800
    one_sided = frechet_infinity(
        [r[None] for r in a], [r[None] for r in b], generator=np.random.default_rng(0), both_sides=False
    )
    assert fit.value < one_sided.value < plain


def test_extrapolation_does_not_depend_on_the_order_of_clips() -> None:
    rng = np.random.default_rng(5)
    clips = [rng.normal(size=(6, 3)) for _ in range(12)]
    truth = [rng.normal(size=(6, 3)) for _ in range(12)]
    first = frechet_infinity(clips, truth, generator=np.random.default_rng(0))
    again = frechet_infinity(clips[::-1], truth[3:] + truth[:3], generator=np.random.default_rng(0))
    assert first == again


def test_extrapolation_of_few_clips_is_refused() -> None:
    with pytest.raises(Unscored, match="at least 8"):
        frechet_infinity([np.ones((5, 2))] * 3, [np.ones((5, 2))] * 30, generator=np.random.default_rng(0))
