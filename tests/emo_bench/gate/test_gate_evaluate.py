from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import record_factory
from record_factory import dataclasses

from emo_bench.gate import GateRules, Rule, Verdict, evaluate_gate, read_rules, verdict_markdown, write_verdict
from emo_bench.gate.rules import Requirements, SystemPair, fits_nothing_known
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import FailureEntry
from emo_core.errors import ExitCode

GATES = Path(__file__).resolve().parents[3] / "configs" / "gates"
RULES = GateRules(resamples=200, require=Requirements(recomputed=False), rules=(Rule(protocol="*", primary_only=True),))


PSNR_PAIR = (SystemPair(baseline="emo-synth", candidate="emo-synth"),)


def baseline_noise() -> RunData:
    return record_factory.make_run(noise_seed=2)


@pytest.fixture(scope="module")
def baseline() -> RunData:
    return record_factory.make_run()


def _changed(run: RunData, **changes: Any) -> RunData:
    return dataclasses.replace(run, record=run.record.model_copy(update=changes))


def _outcomes(verdict: Verdict) -> dict[str, str]:
    return {f"{rule.change.system_b} {rule.change.key}": rule.outcome for rule in verdict.rules}


def test_a_run_is_not_worse_than_itself(baseline: RunData) -> None:
    verdict = evaluate_gate(baseline, baseline, RULES)
    assert (verdict.outcome, verdict.exit_code) == ("pass", ExitCode.OK)
    assert set(_outcomes(verdict).values()) == {"pass"}


def test_a_worse_system_fails_in_every_direction(baseline: RunData) -> None:
    verdict = evaluate_gate(baseline, record_factory.make_run(worse_by=3.0, noise_seed=1), RULES)
    assert (verdict.outcome, verdict.exit_code) == ("fail", ExitCode.GATE_FAILED)
    found = _outcomes(verdict)
    # psnr: higher, lmd: lower, f-sim and head velocity: closer to the ground truth
    assert {found[f"emo-synth {key}"] for key in ("psnr", "lmd", "f-sim", "mean")} == {"worse"}
    assert {found[f"wav2lip-like {key}"] for key in ("psnr", "lmd", "f-sim", "mean")} == {"pass"}


def test_a_worse_system_fails_however_few_resamples_and_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_factory, "MAX_PEOPLE", 20)
    before = record_factory.make_run(n_clips=20, failing=0)
    after = record_factory.make_run(n_clips=20, failing=0, worse_by=3.0, noise_seed=1)
    rules = RULES.model_copy(update={"resamples": 100})
    verdict = evaluate_gate(before, after, rules)
    assert len(verdict.rules) > 10
    assert verdict.outcome == "fail"
    assert _outcomes(verdict)["emo-synth psnr"] == "worse"


def test_a_better_system_passes(baseline: RunData) -> None:
    assert evaluate_gate(record_factory.make_run(worse_by=3.0, noise_seed=1), baseline, RULES).outcome == "pass"


def test_a_change_below_the_minimum_effect_passes(baseline: RunData) -> None:
    lenient = GateRules(resamples=200, rules=(Rule(protocol="psnr/*", minimum_effect=100.0),))
    assert evaluate_gate(baseline, record_factory.make_run(worse_by=3.0, noise_seed=1), lenient).outcome == "pass"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"protocol": "fidd/*"}, True),
        ({"protocol": "PSNR/*"}, True),
        ({"protocol": "f-sim/*", "key": "fsim"}, True),
        ({"protocol": "brisque/*"}, False),  # known, but in neither run
        ({"protocol": "*", "key": "blink-rate"}, False),
    ],
)
def test_a_rule_that_could_never_judge_is_told(baseline: RunData, rule: dict[str, str], told: bool) -> None:
    rules = RULES.model_copy(update={"rules": (Rule(**rule), *RULES.rules)})
    verdict = evaluate_gate(baseline, baseline, rules)
    assert verdict.outcome == ("invalid" if told else "pass")
    assert any("never judge" in problem for problem in verdict.problems) == told


