"""Metrics for talking-portrait video as named, versioned protocols.

Usable alone, for example in a training loop; names are loaded when they are first used:

    from emo_metrics import FrechetInceptionDistance, frechet_distance
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emo_metrics.distances.frechet import MomentAccumulator, frechet_distance, frechet_from_moments
    from emo_metrics.distances.kernel import polynomial_mmd2
    from emo_metrics.signals.sync_curve import lag_distances, sync_scores
    from emo_metrics.training.modules import (
        FrechetDistance,
        FrechetInceptionDistance,
        FrechetVideoDistance,
        KernelDistance,
        PerceptualDistance,
    )

_HOME = {
    "MomentAccumulator": "distances.frechet",
    "frechet_distance": "distances.frechet",
    "frechet_from_moments": "distances.frechet",
    "polynomial_mmd2": "distances.kernel",
    "FrechetDistance": "training.modules",
    "FrechetInceptionDistance": "training.modules",
    "FrechetVideoDistance": "training.modules",
    "KernelDistance": "training.modules",
    "PerceptualDistance": "training.modules",
    "lag_distances": "signals.sync_curve",
    "sync_scores": "signals.sync_curve",
}

__all__ = [
    "FrechetDistance",
    "FrechetInceptionDistance",
    "FrechetVideoDistance",
    "KernelDistance",
    "MomentAccumulator",
    "PerceptualDistance",
    "frechet_distance",
    "frechet_from_moments",
    "lag_distances",
    "polynomial_mmd2",
    "sync_scores",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'emo_metrics' has no attribute {name!r}")
    found: object = getattr(import_module(f"emo_metrics.{_HOME[name]}"), name)
    return found
