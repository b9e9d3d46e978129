"""Kernel distance (KID on Inception features, KVD on video features): unbiased squared MMD with a cubic kernel.

    k(x, y) = (xᵀy / d + 1)³        (Binkowski et al. 2018, arXiv 1801.01401)

Unlike a Fréchet distance it has no bias with the number of samples, so small sets can be compared; it may be slightly
negative when the two sets have the same distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Unscored
from emo_metrics.distances.samples import checked_samples, require_same_width

_BLOCK_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """Mean and spread over random subsets, as KID is published.

    Attributes:
        value: Mean over the subsets.
        std: Standard deviation over the subsets (not a confidence interval: subsets overlap).
        subsets: How many.
        subset_size: Samples of either side in each.
    """

    value: float
    std: float
    subsets: int
    subset_size: int


def polynomial_mmd2(samples_a: NDArray[np.generic], samples_b: NDArray[np.generic]) -> float:
    """Unbiased squared maximum mean discrepancy over all samples; lower is better.

    Args:
        samples_a: ``[n, d]``, at least two rows.
        samples_b: ``[m, d]``, at least two rows; n and m may differ.

    Raises:
        Unscored: ``too_few`` for fewer than two rows, ``undefined`` for NaN, infinity or different dimensions.
    """
    a = checked_samples(samples_a, side="generated")
    b = checked_samples(samples_b, side="truth")
    require_same_width(a, b)
    n, m = len(a), len(b)
    with np.errstate(over="ignore", invalid="ignore"):
        within_a = (_kernel_sum(a, a) - _kernel_diagonal_sum(a)) / (n * (n - 1))
        within_b = (_kernel_sum(b, b) - _kernel_diagonal_sum(b)) / (m * (m - 1))
        value = within_a + within_b - 2.0 * _kernel_sum(a, b) / (n * m)
    if not np.isfinite(value):
        raise Unscored("undefined", "the kernel distance overflowed; the features are too large")
    return value


def kernel_distance(
    samples_a: NDArray[np.generic],
    samples_b: NDArray[np.generic],
    *,
    generator: np.random.Generator,
    subsets: int = 100,
    largest_subset: int = 1000,
) -> KernelDistance:
    """KID as published: the mean of ``polynomial_mmd2`` over random subsets drawn without replacement.

    Args:
        samples_a: ``[n, d]``.
        samples_b: ``[m, d]``.
        generator: Draws the subsets; the same generator state gives the same number.
        subsets: How many subsets.
        largest_subset: Subset size; a smaller set sets it lower.

    Raises:
        Unscored: as ``polynomial_mmd2``.
    """
    a = checked_samples(samples_a, side="generated")
    b = checked_samples(samples_b, side="truth")
    require_same_width(a, b)
    size = min(largest_subset, len(a), len(b))
    values = np.array([_one_subset(a, b, size=size, generator=generator) for _ in range(subsets)])
    return KernelDistance(value=float(values.mean()), std=float(values.std()), subsets=subsets, subset_size=size)


def _one_subset(a: NDArray[np.float64], b: NDArray[np.float64], *, size: int, generator: np.random.Generator) -> float:
    rows_a = generator.choice(len(a), size, replace=False)
    rows_b = generator.choice(len(b), size, replace=False)
    return polynomial_mmd2(a[rows_a], b[rows_b])


def _kernel_sum(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    # In blocks of rows, so that memory stays at block x m for any number of samples.
    width = a.shape[1]
    blocks = (a[start : start + _BLOCK_ROWS] for start in range(0, len(a), _BLOCK_ROWS))
    return float(sum(float(np.sum((block @ b.T / width + 1.0) ** 3)) for block in blocks))


def _kernel_diagonal_sum(a: NDArray[np.float64]) -> float:
    return float(np.sum((np.sum(a * a, axis=1) / a.shape[1] + 1.0) ** 3))
