"""The ground truth of two runs on the same clips must have given the same numbers; the gate refuses them otherwise.

Values of whole sets and values close to the ground truth depend on what was measured on real clips. Both runs measured
that on the same files, so that whoever moved it in one of them moved the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from emo_bench.config.schema import REFERENCE_SET
from emo_bench.record.columns import Column
from emo_bench.record.run_data import RunData
from emo_bench.record.set_samples import ClipSamples

CLOSE = 1e-3
"""Relative: the same network gives slightly different features on another processor, far below this."""
CLOSE_ONE = 1e-2
"""The same for the value of a single clip, relative to it or to the usual size; it vanishes in the sum over many."""
Labels = tuple[str, str]


def differing_ground_truth(
    baseline: RunData,
    candidate: RunData,
    columns: Sequence[Column],
    *,
    labels: Labels = ("baseline", "candidate"),
) -> Iterator[str]:
    """Sentences on protocols whose numbers of the ground truth, or of the reference set, differ between two runs.

    Clips that only one of the runs has are left to whoever compares their data sets, and so are protocols whose samples
    only one of them kept: a run keeps those of all clips, or none where they are too large.

    Args:
        baseline: A run that was read from its folder.
        candidate: Another one on the same clips.
        columns: The values that are to be compared.
        labels: What the sentences call the two runs.
    """
    if baseline.record.digests.dataset == candidate.record.digests.dataset:
        yield from _differing(baseline, candidate, columns, labels)
    digests = [run.record.reference_set and run.record.reference_set.digest for run in (baseline, candidate)]
    if digests[0] is not None and digests[0] == digests[1]:
        for protocol in dict.fromkeys(column.protocol.name for column in columns):
            sides = [run.samples.get((protocol, REFERENCE_SET), {}) for run in (baseline, candidate)]
            yield from _other_samples(protocol, "reference set", sides, labels)


def _differing(baseline: RunData, candidate: RunData, columns: Sequence[Column], labels: Labels) -> Iterator[str]:
    runs = [(run, run.ground_truth) for run in (baseline, candidate)]
    named = [(run, name) for run, name in runs if name is not None]
    if len(named) < 2:
        return
    for protocol in dict.fromkeys(column.protocol.name for column in columns):
        sides = [run.samples.get((protocol, name), {}) for run, name in named]
        yield from _other_samples(protocol, "ground truth", sides, labels)
    for column in columns:
        protocol, key = column.protocol.name, column.value.key
        found = [run.clip_means(name, protocol, key) for run, name in named]
        both = sorted(found[0].keys() & found[1].keys())
        a, b = (np.array([side[clip] for clip in both], dtype=np.float64) for side in found)
        if len(both) and not (_close(a, b) and _each_close(a, b)):
            clip = both[_furthest(a, b)]
            yield (
                f"The ground truth of both runs is the same, and its values of {protocol} ({key}) differ: clip "
                f"{clip!r} has {found[0][clip]:.6g} in the {labels[0]} and {found[1][clip]:.6g} in the {labels[1]}."
            )


def _other_samples(
    protocol: str, whose: str, sides: Sequence[Mapping[str, ClipSamples]], labels: Labels
) -> Iterator[str]:
    # By clip alone: real clips are measured once, under the first seed of their run.
    theirs, ours = ({name.rpartition("#")[0]: one for name, one in side.items()} for side in sides)
    if not theirs or not ours:
        return
    for label, lacking in zip(labels, (ours.keys() - theirs.keys(), theirs.keys() - ours.keys()), strict=True):
        if lacking:
            yield (
                f"The {whose} of both runs is the same, and the {label} lacks samples of {protocol} of {len(lacking)} "
                f"of {len(theirs.keys() | ours.keys())} clips, for example {min(lacking)!r}."
            )
    pairs = {name: (theirs[name].samples, ours[name].samples) for name in sorted(theirs.keys() & ours.keys())}
    other = [name for name, (a, b) in pairs.items() if a.shape != b.shape or not _close(a, b)]
    if other:
        yield (
            f"The {whose} of both runs is the same, and its samples of {protocol} differ in {len(other)} of "
            f"{len(pairs)} clips, for example {other[0]!r}."
        )


def _each_close(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether no clip's value moved alone, which among a thousand clips changes their distance too little."""
    finite = np.isfinite(a) & np.isfinite(b)
    usual = float(np.sqrt(np.mean(a[finite] ** 2))) if finite.any() else 0.0
    size = np.maximum(np.maximum(np.abs(a[finite]), np.abs(b[finite])), usual)
    return bool((np.abs(a[finite] - b[finite]) <= CLOSE_ONE * size + 1e-9).all())


def _furthest(a: np.ndarray, b: np.ndarray) -> int:
    """Index of the clip that differs most; one that only one run has a value for differs more than any other."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    return int(np.where(np.isfinite(apart), apart, np.where(np.isfinite(a) == np.isfinite(b), 0.0, np.inf)).argmax())


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one shape are equal but for rounding; the distance is relative to the size of both."""
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return False
    scale = max(float(np.linalg.norm(a[finite])), float(np.linalg.norm(b[finite])))
    return float(np.linalg.norm(a[finite] - b[finite])) <= CLOSE * scale or math.isclose(scale, 0.0, abs_tol=1e-9)
