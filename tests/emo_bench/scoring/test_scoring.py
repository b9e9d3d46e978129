"""From rows to values: coverage, intervals, gaps, comparisons and anchor checks; nothing missing is ever 0."""

from __future__ import annotations

import itertools
import random
from typing import Any, ClassVar

import numpy as np
import pytest

from emo_bench.config.schema import Statistics
from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import ComparisonEntry, ValueEntry
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_bench.scoring.anchor_checks import check, pairs_to_check, why_blind
from emo_bench.scoring.comparisons import compare_on_clips, compare_sets, corrected, cost_by_clip, gather
from emo_bench.scoring.evaluate import evaluate
from emo_bench.scoring.values import (
    ScoringRequest,
    clip_metric_values,
    gaps_on_shared_clips,
    set_metric_values,
    with_gaps,
)
from emo_metrics.contract import (
    ClipMetric,
    Direction,
    Family,
    Granularity,
    ProtocolSpec,
    SetMetric,
    Unscored,
    ValueSpec,
)

STATISTICS = Statistics(resamples=200)
TRUTH = "ground-truth"


def spec_of(direction: Direction = Direction.HIGHER, **more: Any) -> ProtocolSpec:
    value = ValueSpec(key="v", label="V", direction=direction)
    given: dict[str, Any] = {"name": "test/plain@1", "title": "", "family": Family.OPEN, "values": (value,)}
    return ProtocolSpec(**given, granularity=Granularity.CLIP, extractors=(), **more)


class Plain(ClipMetric):
    spec: ClassVar[ProtocolSpec] = spec_of()

    def score_clip(self, generated: Any, truth: Any) -> dict[str, float]:
        raise AssertionError


class Spread(Plain):
    """A value that is no mean: the variance over clips."""

    def summarise(self, rows: Any) -> dict[str, float]:
        return {key: float(np.var(values)) for key, values in rows.items()}


def row(
    clip: str, value: float | None, *, system: str = "a", identity: str = "", seed: int = 0, **more: str
) -> ClipRow:
    status = more.get("status", "ok" if value is not None else "no_face")
    given = {"system": system, "clip": clip, "identity": identity or clip, "seed": seed, "protocol": "test/plain@1"}
    return ClipRow(**given, key="v", value=value, status=status, reason=more.get("reason", ""))


def values(metric: ClipMetric, rows: list[ClipRow], planned: int, system: str = "a") -> ValueEntry:
    (entry,) = clip_metric_values(metric, rows, ScoringRequest(system=system, n_planned=planned, statistics=STATISTICS))
    return entry