@pytest.mark.parametrize("path", sorted(GATES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_rule_that_ships_is_about_a_known_value(path: Path) -> None:
    rules = read_rules(path).rules
    assert rules
    assert [rule for rule in rules if fits_nothing_known(rule, ())] == []


def test_a_warning_does_not_fail(baseline: RunData) -> None:
    warn = GateRules(resamples=200, rules=(Rule(protocol="psnr/*", severity="warn"),))
    verdict = evaluate_gate(baseline, record_factory.make_run(worse_by=3.0, noise_seed=1), warn)
    assert verdict.outcome == "pass"
    assert _outcomes(verdict)["emo-synth psnr"] == "worse"
    assert "⚠️ worse" in verdict_markdown(verdict)
    assert "whole sets" not in verdict_markdown(verdict)


def test_a_set_value_is_judged_by_its_intervals(baseline: RunData) -> None:
    values = tuple(
        v.model_copy(
            update={"value": 2.0, "interval": v.interval.model_copy(update={"low": 1.8, "high": 2.2})}  # type: ignore[union-attr]
        )
        if (v.system, v.key) == ("emo-synth", "e-fid") else v
        for v in baseline.record.values
    )  # fmt: skip
    verdict = evaluate_gate(baseline, _changed(baseline, values=values), RULES)
    assert "whole sets by the intervals of either run" in verdict_markdown(verdict)
    assert _outcomes(verdict)["emo-synth e-fid"] == "worse"
    assert _outcomes(verdict)["wav2lip-like e-fid"] == "pass"


def test_other_terms_are_refused(baseline: RunData) -> None:
    record = baseline.record
    other_weights = tuple(
        p.model_copy(update={"weights": (p.weights[0].model_copy(update={"sha256": "e" * 64}),)})
        for p in record.protocols
    )
    no_protocols = tuple(p for p in record.protocols if not p.name.startswith("psnr"))
    unavailable = tuple(
        p.model_copy(update={"status": "unavailable", "reason": "no weights"}) if p.name.startswith("psnr") else p
        for p in record.protocols
    )
    cases = {
        "data sets differ": _changed(baseline, digests=record.digests.model_copy(update={"dataset": "f" * 64})),
        "seed lists differ": _changed(baseline, config={"seeds": [1]}),
        "is incomplete": _changed(baseline, status="incomplete"),
        "lacks 3 clips": _changed(baseline, clips=record.clips[:9]),
        "other weights": _changed(baseline, protocols=other_weights),
        "not in the candidate": _changed(baseline, protocols=no_protocols),
        "could not be computed for the candidate": _changed(baseline, protocols=unavailable),
        "System 'emo-synth'": _changed(baseline, systems=tuple(s for s in record.systems if s.name != "emo-synth")),
        "corresponds": _changed(baseline, systems=tuple(s for s in record.systems if s.anchor)),
    }
    for text, candidate in cases.items():
        verdict = evaluate_gate(baseline, candidate, RULES)
        assert (verdict.outcome, verdict.exit_code) == ("invalid", ExitCode.USAGE), text
        assert any(text in problem for problem in verdict.problems), (text, verdict.problems)


def test_what_an_incomplete_run_lacks_is_told(baseline: RunData) -> None:
    lost = FailureEntry(stage="generate", system="emo-synth", clip="clip-03", seed=0, code="system_error", reason="x")
    incomplete = _changed(baseline, status="incomplete", failures=(lost,))
    problems = evaluate_gate(baseline, incomplete, RULES).problems
    (told,) = (problem for problem in problems if "is incomplete" in problem)
    assert "generate emo-synth / clip-03: system_error" in told
    assert "require.complete: false" in told


@pytest.mark.parametrize("label", ["baseline", "candidate"])
def test_a_run_without_its_rows_is_not_whole_and_no_regression(baseline: RunData, label: str) -> None:
    runs = {"baseline": baseline, "candidate": baseline} | {label: dataclasses.replace(baseline, rows=())}
    verdict = evaluate_gate(runs["baseline"], runs["candidate"], RULES)
    assert verdict.exit_code == ExitCode.USAGE
    (problem,) = verdict.problems
    assert problem.startswith(f"The {label} is not whole.")
    assert "clips.parquet" in problem


def test_lost_values_fail(baseline: RunData) -> None:
    nan_value = tuple(
        v.model_copy(update={"value": math.nan}) if (v.system, v.key) == ("emo-synth", "lmd") else v
        for v in baseline.record.values
    )
    fewer = tuple(
        v.model_copy(update={"n_scored": v.n_scored - 1}) if (v.system, v.key) == ("emo-synth", "e-fid") else v
        for v in baseline.record.values
    )
    one = next(i for i, row in enumerate(baseline.rows) if (row.system, row.key) == ("emo-synth", "ssim"))
    nan_row = (*baseline.rows[:one], dataclasses.replace(baseline.rows[one], value=math.nan), *baseline.rows[one + 1 :])
    gone_row = (*baseline.rows[:one], *baseline.rows[one + 1 :])
    cases = {
        "lmd": _changed(baseline, values=nan_value),
        "e-fid": _changed(baseline, values=fewer),
        "ssim": dataclasses.replace(baseline, rows=nan_row),
        "ssim ": dataclasses.replace(baseline, rows=gone_row),
    }
    for key, candidate in cases.items():
        verdict = evaluate_gate(baseline, candidate, RULES)
        assert verdict.outcome == "fail", key
        assert _outcomes(verdict)[f"emo-synth {key.strip()}"] == "lost"


def test_nothing_to_judge_is_refused(baseline: RunData) -> None:
    nothing = GateRules(rules=(Rule(protocol="absent/*"),))
    assert evaluate_gate(baseline, baseline, nothing).outcome == "invalid"
    required = GateRules(rules=(Rule(protocol="sync/*", required=True), Rule(protocol="*")))
    assert "could not be computed for the baseline" in evaluate_gate(baseline, baseline, required).problems[0]


@pytest.mark.parametrize("n_clips", [0, 1, 3])
def test_too_few_clips_are_refused(n_clips: int) -> None:
    run = record_factory.make_run(n_clips=n_clips, failing=0)
    verdict = evaluate_gate(run, run, RULES)
    assert verdict.outcome == "invalid"
    assert verdict_markdown(verdict)


def test_a_change_that_must_be_seen_demands_power(baseline: RunData) -> None:
    demanding = GateRules(resamples=200, rules=(Rule(protocol="psnr/*", must_detect=0.001),))
    verdict = evaluate_gate(baseline, record_factory.make_run(noise_seed=3), demanding)
    assert verdict.outcome == "invalid"
    assert "blind" in _outcomes(verdict).values()


def test_what_would_be_seen_counts_the_interval_that_must_exclude_zero(baseline: RunData) -> None:
    """However large alpha is, the 95 % interval decides as well."""
    seen = []
    for alpha in (0.025, 0.4):
        rules = RULES.model_copy(update={"alpha": alpha, "systems": PSNR_PAIR, "rules": (Rule(protocol="psnr/*"),)})
        (rule,) = evaluate_gate(baseline, baseline_noise(), rules).rules
        seen.append(rule.change.detectable)
    assert seen[0] == seen[1]


def test_systems_may_be_paired_by_hand(baseline: RunData) -> None:
    pair = (SystemPair(baseline="emo-synth", candidate="wav2lip-like"),)
    rules = GateRules(resamples=200, systems=pair, rules=(Rule(protocol="lip-sync/*", key="lag-error"),))
    assert evaluate_gate(baseline, record_factory.make_run(failing=0), rules).outcome == "fail"
    absent = rules.model_copy(update={"systems": (SystemPair(baseline="nobody", candidate="emo-synth"),)})
    assert "nobody" in evaluate_gate(baseline, baseline, absent).problems[0]


def test_requirements_can_be_lifted(baseline: RunData) -> None:
    lifted = RULES.model_copy(update={"require": Requirements(same_seeds=False, recomputed=False)})
    assert evaluate_gate(baseline, _changed(baseline, config={"seeds": [7]}), lifted).outcome == "pass"


def test_the_verdict_is_written_as_json_and_markdown(baseline: RunData, tmp_path: Path) -> None:
    verdict = evaluate_gate(baseline, record_factory.make_run(worse_by=3.0, noise_seed=1), RULES)
    json_path, markdown_path = write_verdict(verdict, tmp_path)
    value = json.loads(json_path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert value["exit_code"] == 1
    assert value["rules"][0]["change"]["detectable"] > 0
    assert markdown_path.read_text().startswith("<!-- emo-bench gate -->\n### ❌ Regression")
    assert "80 % power" in markdown_path.read_text()


def test_hostile_names_are_text_in_a_comment() -> None:
    run = record_factory.make_run(systems=("<img src=x>|@team", "b"), n_clips=10, failing=0)
    text = verdict_markdown(evaluate_gate(run, run, RULES))
    assert "<img" not in text
    assert "@team" not in text


def _false_alarms_and_finds(worse_by: float, repeats: int, rules: GateRules) -> float:
    failed = 0
    for repeat in range(repeats):
        pair = [
            record_factory.make_run(
                n_clips=10, systems=("emo-synth",), anchors=("ground_truth",), failing=0,
                noise_seed=7919 * repeat + side, worse_by=worse_by * side,
            )
            for side in (0, 1)
        ]  # fmt: skip
        failed += evaluate_gate(pair[0], pair[1], rules).outcome == "fail"
    return failed / repeats


def test_false_alarms_are_rare_and_large_changes_are_found() -> None:
    """Equal systems with other noise must pass in 95 % of cases; three spreads worse must be found nearly always."""
    rules = GateRules(resamples=200, rules=(Rule(protocol="*", primary_only=True),))
    # Of 40 repeats more than 6 alarms would have a chance below 1 in 100 at a true rate of 5 %.
    assert _false_alarms_and_finds(0.0, 40, rules) <= 6 / 40
    assert _false_alarms_and_finds(3.0, 8, rules) >= 0.9


@pytest.mark.slow
def test_false_alarm_rate_over_many_repeats() -> None:
    rules = read_rules(Path(__file__).parents[3] / "configs" / "gates" / "default.yaml")
    rules = rules.model_copy(update={"resamples": 300})
    repeats = {0.0: 120, 0.5: 30, 1.0: 30, 2.0: 20}
    rates = {level: _false_alarms_and_finds(level, count, rules) for level, count in repeats.items()}
    # Two standard errors above the aim of 5 %.
    assert rates[0.0] <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 120), rates
    assert rates[0.5] <= rates[1.0] <= rates[2.0]
    assert rates[2.0] >= 0.9
