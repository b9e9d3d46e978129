"""Clips that show more than one face: their numbers follow one of them, and the reader must know."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from emo_bench.engine.unit import GROUND_TRUTH, Unit
from emo_bench.record.schema import NoteEntry
from emo_bench.scoring.rows import FeatureReader

OFTEN = 0.2
"""Share of the frames with more than one face from which on a clip counts as one of several faces."""


TEXTS = {
    "several_faces": "more than one face is seen; the numbers follow one of them",
    "more_faces_than_reference": "more faces are seen than in the reference clip, as in a side-by-side video; "
    "the numbers follow one of them",
}


def faces_notes(reader: FeatureReader, extractors: Iterable[str]) -> list[NoteEntry]:
    """What to say of clips with several faces, by system.

    Args:
        reader: The features of the run.
        extractors: Names of its extractors; those that count faces have an array ``n_faces``.
    """
    crowded: dict[tuple[str, str], set[str]] = {}
    for name in extractors:
        if not _counts_faces(reader, name):
            continue
        shares = {unit: _share(reader, unit, name) for unit in reader.outcomes}
        for unit, share in shares.items():
            if share is None or share < OFTEN:
                continue
            truth = shares.get(reader.truth_unit(unit.clip))
            if unit.system == GROUND_TRUTH or reader.lacks_truth(unit.clip):
                crowded.setdefault((unit.system, "several_faces"), set()).add(unit.clip)
            elif truth is None or truth < OFTEN:
                crowded.setdefault((unit.system, "more_faces_than_reference"), set()).add(unit.clip)
    return [
        NoteEntry(system=system, code=code, text=TEXTS[code], clips=tuple(sorted(clips)))
        for (system, code), clips in sorted(crowded.items())
    ]


def _counts_faces(reader: FeatureReader, extractor: str) -> bool:
    """Whether an extractor counts faces: the first clip that it has features of tells, so that not all are read."""
    for unit in reader.outcomes:
        arrays = reader.results(unit, [extractor])[extractor].arrays
        if arrays:
            return "n_faces" in arrays
    return False


def _share(reader: FeatureReader, unit: Unit, extractor: str) -> float | None:
    """Share of a clip's frames with more than one face; None where the extractor does not count them."""
    counts = reader.results(unit, [extractor])[extractor].arrays.get("n_faces")
    if counts is None or len(counts) == 0:
        return None
    return float((np.asarray(counts) > 1).mean())