class TestValues:
    def test_a_missing_clip_lowers_the_coverage_and_not_the_value(self) -> None:
        entry = values(Plain(), [row("a", 4.0), row("b", 6.0), row("c", None), row("d", None)], 5)
        assert (entry.value, entry.status, entry.n_planned, entry.n_scored, entry.n_identities) == (5.0, "ok", 5, 2, 2)
        assert entry.watermark == "only 2 identities"

    def test_nothing_at_all_has_the_most_frequent_reason(self) -> None:
        rows = [row("a", None, reason="x"), row("b", None, reason="y"), row("c", None, reason="y")]
        entry = values(Plain(), rows, 3)
        assert (entry.value, entry.status, entry.n_scored, entry.interval) == (None, "failed", 0, None)
        assert entry.reason == "no_face: y"
        assert values(Plain(), [], 3).reason == "no clip was scored"

    def test_the_interval_resamples_identities_not_clips(self) -> None:
        rng = np.random.default_rng(0)
        numbers = rng.normal(size=12)
        apart = [row(f"c{i}", float(n)) for i, n in enumerate(numbers)]
        # The same twelve numbers ten times over: more clips of the same people are no more people.
        many = [row(f"c{i}-{k}", float(n), identity=f"c{i}") for i, n in enumerate(numbers) for k in range(10)]
        first, second = values(Plain(), apart, 12).interval, values(Plain(), many, 120).interval
        assert first is not None
        assert second is not None
        assert first.n_units == second.n_units == 12
        assert second.high - second.low == pytest.approx(first.high - first.low, rel=0.05)
        assert first.low < numbers.mean() < first.high
        assert first.level == 0.95

    def test_one_identity_has_a_value_without_an_interval(self) -> None:
        entry = values(Plain(), [row("a", 1.0, identity="p"), row("b", 3.0, identity="p")], 2)
        assert (entry.value, entry.interval, entry.watermark) == (2.0, None, "only 1 identities")

    def test_seeds_are_counted_and_belong_to_the_same_identity(self) -> None:
        rows = [row(clip, 1.0 + seed, seed=seed) for clip in "abc" for seed in (0, 1)]
        entry = values(Plain(), rows, 6)
        assert (entry.value, entry.n_scored, entry.n_identities) == (1.5, 6, 3)

    def test_a_metrics_own_summary_is_used(self) -> None:
        entry = values(Spread(), [row("a", 1.0), row("b", 3.0), row("c", 5.0)], 3)
        assert entry.value == pytest.approx(8 / 3)

    def test_the_order_of_rows_changes_nothing(self) -> None:
        rows = [row(f"c{i}", float(i % 7), identity=f"p{i % 5}") for i in range(30)]
        mixed = rows.copy()
        random.Random(1).shuffle(mixed)
        for metric in (Plain(), Spread()):
            assert values(metric, rows, 30) == values(metric, mixed, 30)

    @pytest.mark.parametrize("direction", Direction)
    def test_the_order_of_rows_changes_no_bit_of_values_and_comparisons(self, direction: Direction) -> None:
        rng = np.random.default_rng(3)
        rows = [
            row(f"c{i}", float(number), identity=f"p{i % 5}", system=system, seed=seed)
            for i in range(12)
            for system in ("ground-truth", "a", "b")
            for seed, number in enumerate(rng.normal(size=1 if system == "ground-truth" else 7))
        ]
        value = ValueSpec(key="v", label="V", direction=direction)
        found = []
        for order in range(4):
            mixed = rows.copy()
            random.Random(order).shuffle(mixed)
            own = [one for one in mixed if one.system == "a"]
            compared = compare_on_clips(gather(mixed, value, "test/plain@1"), ("a", "b"), STATISTICS)
            found.append((values(Plain(), own, 84), values(Spread(), own, 84), compared))
        assert all(other == found[0] for other in found[1:])

    def test_gaps_to_the_ground_truth(self) -> None:
        truth = values(Plain(), [row("a", 4.0)], 1, "ground-truth")
        other, nothing = values(Plain(), [row("a", 1.5)], 1), values(Plain(), [row("a", None)], 1, "b")
        gaps = [entry.gap_to_ground_truth for entry in with_gaps([truth, other, nothing], {})]
        assert gaps == [0.0, 2.5, None]
        assert [entry.gap_to_ground_truth for entry in with_gaps([other], {})] == [None]

    def test_the_distance_from_the_ground_truth_is_one_on_the_same_clips(self) -> None:
        """A clip that a system failed on is no distance, and neither is one without a ground truth."""
        real = [row("c1", 1.0, system=TRUTH), row("c2", 2.0, system=TRUTH), row("c3", 30.0, system=TRUTH)]
        own = [row("c1", 1.5), row("c2", 2.5), row("c3", None), row("wild", 50.0)]
        for metric, expected in ((Plain(), 0.5), (Spread(), 0.0)):
            entries = [values(metric, real, 3, TRUTH), values(metric, own, 4)]
            found = with_gaps(entries, gaps_on_shared_clips(metric, [*real, *own]))
            assert [entry.gap_to_ground_truth for entry in found] == [0.0, pytest.approx(expected)]

    def test_without_a_clip_in_common_there_is_no_distance(self) -> None:
        rows = [row("c1", 1.0, system=TRUTH), row("c2", 2.0)]
        entries = [values(Plain(), rows[:1], 1, TRUTH), values(Plain(), rows[1:], 1)]
        found = with_gaps(entries, gaps_on_shared_clips(Plain(), rows))
        assert [entry.gap_to_ground_truth for entry in found] == [0.0, None]


def scores(direction: Direction, **systems: dict[str, float | None]) -> Any:
    rows = [
        row(clip, number, system=name.replace("_", "-"))
        for name, numbers in systems.items()
        for clip, number in numbers.items()
    ]
    return gather(rows, ValueSpec(key="v", label="V", direction=direction), "test/plain@1")


