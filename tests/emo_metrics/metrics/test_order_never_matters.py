"""Whatever the order in which clips, or the shards of several workers, arrive: every protocol gives equal bits."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from emo_metrics.contract import ClipFeatures, ClipMetric, Metric, Need, SetMetric
from emo_metrics.faces.finder import FoundBy
from emo_metrics.faces.landmark_sets import BLENDSHAPE_NAMES
from emo_metrics.metrics.synth_clips import TRUTH
from emo_metrics.registered import METRICS
from emo_metrics.synth.as_open import rotations

CLIPS, FRAMES, WIDTH = 9, 100, 24
ORDERS = [np.random.default_rng(seed).permutation(CLIPS) for seed in range(6)]

Arrays = dict[str, NDArray[np.generic]]


def wave(generator: np.random.Generator, *columns: int) -> NDArray[np.float64]:
    """A smooth signal ``[FRAMES, *columns]`` with a deviation of about 1."""
    steps = generator.normal(size=(FRAMES + 4, *columns))
    return np.stack([steps[start : start + 5].mean(axis=0) for start in range(FRAMES)]) * np.sqrt(5.0)


def face(generator: np.random.Generator) -> Arrays:
    """A face of 100 pixels between the eyes that turns by degrees and opens its mouth."""
    points = generator.normal(size=(68, 2)) * 40 + 200 + wave(generator, 68, 2) * 4
    points[:, 36], points[:, 45] = (150.0, 200.0), (250.0, 200.0)
    pose = 5.0 * wave(generator, 3)
    shapes = np.clip(0.3 + 0.2 * wave(generator, 52), 0.0, 1.0)
    blinks = [BLENDSHAPE_NAMES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    shapes[:, blinks] = 0.1
    for start, length in zip((20, 60), generator.integers(3, 9, size=2), strict=True):
        shapes[start : start + length, blinks] = 0.8
    return {
        "frame_size": np.array([[480, 640]], dtype=np.int32),
        "found": np.ones(FRAMES, dtype=bool),
        "points68": points,
        "blendshapes": shapes,
        "rotation": rotations(pose),
        "pose_degrees": pose,
        "found_by": np.full(FRAMES, FoundBy.WHOLE_FRAME),
    }


def synth_face(generator: np.random.Generator) -> Arrays:
    """The same as the synth networks give it."""
    return {
        **face(generator),
        "expression": np.clip(0.3 + 0.2 * wave(generator, 26), 0.0, 1.0),
        "pose": 5.0 * wave(generator, 3),
        "mouth": 0.2 + 0.05 * wave(generator, 3),
    }


def unit_rows(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    rows = generator.normal(size=(count, WIDTH)) + 1.0
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def arrays_of(extractor: str, generator: np.random.Generator) -> Arrays:
    """Made-up features in the shapes that an extractor gives."""
    kind = extractor.split("/")[0]
    if kind == "face":
        return synth_face(generator) if "synth" in extractor else face(generator)
    if kind == "identity":
        return {"embedding": unit_rows(generator, FRAMES), "reference_embedding": unit_rows(generator, 1)}
    if kind == "expression":
        return {"expression": wave(generator, 64 if "deep3d" in extractor else 10)}
    if kind == "audio":
        return {"loudness_db": -30 + 8 * wave(generator), "pitch_hz": 150 + 20 * wave(generator)}
    if kind == "pixels":
        return {name: 30 + wave(generator) for name in ("psnr", "ssim", "pixel", "whole")}
    if kind == "lpips-frames":
        return {"distance": np.abs(wave(generator)), "frame": np.arange(FRAMES)}
    if kind in {"syncnet", "sync"}:
        lags = 21 if extractor == "sync/synth@1" else 31
        labels = {"track": np.repeat([0, 1], FRAMES // 2), "speech": np.ones(FRAMES, dtype=bool)}
        return {"distances": 8 + generator.normal(size=(FRAMES, lags)), **labels}
    if kind in ("brisque", "clip-iqa"):
        return {"score": 30 + wave(generator)}
    if kind == "face-crop":
        return {"sharpness": 8 + wave(generator), "lab": 50 + wave(generator, 3)}
    return {"features": generator.normal(size=(12, WIDTH))}


def clips_of(metric: type[Metric], seed: int) -> list[ClipFeatures]:
    made = []
    for index in range(CLIPS):
        generator = np.random.default_rng([seed, index])
        arrays: dict[str, Mapping[str, NDArray[np.generic]]] = {
            name: arrays_of(name, generator) for name in metric.spec.extractors
        }
        if Need.TRUTH in metric.spec.needs:
            arrays[TRUTH] = {"mouth_opening": 0.2 + 0.05 * wave(generator)}
        names = {"clip_id": f"clip{index}", "identity": f"p{index % 3}"}
        made.append(ClipFeatures(**names, fps=Fraction(25), n_frames=FRAMES, arrays=arrays))
    return made


@pytest.mark.parametrize("name", METRICS)
def test_every_protocol_gives_equal_bits_in_any_order_of_clips(name: str) -> None:
    module, _, attribute = METRICS[name].partition(":")
    kind: type[Metric] = getattr(importlib.import_module(module), attribute)
    generated, truth = clips_of(kind, 0), clips_of(kind, 1)
    found = [values_in_order(kind(), generated, truth, order) for order in [np.arange(CLIPS), *ORDERS]]
    assert all(np.isfinite(value) for value in found[0].values())
    for other in found[1:]:
        assert other == found[0]


def values_in_order(
    metric: Metric, generated: list[ClipFeatures], truth: list[ClipFeatures], order: NDArray[np.int64]
) -> dict[str, float]:
    """The values of the set when clips arrive in this order (and those of the ground truth in the reverse one)."""
    if isinstance(metric, SetMetric):
        ours = [metric.samples(generated[index]) for index in order]
        theirs = [metric.samples(truth[index]) for index in order[::-1]]
        return dict(metric.compute(ours, theirs))
    assert isinstance(metric, ClipMetric)
    rows = [metric.score_clip(generated[index], truth[index]) for index in order]
    table = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    by_clip = {f"{key}#{index}": row[key] for index, row in zip(order, rows, strict=True) for key in row}
    return dict(metric.summarise(table)) | dict(sorted(by_clip.items()))
