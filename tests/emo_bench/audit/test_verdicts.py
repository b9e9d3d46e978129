"""The rule of pass and fail on planted numbers."""

from __future__ import annotations

import numpy as np
import pytest

from emo_bench.audit.distortions import Corruption, chosen_corruptions, distortions
from emo_bench.audit.judge import baseline_of, clip_evidence, judge, set_evidence, smallest_told, why_blind_to
from emo_bench.audit.result import Finding, Step
from emo_bench.config.schema import Statistics
from emo_bench.scoring.comparisons import Scores
from emo_metrics.contract import Direction, Family, Granularity, Need, ProtocolSpec, ValueSpec
from emo_metrics.metrics.fid import FidOpen

VALUE = ValueSpec(key="v", label="V", direction=Direction.LOWER)
(BLUR,) = chosen_corruptions(["blur"], ["blur=1,2,4"])
IDENTITIES = {f"clip-{i:02d}": f"person-{i // 2}" for i in range(24)}


def spec(**changes: object) -> ProtocolSpec:
    values = {
        "name": "planted/v@1", "title": "Planted", "family": Family.OPEN, "granularity": Granularity.CLIP,
        "values": (VALUE,), "extractors": (),
    }  # fmt: skip
    return ProtocolSpec(**{**values, **changes})


def judged(
    means: dict[str, float],
    *,
    corruption: Corruption = BLUR,
    noise: float = 0.2,
    clips: int = 24,
    value: ValueSpec = VALUE,
    **changes: object,
) -> Finding:
    rng = np.random.default_rng(0)
    names = sorted(IDENTITIES)[:clips]
    own = rng.normal(size=clips)  # what differs between clips cancels in pairs
    by_system = {
        system: {f"{name}#0": float(mean + own[i] + noise * rng.normal()) for i, name in enumerate(names)}
        for system, mean in means.items()
    }
    scores = Scores(protocol="planted/v@1", value=value, by_system=by_system, identities=IDENTITIES)
    evidence = clip_evidence(spec(values=(value,), **changes), value, scores, {})
    return judge(evidence, corruption, Statistics())


def rising(*values: float) -> dict[str, float]:
    return dict(zip(("ground-truth", "blur@1", "blur@2", "blur@4"), values, strict=True))


def test_a_metric_that_orders_the_levels_passes() -> None:
    found = judged(rising(0, 0.02, 1, 2))
    assert (found.verdict, found.smallest_told, found.order, found.nothing) == ("pass", 2, 1.0, "ground-truth")
    assert [step.told for step in found.steps] == [False, True, True]
    assert all(step.interval and step.interval.low <= step.worse_by <= step.interval.high for step in found.steps)


def test_higher_is_better_turns_the_order() -> None:
    higher = ValueSpec(key="v", label="V", direction=Direction.HIGHER)
    assert judged(rising(0, -0.5, -1, -2), value=higher).verdict == "pass"
    found = judged(rising(0, 0.5, 1, 2), value=higher)
    assert found.verdict == "fail"
    assert "prefers level 4 to the ground truth" in found.reason


def test_what_reacts_to_nothing_is_a_tie() -> None:
    found = judged(rising(0, 0, 0, 0))
    assert (found.verdict, found.smallest_told, found.reacts) == ("tie", None, False)
    same = judged(rising(0, 0, 0, 0), noise=0.0)
    assert (same.verdict, same.order) == ("tie", None)


def test_levels_out_of_order_fail_even_when_all_are_told() -> None:
    found = judged(rising(0, 2, 3, 1))
    assert found.verdict == "fail"
    assert "puts level 4 before level 1" in found.reason
    assert {(item.milder, item.stronger) for item in found.reversals} == {(1, 4), (2, 4)}
    assert found.smallest_told == 1


def test_declared_blindness_is_no_failure_and_a_reaction_is_told() -> None:
    shift = Corruption(distortion=distortions.get("audio-late"), levels=(1, 5))
    still = judged({"ground-truth": 0, "audio-late@1": 0, "audio-late@5": 0}, corruption=shift, noise=0.0)
    assert (still.verdict, still.reacts) == ("cannot", False)
    assert "does not compare video and audio" in still.reason
    moved = judged({"ground-truth": 0, "audio-late@1": 1, "audio-late@5": 2}, corruption=shift)
    assert (moved.verdict, moved.reacts, moved.smallest_told) == ("cannot", True, 1)
    assert "yet it reacts" in moved.reason
    named = judged(rising(0, 0, 0, 0), blind_to=frozenset({"blur"}))
    assert named.verdict == "cannot"
    listening = judged(
        {"ground-truth": 0, "audio-late@1": 1, "audio-late@5": 2}, corruption=shift, reads_audio_video_sync=True
    )
    assert listening.verdict == "pass"


