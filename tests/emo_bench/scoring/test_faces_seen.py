"""Clips with several faces are told, and generated clips that show more faces than their reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from emo_bench.engine.unit import GROUND_TRUTH, Outcome, Unit
from emo_bench.extract.feature_store import FeatureResult
from emo_bench.scoring.faces_seen import faces_notes


@dataclass
class Counted:
    """Features of a run that hold nothing but numbers of faces."""

    faces: Mapping[tuple[str, str], Sequence[int] | None]
    outcomes: dict[Unit, Outcome] = field(init=False)

    def __post_init__(self) -> None:
        self.outcomes = {unit: Outcome(unit) for unit in (Unit(system, clip, 0) for system, clip in self.faces)}

    def truth_unit(self, clip: str) -> Unit:
        return Unit(GROUND_TRUTH, clip, 0)

    def lacks_truth(self, clip: str) -> bool:
        return self.truth_unit(clip) not in self.outcomes

    def results(self, unit: Unit, extractors: Sequence[str]) -> dict[str, FeatureResult]:
        counts = self.faces[unit.system, unit.clip]
        arrays = {} if counts is None else {"n_faces": np.array(counts, np.int16)}
        return {name: FeatureResult(arrays) for name in extractors}


def told(faces: Mapping[tuple[str, str], Sequence[int] | None]) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(note.system, note.code): note.clips for note in faces_notes(Counted(faces), ["face"])}  # type: ignore[arg-type]


def test_a_side_by_side_output_is_told_and_a_passer_by_is_not() -> None:
    one, two, passer_by = [1] * 10, [2] * 10, [1] * 9 + [2]
    faces = {
        (GROUND_TRUTH, "a"): one, (GROUND_TRUTH, "b"): one, (GROUND_TRUTH, "c"): two,
        ("mine", "a"): two, ("mine", "b"): passer_by, ("mine", "c"): two,
    }  # fmt: skip
    assert told(faces) == {
        (GROUND_TRUTH, "several_faces"): ("c",),
        ("mine", "more_faces_than_reference"): ("a",),
    }


def test_extractors_that_count_no_faces_and_lost_clips_say_nothing() -> None:
    assert told({(GROUND_TRUTH, "a"): None, ("mine", "a"): None}) == {}
    assert told({(GROUND_TRUTH, "a"): None, ("mine", "a"): [2, 2]}) == {("mine", "more_faces_than_reference"): ("a",)}
