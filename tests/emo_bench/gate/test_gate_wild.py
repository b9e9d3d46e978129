"""The gate on portraits without a video: what applies is judged, what disappears is told, terms must be equal."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tiny_sets import suite_values, write_talking, write_tiny_set, write_wild_lines

from emo_bench.data.manifest import read_manifest, write_manifest
from emo_bench.gate import GateRules, Rule, Verdict, evaluate_gate
from emo_bench.gate.rules import Requirements
from emo_bench.record.run_data import RunData, load_run
from emo_bench.record.schema import ValueEntry
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import suite_from_values

RULES = GateRules(alpha=0.45, resamples=200, rules=(Rule(protocol="*", primary_only=True),))
"""Three people cannot give a smaller p than 1/8."""
ANY_DATA = RULES.model_copy(update={"require": Requirements(same_dataset=False)})


def make_run(folder: Path, *, real: int) -> RunData:
    """A run over ``real`` filmed clips and three portraits with audio, against a set of four other clips."""
    manifest = write_tiny_set(folder / "set", n_clips=max(1, real))
    entries = [*read_manifest(manifest).entries[:real], *write_wild_lines(folder / "set")]
    write_manifest(manifest, entries)
    for person, entry in enumerate(entries):
        write_talking(folder / "made" / f"{entry.id}.mkv", person=20 + person)
    changes: dict[str, Any] = {
        "systems": [{"name": "mine", "kind": "videos", "folder": str(folder / "made")}],
        "metrics": ["psnr/rgb@1", "flicker/luma@1", "fid/synth@1"],
        "anchors": [],
    }
    named = {"kind": "manifest", "manifest": str(write_tiny_set(folder / "real", n_clips=4))}
    changes["reference_set"] = named
    run_suite(suite_from_values(suite_values(manifest, folder, **changes), base=Path()))
    return load_run(folder / "run")


@pytest.fixture(scope="module")
def with_set(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return make_run(tmp_path_factory.mktemp("with-set"), real=0)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return make_run(tmp_path_factory.mktemp("mixed"), real=3)


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {rule.change.key: rule.outcome for rule in verdict.rules}


def without_values(run: RunData, key: str, *, status: str) -> RunData:
    """The same run in which the system has no value of this key any more, in rows as well as in the table."""

    def emptied(entry: ValueEntry) -> ValueEntry:
        if (entry.system, entry.key) != ("mine", key):
            return entry
        n = 0 if status == "not_applicable" else entry.n_planned
        gone = {"value": None, "interval": None, "status": status, "reason": "a test", "n_scored": 0, "n_planned": n}
        return entry.model_copy(update={**gone, "frame_coverage": None, "gap_to_ground_truth": None})

    rows = tuple(
        dataclasses.replace(row, value=None, coverage=None, status=status, reason="a test")
        if (row.system, row.key) == ("mine", key)
        else row
        for row in run.rows
    )
    values = tuple(emptied(entry) for entry in run.record.values)
    return dataclasses.replace(run, rows=rows, record=run.record.model_copy(update={"values": values}))


def with_reference_set(run: RunData, digest: str | None) -> RunData:
    """The same run as if another set, or none, had been named; its data have another digest then."""
    named = run.record.reference_set
    assert named is not None
    other = None if digest is None else named.model_copy(update={"digest": digest})
    digests = run.record.digests.model_copy(update={"dataset": (digest or "0" * 64)})
    return dataclasses.replace(run, record=run.record.model_copy(update={"reference_set": other, "digests": digests}))


def test_nothing_is_judged_where_nothing_applies(with_set: RunData) -> None:
    portraits = without_values(with_reference_set(with_set, None), "fid", status="not_applicable")
    verdict = evaluate_gate(portraits, portraits, RULES)
    assert outcomes(verdict) == {"psnr": "not_applicable", "flicker": "not_applicable", "fid": "not_applicable"}
    assert verdict.outcome == "invalid"
    assert "No value could be judged." in verdict.problems


def test_sets_are_judged_against_the_reference_set(with_set: RunData) -> None:
    verdict = evaluate_gate(with_set, with_set, RULES)
    assert outcomes(verdict) == {"psnr": "not_applicable", "flicker": "not_applicable", "fid": "pass"}
    assert verdict.outcome == "pass", verdict.problems


@pytest.mark.parametrize("status", ["no_face", "not_applicable"])
def test_plain_values_may_not_disappear(with_set: RunData, status: str) -> None:
    verdict = evaluate_gate(with_set, without_values(with_set, "flicker", status=status), RULES)
    assert outcomes(verdict)["flicker"] == "lost"
    assert verdict.outcome == "fail"


@pytest.mark.parametrize("key", ["psnr", "flicker", "fid"])
def test_values_that_stop_applying_are_lost(mixed: RunData, key: str) -> None:
    verdict = evaluate_gate(mixed, without_values(mixed, key, status="not_applicable"), RULES)
    assert outcomes(verdict)[key] == "lost"
    assert verdict.outcome == "fail"


def test_both_kinds_are_judged_on_what_applies(mixed: RunData) -> None:
    verdict = evaluate_gate(mixed, mixed, RULES)
    assert outcomes(verdict) == {"psnr": "pass", "flicker": "pass", "fid": "pass"}
    assert {rule.change.key: rule.change.n_pairs for rule in verdict.rules} == {"psnr": 3, "flicker": 3, "fid": 6}


def test_a_required_value_that_does_not_apply_is_refused(with_set: RunData) -> None:
    rules = RULES.model_copy(update={"rules": (Rule(protocol="psnr/*", required=True), *RULES.rules)})
    verdict = evaluate_gate(with_set, with_set, rules)
    assert (outcomes(verdict)["psnr"], verdict.outcome) == ("unjudged", "invalid")


def test_other_reference_sets_are_refused_even_where_other_data_are_allowed(with_set: RunData) -> None:
    for candidate in (with_reference_set(with_set, "a" * 64), with_reference_set(with_set, None)):
        for rules, sentence in ((RULES, "data sets differ"), (ANY_DATA, "reference sets differ")):
            verdict = evaluate_gate(with_set, candidate, rules)
            assert verdict.outcome == "invalid"
            assert any(sentence in problem for problem in verdict.problems)
    of_clips = ANY_DATA.model_copy(update={"rules": (Rule(protocol="psnr/*"), Rule(protocol="flicker/*"))})
    problems = evaluate_gate(with_set, with_reference_set(with_set, "a" * 64), of_clips).problems
    assert not any("reference sets" in one for one in problems)