NAMES = [f"c{i:02d}" for i in range(20)]
LOW = {name: float(i % 5) for i, name in enumerate(NAMES)}
HIGH = {name: float(i % 5) + 2 + 0.1 * (i % 3) for i, name in enumerate(NAMES)}


class TestComparisons:
    @pytest.mark.parametrize(
        ("direction", "verdict", "sign"), [(Direction.HIGHER, "b_better", -1), (Direction.LOWER, "a_better", -1)]
    )
    def test_the_better_one_depends_on_the_direction(self, direction: Direction, verdict: str, sign: int) -> None:
        got = compare_on_clips(scores(direction, a=LOW, b=HIGH), ("a", "b"), STATISTICS)
        assert got.verdict == verdict
        assert got.difference is not None
        assert got.interval is not None
        assert np.sign(got.difference) == sign
        assert got.interval.low <= got.difference <= got.interval.high
        back = compare_on_clips(scores(direction, a=HIGH, b=LOW), ("a", "b"), STATISTICS)
        assert back.difference == pytest.approx(-got.difference)
        assert {back.verdict, got.verdict} == {"a_better", "b_better"}
        assert got.probability_a_better in (0.0, 1.0)

    def test_closer_to_the_ground_truth_wins_from_both_sides(self) -> None:
        truth = dict.fromkeys(NAMES, 10.0)
        near = {name: 10.5 if i % 2 else 9.5 for i, name in enumerate(NAMES)}
        far = {name: 13.0 + 0.01 * i for i, name in enumerate(NAMES)}
        given = scores(Direction.CLOSER_TO_GT, a=near, b=far, ground_truth=truth)
        assert cost_by_clip(given, "a") == pytest.approx(dict.fromkeys(NAMES, 0.5))
        assert compare_on_clips(given, ("a", "b"), STATISTICS).verdict == "a_better"

    def test_only_clips_that_both_have_are_compared(self) -> None:
        holes = {**LOW, "c00": None, "c01": None}
        got = compare_on_clips(
            scores(Direction.LOWER, a=holes, b=dict(list(HIGH.items())[:-1])), ("a", "b"), STATISTICS
        )
        assert got.n_pairs == 17

    def test_noise_is_a_tie_and_too_few_is_undefined(self) -> None:
        rng = np.random.default_rng(3)
        a = {name: float(rng.normal()) for name in NAMES}
        b = {name: float(rng.normal()) for name in NAMES}
        assert compare_on_clips(scores(Direction.LOWER, a=a, b=b), ("a", "b"), STATISTICS).verdict == "tie"
        few = compare_on_clips(scores(Direction.LOWER, a={"c": 1.0}, b={"c": 2.0}), ("a", "b"), STATISTICS)
        assert (few.verdict, few.difference) == ("undefined", None)
        assert few.reason
        none = compare_on_clips(scores(Direction.LOWER, a={"c": 1.0}, b={"d": 2.0}), ("a", "b"), STATISTICS)
        assert (none.verdict, none.n_pairs) == ("undefined", 0)

    def test_order_changes_nothing(self) -> None:
        given = scores(Direction.LOWER, a=LOW, b=HIGH)
        mixed = scores(Direction.LOWER, b=dict(reversed(HIGH.items())), a=dict(reversed(LOW.items())))
        assert compare_on_clips(given, ("a", "b"), STATISTICS) == compare_on_clips(mixed, ("a", "b"), STATISTICS)

    def entry(self, p: float | None, verdict: str = "a_better") -> ComparisonEntry:
        return ComparisonEntry.model_validate(
            {
                "protocol": "p",
                "key": "v",
                "system_a": "a",
                "system_b": "b",
                "difference": -1.0,
                "p_value": p,
                "n_pairs": 9,
                "verdict": verdict,
            }
        )

    def test_holm_takes_back_what_does_not_survive_many_comparisons(self) -> None:
        found = corrected([self.entry(p) for p in (0.001, 0.02, 0.04)] + [self.entry(None)], STATISTICS)
        assert [entry.p_corrected for entry in found] == [pytest.approx(0.003), pytest.approx(0.04), 0.04, None]
        found = corrected([self.entry(p) for p in (0.001, 0.03, 0.04)], STATISTICS)
        assert [entry.p_corrected for entry in found] == [pytest.approx(x) for x in (0.003, 0.06, 0.06)]
        assert [entry.verdict for entry in found] == ["a_better", "tie", "tie"]
        assert "correction" in found[1].reason

    def test_benjamini_hochberg_is_milder(self) -> None:
        mild = Statistics(resamples=200, correction="bh")
        found = corrected([self.entry(p) for p in (0.001, 0.03, 0.04)], mild)
        assert [entry.p_corrected for entry in found] == [pytest.approx(x) for x in (0.003, 0.04, 0.04)]
        assert {entry.verdict for entry in found} == {"a_better"}

    def test_alone_nothing_is_corrected(self) -> None:
        assert corrected([self.entry(0.04)], STATISTICS)[0].verdict == "a_better"
        assert corrected([], STATISTICS) == []


