"""Intervals, tests and rankings for values of clips and of sets; numpy and scipy only, float64, order-free.

The unit of resampling is the identity (or the clip), never the frame. Randomness comes from the generator that the
caller passes; units are sorted by name first, so the order in which results arrive never changes a number.
"""

from __future__ import annotations

from emo_metrics.statistics.agreement import krippendorff_alpha, rank_correlation, resampled_interval
from emo_metrics.statistics.bootstrap import cluster_bootstrap, two_level_bootstrap
from emo_metrics.statistics.bradley_terry import bradley_terry
from emo_metrics.statistics.coverage import Coverage, coverage_of
from emo_metrics.statistics.interval import Interval
from emo_metrics.statistics.multiple_tests import benjamini_hochberg, holm
from emo_metrics.statistics.paired import PairedComparison, compare_paired
from emo_metrics.statistics.power import minimum_detectable_effect, units_needed
from emo_metrics.statistics.ranking import RankStability, rank_stability, tie_groups
from emo_metrics.statistics.set_intervals import (
    group_jackknife,
    group_jackknife_difference,
    pivotal_bootstrap,
)

__all__ = [
    "Coverage",
    "Interval",
    "PairedComparison",
    "RankStability",
    "benjamini_hochberg",
    "bradley_terry",
    "cluster_bootstrap",
    "compare_paired",
    "coverage_of",
    "group_jackknife",
    "group_jackknife_difference",
    "holm",
    "krippendorff_alpha",
    "minimum_detectable_effect",
    "pivotal_bootstrap",
    "rank_correlation",
    "rank_stability",
    "resampled_interval",
    "tie_groups",
    "two_level_bootstrap",
    "units_needed",
]
