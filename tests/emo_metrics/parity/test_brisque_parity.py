"""BRISQUE against the package brisque, with the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emo_metrics.extractors.brisque_frames import MACHINE, RANGE, BrisqueModel

pytestmark = pytest.mark.reference
LARGEST = 0.05
"""Flat areas have contrasts of ±1e-17 whose sign depends on the order of a sum, and BRISQUE counts signs."""


def test_scores_equal_those_of_the_package(frames: np.ndarray) -> None:
    package = pytest.importorskip("brisque")
    weights = pytest.importorskip("emo_bench.extract.weights")
    finder = weights.WeightsFinder()
    paths: dict[str, Path] = {}
    for name in (MACHINE, RANGE):
        if finder.locate(name) is None:
            pytest.skip(f"{name} is not in a weights folder; emo-bench weights fetch {name}")
        paths[name] = finder.require(name)
    model, theirs = BrisqueModel(paths[MACHINE], paths[RANGE]), package.BRISQUE(url=False)
    for frame in frames:
        assert model.score(frame) == pytest.approx(_score(theirs, frame), abs=LARGEST)


def _score(theirs: object, frame: np.ndarray) -> float:
    """The package's own steps; its ``score`` itself needs NumPy 1, where arrays of one number became numbers."""
    import cv2
    from skimage.color import rgb2gray

    grey = rgb2gray(frame)
    half = cv2.resize(grey, None, fx=1 / 2, fy=1 / 2, interpolation=cv2.INTER_CUBIC)
    features = [
        value
        for image in (grey, half)
        for value in theirs.calculate_brisque_features(image, kernel_size=7, sigma=7 / 6)  # type: ignore[attr-defined]
    ]
    numbers = np.array([float(np.ravel(value)[0]) for value in features])
    return float(theirs.calculate_image_quality_score(numbers))  # type: ignore[attr-defined]
