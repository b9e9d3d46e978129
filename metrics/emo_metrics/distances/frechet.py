"""Fréchet distance between two sets of features, in float64 and without a matrix square root.

For Gaussians fitted to two sample sets with means ``m`` and covariances ``S``,

    d² = |m1 − m2|² + tr S1 + tr S2 − 2 tr sqrt(S1 S2).

With the centred features ``A / sqrt(n − 1)`` and ``B / sqrt(m − 1)`` as factors of the covariances the last trace is
the sum of the singular values of ``A Bᵀ`` (its nuclear norm). That form needs no covariance, is exact for fewer samples
than dimensions, and is never complex (Dowson and Landau 1982; Heusel et al. 2017, arXiv 1706.08500).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from emo_metrics.contract import Unscored
from emo_metrics.distances.samples import checked_samples, require_same_width

_RESOLUTION = 256 * np.finfo(np.float64).eps
"""Relative to the sum of its terms, what is left of a distance of zero after rounding (measured: below 1e-14)."""


def frechet_distance(
    samples_a: NDArray[np.generic],
    samples_b: NDArray[np.generic],
    *,
    covariance: Literal["unbiased", "population"] = "unbiased",
) -> float:
    """Fréchet distance between two sample sets; lower is better, in squared feature units.

    Args:
        samples_a: ``[n, d]``, at least two rows.
        samples_b: ``[m, d]``, at least two rows.
        covariance: Divide by N − 1, or by N as a few implementations do.

    Returns:
        A number of at least 0; exactly 0.0 for a set against itself.

    Raises:
        Unscored: ``too_few`` for fewer than two rows, ``undefined`` for NaN, infinity or different dimensions.

    >>> points = np.array([[0.0, 0.0], [2.0, 0.0]])
    >>> frechet_distance(points, points + 3.0)
    18.0
    """
    a = checked_samples(samples_a, side="generated")
    b = checked_samples(samples_b, side="truth")
    require_same_width(a, b)
    factor_a, factor_b = _covariance_factor(a), _covariance_factor(b)
    if covariance == "population":
        factor_a = factor_a * np.sqrt((len(a) - 1) / len(a))
        factor_b = factor_b * np.sqrt((len(b) - 1) / len(b))
    return _assemble(a.mean(axis=0) - b.mean(axis=0), factor_a, factor_b)


def _covariance_factor(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """``F [k, d]`` with ``FᵀF`` the unbiased covariance, and k at most d."""
    centred: NDArray[np.float64] = (samples - samples.mean(axis=0)) / np.sqrt(len(samples) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    # Many samples: the triangular factor has the same Gram matrix and is never larger than d x d.
    (triangular,) = scipy.linalg.qr(centred, mode="r", check_finite=False)
    return np.asarray(triangular[: centred.shape[1]], dtype=np.float64)


def _assemble(difference: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    nuclear_norm = float(scipy.linalg.svdvals(a @ b.T, check_finite=False).sum())
    mean_term = float(difference @ difference)
    trace_a, trace_b = float(np.sum(a * a)), float(np.sum(b * b))
    value = mean_term + trace_a + trace_b - 2.0 * nuclear_norm
    scale = mean_term + trace_a + trace_b
    if not np.isfinite(value):
        raise Unscored("undefined", "the Fréchet distance overflowed; the features are too large")
    # The exact value is never negative: what is within the rounding error of its own terms is zero.
    if value <= _RESOLUTION * scale:
        if value < -1e-9 * scale:
            raise ArithmeticError(f"a Fréchet distance of {value} is beyond rounding error; please report the features")
        return 0.0
    return value


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What a Gaussian fit keeps of a sample set.

    Attributes:
        count: Number of samples.
        mean: ``float64 [d]``.
        scatter: ``float64 [d, d]``, the sum of outer products of the centred samples.
    """

    count: int
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Unbiased covariance ``float64 [d, d]``.

        Raises:
            Unscored: ``too_few`` with fewer than two samples.
        """
        if self.count < 2:
            raise Unscored("too_few", f"a covariance needs at least two samples, found {self.count}")
        return self.scatter / (self.count - 1)

    def merged(self, other: Moments) -> Moments:
        """The moments of both sample sets together (Chan, Golub and LeVeque 1979)."""
        require_same_width(self.mean, other.mean)
        count = self.count + other.count
        if count == 0:
            return self
        difference = other.mean - self.mean
        mean = self.mean + difference * (other.count / count)
        scatter = self.scatter + other.scatter
        scatter = scatter + np.outer(difference, difference) * (self.count * other.count / count)
        return Moments(count=count, mean=mean, scatter=scatter)

    @classmethod
    def of(cls, samples: NDArray[np.generic]) -> Moments:
        """Moments of ``[n, d]``, n at least 1.

        Raises:
            Unscored: as ``checked_samples``.
        """
        array = checked_samples(samples, side="samples", minimum=1)
        mean = array.mean(axis=0)
        centred = array - mean
        return cls(count=len(array), mean=mean, scatter=centred.T @ centred)

    @classmethod
    def empty(cls, width: int) -> Moments:
        """Moments of no samples of dimension ``width``."""
        return cls(count=0, mean=np.zeros(width), scatter=np.zeros((width, width)))


class MomentAccumulator:
    """Streams samples into moments; memory is d² whatever the number of samples.

    >>> stream = MomentAccumulator(2)
    >>> stream.update(np.array([[0.0, 1.0], [2.0, 1.0]]))
    >>> stream.update(np.array([[4.0, 4.0]]))
    >>> stream.moments.count, stream.moments.mean.tolist()
    (3, [2.0, 2.0])
    """

    def __init__(self, width: int) -> None:
        self.moments = Moments.empty(width)

    def update(self, samples: NDArray[np.generic]) -> None:
        """Adds ``[n, d]``; n may be 0.

        Raises:
            Unscored: ``undefined`` for NaN, infinity or another dimension.
        """
        if len(samples):
            self.moments = self.moments.merged(Moments.of(samples))

    def merge(self, others: Iterable[MomentAccumulator]) -> None:
        """Adds what other accumulators have seen, in the order given."""
        for other in others:
            self.moments = self.moments.merged(other.moments)


def frechet_from_moments(a: Moments, b: Moments) -> float:
    """Fréchet distance from stored means and covariances; agrees with ``frechet_distance`` to rounding.

    Each covariance is factored by its eigenvectors; eigenvalues within rounding of zero are taken as zero.

    Raises:
        Unscored: ``too_few`` for fewer than two samples on a side, ``undefined`` for different dimensions.
    """
    require_same_width(a.mean, b.mean)
    return _assemble(a.mean - b.mean, _eigen_factor(a.covariance), _eigen_factor(b.covariance))


def _eigen_factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(covariance).all():
        raise Unscored("undefined", "a covariance holds NaN or infinity")
    values, vectors = scipy.linalg.eigh((covariance + covariance.T) / 2.0, check_finite=False)
    floor = len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    kept = values > floor
    factor = (vectors[:, kept] * np.sqrt(values[kept])).T
    return np.asarray(factor, dtype=np.float64) if kept.any() else np.zeros((1, len(values)))