class TestAnchorChecks:
    VALUE = ValueSpec(key="v", label="V", direction=Direction.HIGHER, decimals=1)

    def found(self, verdict: str, *, spec: ProtocolSpec, pair: tuple[str, str], numbers: tuple[Any, Any]) -> Any:
        entries = {
            (system, spec.name, "v"): ValueEntry(
                system=system,
                protocol=spec.name,
                key="v",
                value=number,
                status="ok" if number is not None else "failed",
                n_planned=5,
                n_scored=5,
            )
            for system, number in zip(pair, numbers, strict=True)
        }
        comparison = ComparisonEntry.model_validate(
            {
                "protocol": spec.name,
                "key": "v",
                "system_a": pair[0],
                "system_b": pair[1],
                "difference": 1.0,
                "interval": {"low": 0.5, "high": 1.5, "level": 0.95, "method": "m", "n_units": 5},
                "n_pairs": 5,
                "verdict": verdict,
            }
        )
        return check(spec, self.VALUE, pair, entries, comparison)

    @pytest.mark.parametrize(
        ("verdict", "expected"),
        [("a_better", "pass"), ("b_better", "fail"), ("tie", "tie"), ("undefined", "tie")],
    )
    def test_the_verdict_is_that_of_the_paired_comparison(self, verdict: str, expected: str) -> None:
        got = self.found(verdict, spec=spec_of(), pair=("reencoded", "frozen"), numbers=(5.0, 3.25))
        assert got.verdict == expected
        assert got.reason.startswith("5.0 against 3.2")

    def test_no_value_is_not_a_pass(self) -> None:
        got = self.found("a_better", spec=spec_of(), pair=("reencoded", "frozen"), numbers=(5.0, None))
        assert (got.verdict, got.reason) == ("no_value", "5.0 against no value")

    def test_what_a_metric_cannot_see_is_said(self) -> None:
        pair = ("ground-truth", "shifted-audio")
        visual = self.found("b_better", spec=spec_of(), pair=pair, numbers=(5.0, 5.0))
        assert (visual.verdict, visual.reason) == ("cannot", "does not compare video and audio")
        audiovisual = self.found("b_better", spec=spec_of(reads_audio_video_sync=True), pair=pair, numbers=(5.0, 6.0))
        assert audiovisual.verdict == "fail"
        blind = spec_of(blind_to=frozenset({"other_identity"}))
        assert why_blind(blind, "other-identity")
        assert not why_blind(blind, "frozen")
        assert "the same set" in why_blind(Distance.spec, "other-identity")
        assert not why_blind(Distance.spec, "frozen")
        still = spec_of(blind_to=frozenset({"frozen"}))
        assert why_blind(still, "frozen-reencoded") == why_blind(still, "frozen") != ""

    def test_only_orders_of_anchors_that_are_there(self) -> None:
        assert pairs_to_check(["ground-truth", "frozen", "mine"]) == []
        found = pairs_to_check(["ground-truth", "reencoded", "frozen", "frozen-reencoded", "shuffled-audio"])
        assert ("reencoded", "frozen") in found
        assert {worse for _, worse in found} == {"frozen", "frozen-reencoded", "shuffled-audio"}
        assert {better for better, _ in found} <= {"ground-truth", "reencoded"}


