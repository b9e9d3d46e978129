"""Do the intervals cover what they promise? A simulation with a known truth.

Clips have their own means, frames scatter around them. An interval that resamples frames takes every frame for an
independent observation and is far too narrow; one that resamples clips keeps its promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from emo_metrics.statistics.bootstrap import cluster_bootstrap


@dataclass(frozen=True, kw_only=True)
class SimulatedCoverage:
    """Result of a simulation.

    Attributes:
        share: Share of runs whose interval covered the true mean.
        mean_width: Mean width of the intervals.
        runs: Number of runs.
    """

    share: float
    mean_width: float
    runs: int


def simulate_coverage(
    *,
    unit: Literal["frame", "clip"],
    generator: np.random.Generator,
    runs: int = 300,
    clips: int = 50,
    frames: int = 100,
    between: float = 1.0,
    within: float = 0.5,
    method: Literal["bca", "percentile"] = "percentile",
    resamples: int = 400,
) -> SimulatedCoverage:
    """Coverage of the nominal 95 % interval of a mean whose true value is 0.

    Args:
        unit: What is resampled.
        generator: The only source of randomness.
        runs: Simulated data sets.
        clips: Clips in each.
        frames: Frames in each clip.
        between: Standard deviation of the means of the clips.
        within: Standard deviation of frames around the mean of their clip.
        method: Bootstrap interval of clips; frames always take the percentile form.
        resamples: Bootstrap samples for each interval.
    """
    hits, widths = 0, []
    for _ in range(runs):
        means = generator.normal(scale=between, size=clips)
        data = means[:, None] + generator.normal(scale=within, size=(clips, frames))
        if unit == "clip":
            rows = {f"{i:04d}": float(row.mean()) for i, row in enumerate(data)}
            interval = cluster_bootstrap(rows, generator=generator, method=method, resamples=resamples)
            low, high = interval.low, interval.high
        else:
            flat = data.ravel()
            draws = [flat[generator.integers(flat.size, size=flat.size)].mean() for _ in range(resamples)]
            low, high = (float(end) for end in np.quantile(draws, [0.025, 0.975]))
        hits += low <= 0.0 <= high
        widths.append(high - low)
    return SimulatedCoverage(share=hits / runs, mean_width=float(np.mean(widths)), runs=runs)
