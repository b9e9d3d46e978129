"""What this number of units can tell from nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.stats

from emo_metrics.statistics.units import group_into_units


def minimum_detectable_effect(
    differences: Mapping[str, float],
    clusters: Mapping[str, str] | None = None,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Smallest true mean difference that a two-sided paired t test would find with the given power.

    Args:
        differences: Clip id -> paired difference of two systems (or of a system and the ground truth).
        clusters: Clip id -> identity; None makes every clip its own unit.
        alpha: Size of the test.
        power: Chance of finding it.

    Raises:
        Unscored: ``too_few`` for fewer than two units, ``undefined`` for values that are not finite.
    """
    means = group_into_units(differences, clusters).means[:, 0]
    n = len(means)
    quantiles = scipy.stats.t.ppf(1 - alpha / 2, n - 1) + scipy.stats.t.ppf(power, n - 1)
    return float(quantiles * means.std(ddof=1) / np.sqrt(n))


def units_needed(
    differences: Mapping[str, float],
    clusters: Mapping[str, str] | None = None,
    *,
    effect: float,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """How many units like these would find a mean difference of ``effect``.

    Raises:
        Unscored: as ``minimum_detectable_effect``.
        ValueError: when ``effect`` is not positive.
    """
    if effect <= 0:
        raise ValueError(f"expected a positive effect, found {effect}")
    spread = float(group_into_units(differences, clusters).means[:, 0].std(ddof=1))
    n = 2
    while True:
        quantiles = scipy.stats.t.ppf(1 - alpha / 2, n - 1) + scipy.stats.t.ppf(power, n - 1)
        if quantiles * spread / np.sqrt(n) <= effect:
            return n
        # The normal form is a lower bound, so jumping to it never skips the answer.
        z = scipy.stats.norm.ppf(1 - alpha / 2) + scipy.stats.norm.ppf(power)
        n = max(n + 1, int(np.ceil((z * spread / effect) ** 2)))