class Distance(SetMetric):
    """Distance of means; refuses fewer than four samples."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="test/set@1",
        title="",
        family=Family.OPEN,
        granularity=Granularity.SET,
        values=(ValueSpec(key="d", label="D", direction=Direction.LOWER),),
        extractors=(),
    )

    def samples(self, clip: Any) -> Any:
        raise AssertionError

    def compute(self, generated: Any, truth: Any) -> dict[str, float]:
        first, second = np.concatenate(generated), np.concatenate(truth)
        if len(first) < 4:
            raise Unscored("too_few", f"{len(first)} samples, at least 4 are needed")
        return {"d": float(np.abs(np.sort(first.mean(axis=0)) - np.sort(second.mean(axis=0))).sum())}


class Likeness(Distance):
    """The same as a likeness: more is better; and values that no verdict can be had of."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="test/likeness@1",
        title="",
        family=Family.OPEN,
        granularity=Granularity.SET,
        values=(
            ValueSpec(key="likeness", label="L", direction=Direction.HIGHER),
            ValueSpec(key="near", label="N", direction=Direction.CLOSER_TO_GT),
            ValueSpec(key="nothing", label="X", direction=Direction.LOWER),
        ),
        extractors=(),
    )

    def compute(self, generated: Any, truth: Any) -> dict[str, float]:
        distance = super().compute(generated, truth)["d"]
        return {"likeness": -distance, "near": distance, "nothing": float("nan")}


class TestSetMetrics:
    def sets(self, shift: float, n_clips: int = 12) -> dict[str, Any]:
        rng = np.random.default_rng(int(shift * 10))
        return {f"c{i:02d}#0": rng.normal(shift, 1, size=(8, 2)) for i in range(n_clips)}

    def values(self, generated: Any, truth: Any, system: str = "a", missing: Any = None) -> ValueEntry:
        people = {f"c{i:02d}": f"p{i}" for i in range(40)}
        request = ScoringRequest(system=system, n_planned=12, statistics=STATISTICS)
        return set_metric_values(Distance(), generated, truth, missing or {}, people, request)[0]

    def test_a_value_with_an_interval(self) -> None:
        entry = self.values(self.sets(1.0), self.sets(0.0))
        assert entry.value == pytest.approx(2.0, abs=1.0)
        assert entry.interval is not None
        assert entry.interval.low < entry.value < entry.interval.high
        assert (entry.n_scored, entry.n_identities) == (12, 12)

    def test_the_ground_truth_has_no_interval(self) -> None:
        truth = self.sets(0.0)
        entry = self.values(truth, truth, "ground-truth")
        assert (entry.value, entry.interval) == (0.0, None)

    def test_too_few_and_none_are_refused_with_a_reason(self) -> None:
        few = {"c00#0": np.zeros((2, 2))}
        entry = self.values(few, self.sets(0.0))
        assert (entry.value, entry.status, entry.n_scored) == (None, "failed", 0)
        assert entry.reason == "too_few: 2 samples, at least 4 are needed"
        none = self.values({}, self.sets(0.0), missing={"c00#0": "no_face: nobody"})
        assert (none.value, none.reason) == (None, "no_face: nobody")

    def test_order_changes_nothing(self) -> None:
        one, two = self.sets(1.0), self.sets(0.0)
        back = {name: one[name] for name in reversed(one)}
        assert self.values(one, two) == self.values(back, dict(reversed(two.items())))

    def test_comparisons_of_sets(self) -> None:
        people = {f"c{i:02d}": f"p{i}" for i in range(12)}
        samples = {"a": self.sets(0.2), "b": self.sets(2.0), "ground-truth": self.sets(0.0), "c": {}}
        (entry,) = compare_sets(Distance(), samples, samples["ground-truth"], people, ("a", "b"), STATISTICS)
        assert entry.verdict == "a_better"
        assert entry.difference is not None
        assert entry.difference < 0
        (entry,) = compare_sets(Distance(), samples, samples["ground-truth"], people, ("a", "c"), STATISTICS)
        assert (entry.verdict, entry.difference) == ("undefined", None)

    def test_verdicts_on_sets_are_corrected_for_many_comparisons_too(self) -> None:
        people = {f"c{i:02d}": f"p{i}" for i in range(12)}
        samples = {"a": self.sets(0.2), "b": self.sets(2.0), "ground-truth": self.sets(0.0)}
        (entry,) = compare_sets(Distance(), samples, samples["ground-truth"], people, ("a", "b"), STATISTICS)
        assert entry.p_value is not None
        assert entry.p_value < 0.05
        same = entry.model_copy(update={"verdict": "tie", "p_value": 1.0})
        assert corrected([entry, same], STATISTICS)[0].verdict == "a_better"
        many = corrected([entry.model_copy(update={"p_value": 0.04}), same, same], STATISTICS)
        assert (many[0].verdict, many[0].p_corrected) == ("tie", pytest.approx(0.12))

    def test_a_value_of_sets_of_which_more_is_better_is_won_by_the_larger(self) -> None:
        people = {f"c{i:02d}": f"p{i}" for i in range(12)}
        samples = {"a": self.sets(0.2), "b": self.sets(2.0), "ground-truth": self.sets(0.0)}
        for pair, verdict in ((("a", "b"), "a_better"), (("b", "a"), "b_better")):
            found = compare_sets(Likeness(), samples, samples["ground-truth"], people, pair, STATISTICS)
            assert [entry.verdict for entry in found] == [verdict, "undefined", "undefined"]
            assert (found[0].difference or 0) * (1 if verdict == "a_better" else -1) > 0
            assert [entry.difference for entry in found[1:]] == [None, None]
            assert all(entry.reason for entry in found[1:])


