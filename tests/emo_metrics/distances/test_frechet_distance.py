from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_metrics.contract import Unscored
from emo_metrics.distances.frechet import MomentAccumulator, Moments, frechet_distance, frechet_from_moments
from emo_metrics.distances.samples import joined


def _gaussian(n: int, d: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) * scale


def test_closed_form_of_diagonal_gaussians() -> None:
    # Four points that have exactly mean 0 and a diagonal covariance.
    base = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    a, b = base * [1.0, 2.0], base * [3.0, 5.0] + [1.0, -2.0]
    unit = 2.0 / 3.0
    expected = 5.0 + unit * ((1 - 3) ** 2 + (2 - 5) ** 2)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("n", "d"), [(40, 512), (300, 64), (64, 64), (2, 7), (65, 64)])
def test_distance_to_itself_is_exactly_zero(n: int, d: int) -> None:
    a = _gaussian(n, d, seed=n)
    assert frechet_distance(a, a) == 0.0
    assert frechet_distance(a + 1e3, a + 1e3) == 0.0
    assert frechet_from_moments(Moments.of(a), Moments.of(a)) == 0.0


@pytest.mark.parametrize(("n", "m", "d"), [(500, 400, 32), (40, 900, 64), (30, 20, 128), (65, 64, 64)])
def test_samples_and_moments_agree(n: int, m: int, d: int) -> None:
    a, b = _gaussian(n, d, 1), _gaussian(m, d, 2, 1.5) + 0.3
    assert frechet_from_moments(Moments.of(a), Moments.of(b)) == pytest.approx(frechet_distance(a, b), rel=1e-10)


def test_equals_the_matrix_square_root_where_that_is_well_conditioned() -> None:
    a, b = _gaussian(2000, 16, 3), _gaussian(1500, 16, 4, 2.0) + 1.0
    s1, s2 = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    reference = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(reference, rel=1e-10)


def test_streaming_is_independent_of_pieces_and_shards() -> None:
    a = _gaussian(317, 12, 5) + 50.0
    whole = Moments.of(a)
    stream = MomentAccumulator(12)
    other = MomentAccumulator(12)
    for piece in np.array_split(a[:200], 7):
        stream.update(piece)
    other.update(a[200:])
    other.update(a[:0])
    stream.merge([other])
    assert stream.moments.count == 317
    np.testing.assert_allclose(stream.moments.covariance, whole.covariance, rtol=0, atol=1e-12)


def test_joined_does_not_depend_on_the_order_of_clips() -> None:
    clips = [_gaussian(n, 6, n) for n in (5, 3, 9)]
    assert np.array_equal(joined(clips), joined(clips[::-1]))


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 30),
    m=st.integers(2, 30),
    d=st.integers(1, 20),
    seed=st.integers(0, 10_000),
    exponent=st.integers(-8, 8),
)
def test_symmetric_positive_rotation_and_scale_invariant(n: int, m: int, d: int, seed: int, exponent: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + rng.normal()
    value = frechet_distance(a, b)
    assert value >= 0.0
    assert frechet_distance(b, a) == pytest.approx(value, rel=1e-9, abs=1e-12)
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(value, rel=1e-8, abs=1e-11)
    scale = 10.0**exponent
    assert frechet_distance(a * scale, b * scale) == pytest.approx(value * scale**2, rel=1e-8, abs=1e-11 * scale**2)


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (np.array([[np.nan, 1.0], [1, 2]]), "undefined"),
        (np.array([[np.inf, 1.0], [1, 2]]), "undefined"),
        (np.ones((1, 2)), "too_few"),
        (np.ones((0, 2)), "too_few"),
        (np.ones((5, 3)), "undefined"),
        (np.ones(4), "undefined"),
    ],
)
def test_bad_features_have_a_status(bad: np.ndarray, status: str) -> None:
    with pytest.raises(Unscored) as found:
        frechet_distance(bad, np.ones((4, 2)))
    assert found.value.status == status


def test_one_sample_moments_are_refused() -> None:
    with pytest.raises(Unscored, match="at least two"):
        frechet_from_moments(Moments.of(np.ones((1, 3))), Moments.of(np.ones((5, 3))))
