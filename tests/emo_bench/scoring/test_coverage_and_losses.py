"""On what share of its frames a number rests, and which missing numbers a user must hear of."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import ValueEntry
from emo_bench.scoring.coverage import clip_losses, frame_share, mean_coverage, partial_losses, set_losses
from emo_metrics.contract import ClipFeatures


def features(**arrays: dict[str, np.ndarray]) -> ClipFeatures:
    return ClipFeatures(clip_id="a", identity="p", fps=Fraction(25), n_frames=4, arrays=arrays)


def test_the_least_share_of_all_extractors_counts() -> None:
    half = {"found": np.array([1, 1, 0, 0], dtype=bool), "box": np.full((4, 4), np.nan)}
    most = {
        "embedding": np.array([[1.0, 2.0], [np.nan, 2.0], [0.0, 0.0], [1.0, 1.0]]),
        "reference": np.full((1, 2), np.nan),
    }
    assert frame_share(features(face=half)) == 0.5
    assert frame_share(features(identity=most)) == 0.75
    assert frame_share(features(identity=most, face=half)) == 0.5


def test_what_has_no_row_per_frame_or_no_gap_says_nothing() -> None:
    assert frame_share(features()) == 1.0
    assert frame_share(features(x={"curve": np.full(7, np.nan), "count": np.arange(4)})) == 1.0
    assert frame_share(features(x={"psnr": np.array([30.0, np.inf, 31.0, 30.0])})) == 1.0


def test_a_frame_without_pitch_is_heard_all_the_same() -> None:
    loudness = np.array([-20.0, -25.0, -60.0, np.nan])  # the audio ends before the last frame
    pitch = np.array([150.0, np.nan, np.nan, np.nan])
    assert frame_share(features(audio={"loudness_db": loudness, "pitch_hz": pitch})) == 0.75


def test_one_unknown_share_makes_the_mean_unknown() -> None:
    assert mean_coverage([1.0, 0.5]) == 0.75
    assert mean_coverage([1.0, None]) is None
    assert mean_coverage([]) is None


def row(system: str, status: str, key: str = "v", clip: str = "a") -> ClipRow:
    value = 1.0 if status == "ok" else None
    return ClipRow(
        system=system,
        clip=clip,
        identity="p",
        seed=0,
        protocol="x@1",
        key=key,
        value=value,
        status=status,
        reason="why",
    )


@pytest.mark.parametrize(
    ("system", "status", "lost"),
    [
        ("mine", "ok", False), ("mine", "no_face", True), ("mine", "error", True), ("mine", "undefined", True),
        ("frozen", "undefined", False), ("frozen", "not_applicable", False), ("frozen", "no_face", True),
        ("frozen", "error", True),
    ],
)  # fmt: skip
def test_what_an_anchor_lacks_by_nature_is_no_loss(system: str, status: str, lost: bool) -> None:
    found = clip_losses([row(system, status), row(system, status, key="w")], {"frozen"})
    assert [(entry.stage, entry.part, entry.code) for entry in found] == ([("score", "x@1", status)] if lost else [])


def test_frames_that_the_ground_truth_has_and_a_system_lacks_are_a_loss() -> None:
    truth = {"a": 1.0, "b": 0.9}
    shares = {"a#0": 0.86, "a#1": 0.96, "b#0": 0.86}
    (entry,) = partial_losses("x@1", "mine", shares, truth)
    assert (entry.clip, entry.seed, entry.code) == ("a", 0, "partly_seen")
    assert "86 % of the frames, the ground truth's on 100 %" in entry.reason


def value(status: str, reason: str = "") -> ValueEntry:
    number = 1.0 if status == "ok" else None
    return ValueEntry.model_validate(
        {"system": "mine", "protocol": "x@1", "key": "v", "value": number, "status": status, "reason": reason,
         "n_planned": 2, "n_scored": 2}
    )  # fmt: skip


def test_a_set_loses_clips_or_its_whole_value() -> None:
    missing = {"a#3": "no_face: nobody is there: at all"}
    (entry,) = set_losses("x@1", "mine", missing, [value("ok")], anchor=False)
    assert (entry.clip, entry.seed, entry.code, entry.reason) == ("a", 3, "no_face", "nobody is there: at all")
    assert set_losses("x@1", "mine", {}, [value("ok")], anchor=False) == []
    (entry,) = set_losses("x@1", "mine", {}, [value("failed", "too_few: 3 of 8 windows")], anchor=False)
    assert (entry.clip, entry.code, entry.reason) == ("", "too_few", "3 of 8 windows")
    assert set_losses("x@1", "frozen", {}, [value("failed", "too_few: 3 of 8 windows")], anchor=True) == []
