"""Intervals for numbers that exist for a whole set only, such as Fréchet distances.

Drawing clips with replacement adds its own bias to a Fréchet distance (a doubled clip looks like a narrower
distribution), so a percentile bootstrap may not even contain the estimate. Two forms respect that:

* ``group_jackknife``: estimate ± t · standard error from leaving out one group of identities after the other. It is an
  interval for the distance *at this number of clips*.
* ``pivotal_bootstrap``: 2 · estimate − quantiles of the bootstrap. The added bias stands in for the estimate's own, so
  it is an interval for the distance *without sampling bias*, and may lie below the estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from emo_metrics.contract import Unscored
from emo_metrics.statistics.interval import Interval

SetCompute = Callable[[Sequence[NDArray[np.float64]], Sequence[NDArray[np.float64]]], Mapping[str, float]]
"""``compute(generated_subset, truth_subset)``: one array of samples per clip on either side -> values by key."""

Samples = Mapping[str, NDArray[np.float64]]
"""Clip id -> samples ``float64 [n, d]``."""


def group_jackknife(
    compute: SetCompute,
    generated: Samples,
    truth: Samples,
    clusters: Mapping[str, str] | None = None,
    *,
    generator: np.random.Generator,
    groups: int = 20,
    level: float = 0.95,
) -> Mapping[str, Interval]:
    """Delete-a-group jackknife over identities; the same identities are left out on both sides.

    Args:
        compute: The metric.
        generated: Samples of the generated clips.
        truth: Samples of the ground-truth clips.
        clusters: Clip id -> identity; None makes every clip its own unit.
        generator: Deals identities into groups.
        groups: Number of groups; at most the number of identities is used.
        level: Nominal coverage.

    Raises:
        Unscored: ``too_few`` for fewer than three identities, or whatever ``compute`` raises.
    """

    def difference(left_out: frozenset[str]) -> Mapping[str, float]:
        return compute(_without(generated, left_out), _without(truth, left_out))

    names = sorted({*generated, *truth})
    return _jackknife(difference, names, clusters, generator=generator, groups=groups, level=level)


def group_jackknife_difference(
    compute: SetCompute,
    first: Samples,
    second: Samples,
    truth: Samples,
    clusters: Mapping[str, str] | None = None,
    *,
    generator: np.random.Generator,
    groups: int = 20,
    level: float = 0.95,
) -> Mapping[str, Interval]:
    """Interval of ``compute(first, truth) − compute(second, truth)``, where most of the bias cancels.

    Only clips that both systems have take part; arguments and errors are those of ``group_jackknife``.
    """
    shared = set(first) & set(second)
    ours = {clip: first[clip] for clip in shared}
    theirs = {clip: second[clip] for clip in shared}

    def difference(left_out: frozenset[str]) -> Mapping[str, float]:
        kept_truth = _without(truth, left_out)
        a, b = compute(_without(ours, left_out), kept_truth), compute(_without(theirs, left_out), kept_truth)
        return {key: a[key] - b[key] for key in a}

    names = sorted(shared | set(truth))
    return _jackknife(difference, names, clusters, generator=generator, groups=groups, level=level)


def jackknife_p(difference: float, interval: Interval, *, groups: int = 20) -> float:
    """Two-sided p of no difference, from the interval that ``group_jackknife_difference`` gave for it.

    Args:
        difference: The estimate in the interval's middle.
        interval: Its interval.
        groups: As they were asked for.

    >>> interval = Interval(low=0.0, high=2.0, level=0.95, method="group-jackknife-10", n_units=30)
    >>> round(jackknife_p(1.0, interval, groups=10), 12)
    0.05
    """
    freedom = min(groups, interval.n_units) - 1
    error = interval.half_width / float(scipy.stats.t.ppf((1 + interval.level) / 2, freedom))
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * scipy.stats.t.sf(abs(difference) / error, freedom))


def _jackknife(
    compute: Callable[[frozenset[str]], Mapping[str, float]],
    clips: Sequence[str],
    clusters: Mapping[str, str] | None,
    *,
    generator: np.random.Generator,
    groups: int,
    level: float,
) -> Mapping[str, Interval]:
    partition = _partition(clips, clusters, generator=generator, groups=groups)
    estimate = compute(frozenset())
    left_out = [compute(group) for group in partition]
    n = len(partition)
    quantile = float(scipy.stats.t.ppf((1 + level) / 2, n - 1))
    n_units = len({_unit(clip, clusters) for clip in clips})
    result = {}
    for key, value in estimate.items():
        parts = np.array([row[key] for row in left_out])
        error = float(np.sqrt((n - 1) / n * np.sum((parts - parts.mean()) ** 2)))
        result[key] = Interval(
            low=value - quantile * error,
            high=value + quantile * error,
            level=level,
            method=f"group-jackknife-{n}",
            n_units=n_units,
        )
    return result


def _partition(
    clips: Sequence[str], clusters: Mapping[str, str] | None, *, generator: np.random.Generator, groups: int
) -> list[frozenset[str]]:
    units = sorted({_unit(clip, clusters) for clip in clips})
    if len(units) < 3:
        raise Unscored("too_few", f"a jackknife needs at least 3 identities, found {len(units)}")
    order = generator.permutation(len(units))
    count = min(groups, len(units))
    group_of = {units[index]: place % count for place, index in enumerate(order)}
    parts: list[set[str]] = [set() for _ in range(count)]
    for clip in clips:
        parts[group_of[_unit(clip, clusters)]].add(clip)
    return [frozenset(group) for group in parts]


def pivotal_bootstrap(
    compute: SetCompute,
    generated: Samples,
    truth: Samples,
    clusters: Mapping[str, str] | None = None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 200,
) -> Mapping[str, Interval]:
    """Basic (pivotal) bootstrap over identities, drawn jointly for both sides.

    Args:
        compute: The metric.
        generated: Samples of the generated clips.
        truth: Samples of the ground-truth clips.
        clusters: Clip id -> identity; None makes every clip its own unit.
        generator: The only source of randomness.
        level: Nominal coverage.
        resamples: Number of bootstrap samples; each costs one ``compute``.

    Raises:
        Unscored: ``too_few`` for fewer than three identities, or whatever ``compute`` raises.
    """
    clips = sorted({*generated, *truth})
    members: dict[str, list[str]] = {}
    for clip in clips:
        members.setdefault(_unit(clip, clusters), []).append(clip)
    units = sorted(members)
    if len(units) < 3:
        raise Unscored("too_few", f"a bootstrap of a set needs at least 3 identities, found {len(units)}")
    estimate = compute(_without(generated, frozenset()), _without(truth, frozenset()))
    draws: dict[str, list[float]] = {key: [] for key in estimate}
    for row in generator.integers(len(units), size=(resamples, len(units))):
        chosen = [clip for index in row for clip in members[units[index]]]
        values = compute(
            [generated[clip] for clip in chosen if clip in generated], [truth[clip] for clip in chosen if clip in truth]
        )
        for key in draws:
            draws[key].append(values[key])
    result = {}
    for key, value in estimate.items():
        low, high = np.quantile(draws[key], [(1 - level) / 2, (1 + level) / 2])
        result[key] = Interval(
            low=2 * value - float(high),
            high=2 * value - float(low),
            level=level,
            method="pivotal-bootstrap",
            n_units=len(units),
        )
    return result


def _unit(clip: str, clusters: Mapping[str, str] | None) -> str:
    return clip if clusters is None else clusters[clip]


def _without(samples: Samples, left_out: frozenset[str]) -> list[NDArray[np.float64]]:
    return [samples[clip] for clip in sorted(samples) if clip not in left_out]