class Buggy(Plain):
    """Fails in three ways, by clip."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="test/buggy@1",
        title="",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(ValueSpec(key="v", label="V", direction=Direction.LOWER),),
        extractors=(),
    )

    def score_clip(self, generated: Any, truth: Any) -> dict[str, float]:
        if generated.clip_id == "clip-02":
            return {"v": 1 / len(generated.arrays)}
        return {"v": float("nan")} if generated.clip_id == "clip-00" else {}


def test_a_metric_with_bugs_leaves_the_others_alone(tiny, tiny_set, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emo_bench.extract.catalogue import load_catalogues, metrics
    from emo_bench.record.rows import rows_table

    load_catalogues()
    monkeypatch.setitem(metrics._targets, "test/buggy@1", Buggy)
    suite = load_suite(tiny.suite(tiny_set, tmp_path, anchors=[], metrics=["test/buggy@1", "flicker/luma@1"]))
    monkeypatch.setattr("emo_bench.report.write_report", lambda *_: None)
    record = run_suite(suite)
    rows = rows_table(tmp_path / "run")
    found = {r["clip"]: (r["status"], r["reason"]) for _, r in rows[rows["protocol"] == "test/buggy@1"].iterrows()}
    assert found["clip-00"] == found["clip-01"] == ("undefined", "the metric gave no finite number")
    assert found["clip-02"] == ("error", "ZeroDivisionError: division by zero")
    by_name = {entry.protocol: entry for entry in record.values}
    assert by_name["test/buggy@1"].value is None
    assert by_name["flicker/luma@1"].n_scored == 3
    assert record.status == "incomplete"
    assert ("score", "test/buggy@1", "error", "clip-02") in {(f.stage, f.part, f.code, f.clip) for f in record.failures}


def test_evaluation_knows_no_order_of_outcomes(tiny, tiny_set, tmp_path) -> None:
    from emo_bench.data.manifest import read_manifest
    from emo_bench.engine.context import RunContext
    from emo_bench.engine.plan import other_units, truth_units
    from emo_bench.engine.units import work
    from emo_bench.runner.run import spec_of

    suite = load_suite(tiny.suite(tiny_set, tmp_path))
    context = RunContext(spec_of(suite, read_manifest(tiny_set)))
    outcomes = [work(context, unit) for unit in [*truth_units(context), *other_units(context)]]
    steps: list[str] = []
    first = evaluate(context, outcomes, step=steps.append)
    mixed = outcomes.copy()
    random.Random(0).shuffle(mixed)
    second = evaluate(context, mixed, step=lambda _: None)
    assert steps == list(tiny.metrics)
    assert (first.values, first.rows, first.comparisons, first.checks) == (
        second.values,
        second.rows,
        second.comparisons,
        second.checks,
    )
    verdicts = {(found.key, found.worse): found.verdict for found in first.checks}
    for key, worse in itertools.product(("psnr", "ssim"), ("frozen", "other-identity")):
        assert verdicts[key, worse] == "pass"
    assert all(verdicts[key, "shifted-audio"] == "cannot" for key in ("psnr", "ssim", "flicker"))
