"""Judges a candidate run against a baseline run; whatever cannot be judged is refused, never passed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emo_bench.compare.ground_truth import differing_ground_truth
from emo_bench.compare.runs import Change, match_systems, measure_change, seeds_of
from emo_bench.compare.terms import other_media, other_protocol
from emo_bench.gate.contradictions import contradicted_value, contradictions, frame_share
from emo_bench.gate.rules import GateRules, Rule, fits_nothing_known
from emo_bench.gate.set_values import UNVERIFIED, contradicted_set_value
from emo_bench.gate.verdict import RuleOutcome, Verdict
from emo_bench.record.columns import Column, columns_of
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import ProtocolEntry, RunRecord, ValueEntry

Pair = tuple[str, str]

LEVEL = 0.95
"""Of the interval that has to exclude zero."""


def evaluate_gate(baseline: RunData, candidate: RunData, rules: GateRules) -> Verdict:
    """Judges a candidate.

    A value is worse when the change for the worse, paired per clip, has an interval that excludes zero, a one-sided p
    of at most ``rules.alpha`` after Holm's correction over all rules, and is larger than the rule's minimum effect.

    Args:
        baseline: The run to compare with.
        candidate: The run to judge.
        rules: What is judged.

    Returns:
        A verdict; ``invalid`` when the runs are not on equal terms or when nothing could be judged.
    """
    pairs, problems = _pairs(baseline.record, candidate.record, rules)
    problems += [
        f"The {label} contradicts itself. {sentence}"
        for label, run in (("baseline", baseline), ("candidate", candidate))
        for sentence in contradictions(run, seeds=rules.require.same_seeds)
    ]
    problems += _broken_seals((("baseline", baseline), ("candidate", candidate)), rules)
    problems += _unequal(baseline.record, candidate.record, rules)
    judged, more = _judged_columns(baseline.record, candidate.record, rules)
    problems += more
    problems += differing_ground_truth(baseline, candidate, [column for column, _ in judged])
    problems += _other_reference_set(baseline.record, candidate.record, judged)
    if not pairs:
        problems.append("No system of the candidate corresponds to one of the baseline.")
    if not judged:
        problems.append("No value fits a rule, so nothing was judged.")
    outcomes = [] if problems else _judge(baseline, candidate, pairs, judged, rules)
    if outcomes and all(outcome.outcome in ("unjudged", "blind", "not_applicable") for outcome in outcomes):
        problems.append("No value could be judged.")
    return Verdict(
        outcome=_overall(problems, outcomes),
        baseline=baseline.record.name,
        candidate=candidate.record.name,
        problems=tuple(problems),
        rules=tuple(outcomes),
        alpha=rules.alpha,
    )


def _overall(problems: Sequence[str], outcomes: Sequence[RuleOutcome]) -> Literal["pass", "fail", "invalid"]:
    failing = {outcome.outcome for outcome in outcomes if outcome.severity == "fail"}
    if failing & {"worse", "lost"}:
        return "fail"
    return "invalid" if problems or failing & {"blind", "unjudged"} else "pass"


def _pairs(baseline: RunRecord, candidate: RunRecord, rules: GateRules) -> tuple[list[Pair], list[str]]:
    if not rules.systems:
        pairs = match_systems(baseline, candidate)
        paired = {name for name, _ in pairs}
        missing = [system.name for system in baseline.systems if not system.anchor and system.name not in paired]
        return pairs, [f"System {name!r} of the baseline is not in the candidate." for name in missing]
    names = [{system.name for system in record.systems} for record in (baseline, candidate)]
    problems = [
        f"The rules name the system {name!r}, which is not in the {label}."
        for pair in rules.systems
        for name, known, label in ((pair.baseline, names[0], "baseline"), (pair.candidate, names[1], "candidate"))
        if name not in known
    ]
    return [(pair.baseline, pair.candidate) for pair in rules.systems], problems


def _broken_seals(runs: Sequence[tuple[str, RunData]], rules: GateRules) -> Iterator[str]:
    for label, run in runs:
        yield from (f"The {label} is not as it was written. {sentence}" for sentence in run.damage)
        if run.unsealed and rules.require.sealed:
            yield f"The {label} has no digests of its files; run its suite again, or set 'require.sealed: false'."
        if run.missing_rows:
            yield f"The {label} is not whole. {run.missing_rows}"


def _unequal(baseline: RunRecord, candidate: RunRecord, rules: GateRules) -> list[str]:
    require = rules.require
    problems = []
    if require.same_dataset and baseline.digests.dataset != candidate.digests.dataset:
        problems.append(
            f"The data sets differ: {baseline.digests.dataset[:12]} in the baseline, "
            f"{candidate.digests.dataset[:12]} in the candidate."
        )
    if require.same_seeds and seeds_of(baseline) != seeds_of(candidate):
        problems.append(f"The seed lists differ: {seeds_of(baseline)} and {seeds_of(candidate)}.")
    if require.same_media:
        problems += other_media(baseline, candidate)
    fewer = sorted({clip.id for clip in baseline.clips} - {clip.id for clip in candidate.clips})
    if fewer:
        problems.append(f"The candidate lacks {len(fewer)} clips of the baseline, for example {fewer[0]!r}.")
    more = sorted({clip.id for clip in candidate.clips} - {clip.id for clip in baseline.clips})
    if more and require.same_dataset:
        problems.append(f"The candidate has {len(more)} clips that the baseline lacks, for example {more[0]!r}.")
    if require.complete:
        for label, record in (("baseline", baseline), ("candidate", candidate)):
            if record.status != "complete":
                problems.append(f"The {label} is {record.status}{_what_it_lacks(record)}.")
    return problems


def _what_it_lacks(record: RunRecord) -> str:
    """The first units of a run that have no result, and how such a run is judged all the same."""
    lost = [f"{one.stage} {one.system} / {one.clip}: {one.code}" for one in record.failures]
    named = f" ({len(lost)} without a result, for example {lost[0]})" if lost else ""
    return f"{named}; repeat its suite, or let what it lost count as worse with 'require.complete: false'"


def _other_reference_set(
    baseline: RunRecord, candidate: RunRecord, judged: Sequence[tuple[Column, Rule]]
) -> Iterator[str]:
    """Distances from different sets of real clips are different quantities, whatever the rules allow to differ."""
    if not any(column.protocol.granularity == "set" for column, _ in judged):
        return
    sets = [record.reference_set for record in (baseline, candidate)]
    if [one and one.digest for one in sets] != [one and one.digest for one in sets[::-1]]:
        names = [f"{one.name} ({one.digest[:12]})" if one else "none" for one in sets]
        yield f"The reference sets differ: {names[0]} in the baseline, {names[1]} in the candidate."
    elif sets == [None, None] and baseline.digests.dataset != candidate.digests.dataset:
        yield (
            "The real clips that sets are compared with differ: without a reference_set they are those of either run's "
            "own data."
        )


def _judged_columns(
    baseline: RunRecord, candidate: RunRecord, rules: GateRules
) -> tuple[list[tuple[Column, Rule]], list[str]]:
    """Values with their rules, and why a rule cannot be applied at all."""
    others = {protocol.name: protocol for protocol in candidate.protocols}
    judged, problems = [], []
    for column in columns_of(baseline):
        rule = rules.rule_for(column)
        if rule is None:
            continue
        problem = _protocol_problem(column.protocol, others.get(column.protocol.name), rule)
        if problem is not None:
            problems.append(problem)
        elif column.protocol.status == "ok":
            judged.append((column, rule))
    problems += [
        f"The rules require {rule.protocol!r}, which the baseline does not have."
        for rule in rules.rules
        if rule.required and not any(rule.fits(column) for column in columns_of(baseline))
    ]
    known = (*columns_of(baseline), *columns_of(candidate))
    problems += [
        f"A rule is about {rule.protocol!r}, key {rule.key!r}, which fits no value of any protocol, so it would never "
        "judge; `emo-bench ls metrics` lists the names."
        for rule in rules.rules
        if fits_nothing_known(rule, known)
    ]
    return judged, list(dict.fromkeys(problems))


def _protocol_problem(protocol: ProtocolEntry, other: ProtocolEntry | None, rule: Rule) -> str | None:
    if other is None:
        return f"Protocol {protocol.name} is not in the candidate."
    if protocol.status == "ok" and other.status != "ok":
        return f"Protocol {protocol.name} could not be computed for the candidate: {other.reason}"
    if protocol.status != "ok":
        if rule.required or other.status == "ok":
            return f"Protocol {protocol.name} could not be computed for the baseline: {protocol.reason}"
        return None
    if differs := other_protocol(protocol, other):
        return f"Protocol {protocol.name} is not the same in both runs (other {differs})."
    return None


@dataclass(frozen=True)
class _Test:
    """How everything is judged.

    Attributes:
        alpha: Chance of any false alarm.
        count: How many values share it.
        resamples: Sign patterns behind a p where they are not enumerated.
        coverage_loss: Share of frames that may be lost.
        recomputed: Whether values of sets must follow from samples.
    """

    alpha: float
    count: int
    resamples: int
    coverage_loss: float
    recomputed: bool


def _judge(
    baseline: RunData,
    candidate: RunData,
    pairs: Sequence[Pair],
    judged: Sequence[tuple[Column, Rule]],
    rules: GateRules,
) -> list[RuleOutcome]:
    tasks = [(pair, column, rule) for pair in pairs for column, rule in judged]
    test = _Test(
        alpha=rules.alpha,
        count=max(1, sum(not _needs_absent_truth(baseline, candidate, pair, column) for pair, column, _ in tasks)),
        resamples=rules.resamples,
        coverage_loss=rules.coverage_loss,
        recomputed=rules.require.recomputed,
    )
    measured = [
        measure_change(
            baseline,
            candidate,
            column,
            pair,
            level=LEVEL,
            resamples=rules.resamples,
            # A one-sided test of size a sees what a two-sided one of size 2a sees; the interval must exclude zero too.
            detectable_alpha=min(2 * test.alpha / test.count, 1 - LEVEL),
        )
        for pair, column, _ in tasks
    ]
    corrected = _corrected(measured)
    return [
        _outcome((baseline, candidate), column, rule, change, corrected.get(index), test)
        for index, ((_, column, rule), change) in enumerate(zip(tasks, measured, strict=True))
    ]


def _corrected(changes: Sequence[Change]) -> dict[int, float]:
    """One-sided p for the worse, after Holm."""
    from emo_metrics.statistics import holm

    one_sided = {}
    for index, change in enumerate(changes):
        if change.p is not None and change.difference is not None:
            one_sided[str(index)] = change.p / 2 if change.difference > 0 else 1 - change.p / 2
    return {int(index): p for index, p in holm(one_sided).items()}


def _outcome(
    runs: tuple[RunData, RunData], column: Column, rule: Rule, change: Change, p: float | None, test: _Test
) -> RuleOutcome:
    threshold = rule.threshold(change.value_a)
    result = RuleOutcome(change=change, severity=rule.severity, threshold=threshold, outcome="pass", p=p, reason="")
    lost = _lost(*runs, column, change, test.coverage_loss)
    if lost:
        return replace(result, outcome="lost", reason=lost)
    # After the losses: a value without a rank is there all the same, and may not disappear.
    if not rule.required and _needs_absent_truth(*runs, (change.system_a, change.system_b), column):
        return replace(result, outcome="not_applicable", reason="no clip of the runs has a ground truth")
    contradicted = _contradicted(*runs, column, change, recomputed=test.recomputed)
    if contradicted:
        return replace(result, outcome="unjudged", reason=contradicted)
    if p is None or change.difference is None or change.low is None or not math.isfinite(change.difference):
        return replace(result, outcome="unjudged", reason=change.reason or "there is no paired difference")
    if p <= test.alpha and change.low > 0 and change.difference > threshold:
        return replace(result, outcome="worse")
    blind = _blindness(column, rule, change, test)
    return replace(result, outcome="blind", reason=blind) if blind else result


def _needs_absent_truth(baseline: RunData, candidate: RunData, pair: Pair, column: Column) -> bool:
    """Whether a value needs a ground truth and no clip of either run has one."""
    records = (baseline.record, candidate.record)
    if any(clip.ground_truth for record in records for clip in record.clips):
        return False
    entries = [_entry(record, system, column) for record, system in zip(records, pair, strict=True)]
    absent = all(entry is not None and entry.status == "not_applicable" for entry in entries)
    return absent or column.value.direction == "closer_to_gt"


def _blindness(column: Column, rule: Rule, change: Change, test: _Test) -> str:
    """Why a change could not have been seen, or an empty text."""
    from emo_metrics.statistics.paired import smallest_p

    # One-sided, as the p that are judged; with few people it is 2^-n.
    least = smallest_p(change.n_units, resamples=test.resamples) / 2
    if column.protocol.granularity == "clip" and least > test.alpha / test.count:
        return f"{change.n_units} people are too few to find any change beyond chance with {test.count} values judged"
    if rule.must_detect is not None and (change.detectable is None or change.detectable > rule.must_detect):
        return f"a change of {rule.must_detect:g} would probably stay unseen"
    return ""


def _lost(baseline: RunData, candidate: RunData, column: Column, change: Change, allowed: float) -> str:
    """What the candidate has no value for although the baseline has, in a sentence; empty when nothing is lost."""
    if change.value_a is not None and change.value_b is None:
        entry = _entry(candidate.record, change.system_b, column)
        reason = f": {entry.reason}" if entry is not None and entry.reason else ""
        return f"the candidate has no value{reason}"
    entries = _entry(baseline.record, change.system_a, column), _entry(candidate.record, change.system_b, column)
    if entries[0] is not None and entries[1] is not None and entries[1].n_scored < entries[0].n_scored:
        return f"the candidate's value rests on {entries[1].n_scored} clips, the baseline's on {entries[0].n_scored}"
    protocol, key = column.protocol.name, column.value.key
    before = _finite_rows(baseline, change.system_a, protocol, key)
    after = _finite_rows(candidate, change.system_b, protocol, key)
    missing = sorted(clip for clip, count in before.items() if after.get(clip, 0) < count)
    missing = missing or list(change.lost)
    if missing:
        return f"{len(missing)} clips have no value any more, for example {missing[0]!r}"
    shares = frame_share(baseline, entries[0]), frame_share(candidate, entries[1])
    if shares[0] is not None and (shares[1] is None or shares[1] < shares[0] - allowed):
        seen = "an unknown share" if shares[1] is None else f"{100 * shares[1]:.1f} %"
        return f"the candidate's value rests on {seen} of the frames, the baseline's on {100 * shares[0]:.1f} %"
    return ""


def _contradicted(baseline: RunData, candidate: RunData, column: Column, change: Change, *, recomputed: bool) -> str:
    """Which of the two values does not follow from its rows or samples, in a sentence; empty when both do."""
    of_clips = column.protocol.granularity == "clip"
    for label, run, system in (("baseline", baseline, change.system_a), ("candidate", candidate, change.system_b)):
        entry = _entry(run.record, system, column)
        if entry is None:
            continue
        problem = contradicted_value(run, entry) if of_clips else contradicted_set_value(run, entry)
        if problem and (recomputed or problem != UNVERIFIED):
            return f"the {label}'s value does not follow from what lies beside it: {problem}"
    return ""


def _entry(record: RunRecord, system: str, column: Column) -> ValueEntry | None:
    wanted = (system, column.protocol.name, column.value.key)
    return next((entry for entry in record.values if (entry.system, entry.protocol, entry.key) == wanted), None)


def _finite_rows(run: RunData, system: str, protocol: str, key: str) -> Counter[str]:
    return Counter(
        row.clip
        for row in run.rows_of(system, protocol, key)
        if row.status == "ok" and row.value is not None and math.isfinite(row.value)
    )