def test_what_compares_with_the_ground_truth_is_measured_from_compression() -> None:
    assert baseline_of(spec(), VALUE) == "ground-truth"
    assert baseline_of(spec(needs=frozenset({Need.GROUND_TRUTH})), VALUE) == "reencoded"
    closer = ValueSpec(key="v", label="V", direction=Direction.CLOSER_TO_GT)
    assert baseline_of(spec(), closer) == "reencoded"
    means = {"ground-truth": 0, "reencoded": 0.1, "blur@1": 0.1, "blur@2": -1, "blur@4": 2}
    found = judged(means, value=closer)
    assert (found.verdict, found.smallest_told) == ("pass", 2)


def test_too_few_clips_give_no_verdict() -> None:
    found = judged(rising(0, 1, 2, 3), clips=1)
    assert found.verdict == "tie"
    assert "at least 2 independent units" in found.reason


def test_missing_values_are_named() -> None:
    for without in ({"blur@1": 1, "blur@2": 2}, {"ground-truth": 0}):
        found = judged(without)
        assert (found.verdict, found.reason) == ("no_value", "no clip has a number")
    part = judged({"ground-truth": 0, "blur@1": 1, "blur@2": 2})
    assert (part.verdict, part.smallest_told, len(part.steps)) == ("pass", 1, 2)
    assert "no value at level 4: no clip has a number" in part.reason


def test_a_level_on_too_few_clips_does_not_hide_the_others() -> None:
    names = sorted(IDENTITIES)
    by_system = {
        system: {f"{clip}#0": mean + place % 3 / 10 for place, clip in enumerate(names[:n_clips])}
        for system, mean, n_clips in (("ground-truth", 0, 24), ("blur@1", 1, 24), ("blur@2", 2, 24), ("blur@4", 3, 1))
    }
    scores = Scores(protocol="planted/v@1", value=VALUE, by_system=by_system, identities=IDENTITIES)
    found = judge(clip_evidence(spec(), VALUE, scores, {}), BLUR, Statistics())
    assert (found.verdict, found.smallest_told, len(found.steps)) == ("pass", 1, 2)
    assert "not judged at level 4" in found.reason
    assert "at least 2 independent units" in found.reason


@pytest.mark.parametrize(("told", "expected"), [((0, 1, 1), 2), ((1, 0, 1), 4), ((1, 1, 0), None), ((1, 1, 1), 1)])
def test_smallest_told_level_has_no_gap_above(told: tuple[int, ...], expected: float | None) -> None:
    steps = [
        Step(level=level, value=0.0, n=3, worse_by=0.0, told=bool(seen))
        for level, seen in zip((1, 2, 4), told, strict=True)
    ]
    assert smallest_told(steps) == expected


def test_a_distance_of_sets_is_judged_by_the_jackknife() -> None:
    rng = np.random.default_rng(1)
    truth = {f"{clip}#0": rng.normal(size=(12, 4)) for clip in IDENTITIES}
    moves = {"ground-truth": 0.0, "reencoded": 0.05, "blur@1": 0.05, "blur@2": 0.8, "blur@4": 2.0}
    samples = {
        system: {clip: rows + move + 0.02 * rng.normal(size=rows.shape) for clip, rows in truth.items()}
        for system, move in moves.items()
    }
    samples["ground-truth"] = truth
    calls = []

    class Counted(FidOpen):
        def compute(self, generated, truth):
            calls.append(1)
            return super().compute(generated, truth)

    metric = Counted()
    evidence = set_evidence(metric, metric.spec.values[0], samples, IDENTITIES, {}, {})
    found = judge(evidence, BLUR, Statistics())
    assert (found.verdict, found.smallest_told, found.nothing) == ("pass", 2, "reencoded")
    assert found.steps[-1].value == pytest.approx(16, rel=0.2)
    assert len(calls) <= 4 * 11  # every set of clips is computed once, not once per pair
    (swap,) = chosen_corruptions(["identity-swap"])
    assert judge(evidence, swap, Statistics()).verdict == "cannot"


def test_declarations_of_the_protocols_that_come_with_it() -> None:
    from emo_metrics.metrics.beat_alignment import BeatAlignment
    from emo_metrics.metrics.flicker import Flicker
    from emo_metrics.metrics.synth_lip_sync import SyncOnSynth

    late, swap = chosen_corruptions(["audio-late", "identity-swap"])
    assert why_blind_to(Flicker.spec, swap)
    assert why_blind_to(Flicker.spec, late)
    assert why_blind_to(BeatAlignment.spec, late)
    assert not why_blind_to(SyncOnSynth.spec, late)
