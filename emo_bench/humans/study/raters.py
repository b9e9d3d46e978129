"""Which raters count: attention checks, answers that look at one side only, answers given too fast."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from emo_bench.humans.study.answers import Sheet, Vote
from emo_bench.humans.study.key import StudyKey

ONE_SIDED = 0.95
ONE_SIDED_FROM = 12
FASTEST_S = 1.0
LOW_RATING = 2


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When a rater's votes do not count.

    Attributes:
        max_failed: Largest share of attention checks that may be failed.
        one_sided: Share of answers for one side from which on a rater is thought not to look.
        fastest_s: Median seconds for an answer below which a rater is thought not to look.
    """

    max_failed: float = 1 / 3
    one_sided: float = ONE_SIDED
    fastest_s: float = FASTEST_S


def checks_of(sheet: Sheet, key: StudyKey) -> tuple[int, int]:
    """Passed and shown attention checks, by screen: all questions must be answered for the clip that is whole."""
    by_trial: dict[str, list[bool]] = defaultdict(list)
    for vote in sheet.votes:
        if vote.trial.check:
            by_trial[vote.trial.id].append(_passes(vote, key))
    return sum(all(found) for found in by_trial.values()), len(by_trial)


def _passes(vote: Vote, key: StudyKey) -> bool:
    if key.kind == "rating":
        return int(vote.choice) <= LOW_RATING
    whole = "right" if key.media[vote.trial.left].damaged else "left"
    return vote.choice == whole


def why_excluded(sheet: Sheet, key: StudyKey, rules: Rules) -> str:
    """Why a rater's votes do not count; empty when they do."""
    passed, shown = checks_of(sheet, key)
    if shown and (shown - passed) / shown > rules.max_failed:
        return f"failed {shown - passed} of {shown} attention checks"
    judged = [vote for vote in sheet.votes if not vote.trial.check]
    if not judged:
        return "no votes but on attention checks"
    if key.kind == "pairs" and len(judged) >= ONE_SIDED_FROM:
        side, count = Counter(vote.choice for vote in judged).most_common(1)[0]
        if side != "tie" and count / len(judged) >= rules.one_sided:
            return f"chose the {side} clip in {count} of {len(judged)} answers"
    if key.kind == "rating" and len(judged) >= ONE_SIDED_FROM and len({vote.choice for vote in judged}) == 1:
        return f"gave all {len(judged)} answers alike"
    times = [vote.seconds for vote in judged]
    if median(times) < rules.fastest_s:
        return f"answered within {median(times):.1f} s as a median, faster than clips can be watched"
    return ""


def winner_of(vote: Vote, key: StudyKey) -> str:
    """The system that was preferred; empty for a tie."""
    if vote.choice == "tie":
        return ""
    return key.media[vote.trial.left if vote.choice == "left" else vote.trial.right].system


def consistency_of(sheet: Sheet, key: StudyKey) -> float | None:
    """Share of equal answers on pairs that came twice; None when none did."""
    answers: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for vote in sheet.votes:
        if not vote.trial.check and key.kind == "pairs":
            answers[vote.question, frozenset((vote.trial.left, vote.trial.right))].append(winner_of(vote, key))
    twice = [found for found in answers.values() if len(found) == 2]
    return sum(first == second for first, second in twice) / len(twice) if twice else None


def agreement_of_each(votes: Sequence[Vote], key: StudyKey) -> Mapping[str, float]:
    """Rater -> share of answers that agree with the majority of the others on the same pair; ties count half."""
    by_item: dict[tuple[str, frozenset[str]], list[Vote]] = defaultdict(list)
    for vote in votes:
        if not vote.trial.repeats:  # nobody confirms an answer of their own
            by_item[vote.question, frozenset((vote.trial.left, vote.trial.right))].append(vote)
    found: dict[str, list[float]] = defaultdict(list)
    for group in by_item.values():
        systems = sorted({key.media[name].system for name in (group[0].trial.left, group[0].trial.right)})
        signs = {id(vote): _sign(winner_of(vote, key), systems) for vote in group}
        total = sum(signs.values())
        for vote in group:
            others = total - signs[id(vote)]
            if len(group) > 1:
                found[vote.rater].append((1 + signs[id(vote)] * ((others > 0) - (others < 0))) / 2)
    return {rater: sum(values) / len(values) for rater, values in found.items()}


def _sign(winner: str, systems: Sequence[str]) -> int:
    return 0 if not winner else 1 if winner == systems[0] else -1
