"""Metrics for talking-portrait video as named, versioned protocols.

Usable alone, for example in a training loop; names are loaded when they are first used:

    from emo_metrics import FrechetInceptionDistance, frechet_distance
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emo_metrics.frechet import MomentAccumulator, frechet_distance, frechet_from_moments
    from emo_metrics.kernel_distance import polynomial_mmd2
    from emo_metrics.modules import (
        FrechetDistance,
        FrechetInceptionDistance,
        FrechetVideoDistance,
        KernelDistance,
        PerceptualDistance,
    )
    from emo_metrics.sync import lag_distances, sync_scores

_HOME = {
    "MomentAccumulator": "frechet",
    "frechet_distance": "frechet",
    "frechet_from_moments": "frechet",
    "polynomial_mmd2": "kernel_distance",
    "FrechetDistance": "modules",
    "FrechetInceptionDistance": "modules",
    "FrechetVideoDistance": "modules",
    "KernelDistance": "modules",
    "PerceptualDistance": "modules",
    "lag_distances": "sync",
    "sync_scores": "sync",
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
