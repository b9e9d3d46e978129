"""Do numbers agree with people? Every value held against votes, with intervals and the raters' ceiling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emo_bench.humans.result import Estimate, Finding, QuestionEntry, ValidityResult
from emo_bench.humans.values import Measure, Reading
from emo_bench.humans.votes import ClipScore, PairVotes, Votes
from emo_core.errors import ConfigError
from emo_core.rng import numpy_generator
from emo_metrics.contract import Unscored
from emo_metrics.statistics.agreement import (
    agreement_of_raters,
    agreement_with_majority,
    rank_correlation,
    rank_correlation_between,
    rank_correlation_within,
    resampled_interval,
)

Numbers = NDArray[np.float64]


def validate(
    votes: Votes, measures: Sequence[Measure], *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> ValidityResult:
    """Holds values against votes.

    Per question and value, under its raw direction and as closeness to the ground truth:

    * pair agreement: the share of pairs in which the number prefers what most raters prefer (ties of the number count
      half, pairs on which raters are tied are left out);
    * rank correlation (Spearman) over all clips of all systems with the share of votes that a clip won, or its mean
      opinion; the same within systems (mean over systems) and between systems (of their means).

    Intervals resample source clips (or what ``votes.units`` names), never pairs or frames.

    Args:
        votes: The votes.
        measures: The values.
        resamples: Bootstrap draws of each interval.
        level: Their confidence level.
        seed: Makes intervals repeatable.

    Raises:
        ConfigError: when votes and values share no clip of any system.
    """
    known = {key for measure in measures for key in measure.values}
    sets = {system for system, clip in known if not clip}
    items = _items(votes)
    used = [key for key in items if key[1:] in known or key[1] in sets]
    if not used:
        have = ", ".join(sorted({f"{system}/{clip}" for system, clip in known})[:3]) or "nothing"
        wanted = ", ".join(sorted({f"{system}/{clip}" for _, system, clip in items})[:3]) or "nothing"
        raise ConfigError(
            "votes and values share no clip of any system",
            expected=f"values of {wanted}, …",
            found=f"values of {have}, …",
            fix="name systems and clips alike in both",
        )

    def interval(name: str, statistic: Callable[[NDArray[np.intp]], float], units: Sequence[str]) -> Estimate:
        everything = np.arange(len(units))
        try:
            value = statistic(everything)
        except Unscored as reason:
            return Estimate(value=None, status=reason.status, reason=reason.reason)
        try:
            made = resampled_interval(
                statistic,
                list(units),
                generator=numpy_generator(seed, "validity", name),
                level=level,
                resamples=resamples,
            )
        except Unscored as reason:
            return Estimate(value=value, n=len(units), reason=reason.reason)
        return Estimate(value=value, low=made.low, high=made.high, n=len(units), n_units=made.n_units)

    questions = tuple(_question(votes, question, interval) for question in votes.questions)
    findings = tuple(
        _finding(votes, items, question, measure, reading, interval)
        for question in votes.questions
        for measure in measures
        for reading in measure.readings
    )
    missing = sorted(f"{system}/{clip}" for _, system, clip in set(items) - set(used))
    return ValidityResult(
        name=votes.name,
        source=votes.source,
        level=level,
        resamples=resamples,
        questions=questions,
        findings=findings,
        without_values=tuple(dict.fromkeys(missing)),
    )


Interval = Callable[[str, Callable[[NDArray[np.intp]], float], Sequence[str]], Estimate]


def _items(votes: Votes) -> dict[tuple[str, str, str], float]:
    """(question, system, clip) -> what people think of it: mean opinion, or share of votes won."""
    found: dict[tuple[str, str, str], float] = {
        (item.question, item.system, item.clip): item.score for item in votes.scores
    }
    won: dict[tuple[str, str, str], list[float]] = {}
    for pair in votes.pairs:
        total = pair.for_a + pair.for_b
        if total <= 0:
            continue
        for system, share in ((pair.a, pair.for_a / total), (pair.b, pair.for_b / total)):
            won.setdefault((pair.question, system, pair.clip), []).append(share)
    return found | {key: float(np.mean(shares)) for key, shares in won.items()}


def _question(votes: Votes, question: str, interval: Interval) -> QuestionEntry:
    pairs = [pair for pair in votes.pairs if pair.question == question]
    scores = [item for item in votes.scores if item.question == question]
    raters = {rater for pair in pairs for rater in pair.raters} | {rater for item in scores for rater in item.raters}
    clips = {pair.clip for pair in pairs} | {item.clip for item in scores}
    ceiling = Estimate(
        value=None, status="not_applicable", reason="the votes do not tell single raters or their number"
    )
    if pairs:
        agree = agreement_of_raters(_for(pairs, "for_a"), _for(pairs, "for_b"), _for(pairs, "ties"))
        ceiling = _mean_interval(f"{question}/raters", agree, [votes.unit(pair.clip) for pair in pairs], interval)
    elif any(len(item.raters) > 1 for item in scores):
        kept = [item for item in scores if len(item.raters) > 1]
        ceiling = interval(
            f"{question}/raters",
            lambda chosen: _rank_of_left_out(kept, chosen),
            [votes.unit(item.clip) for item in kept],
        )
    votes_cast = sum(pair.for_a + pair.for_b for pair in pairs) or sum(max(1, len(item.raters)) for item in scores)
    return QuestionEntry(
        question=question,
        kind="pairs" if pairs else "scores",
        n_items=len(pairs) or len(scores),
        n_clips=len(clips),
        n_units=len({votes.unit(clip) for clip in clips}),
        n_votes=votes_cast,
        n_raters=len(raters),
        n_tied=sum(pair.for_a == pair.for_b for pair in pairs),
        ceiling=ceiling,
    )


def _rank_of_left_out(scores: Sequence[ClipScore], chosen: NDArray[np.intp]) -> float:
    """Mean over raters of the rank correlation of one with the mean of the others."""
    items = [scores[index] for index in chosen]
    names = sorted({rater for item in items for rater in item.raters})
    found = []
    for name in names:
        own, others = [], []
        for item in items:
            opinions = dict(item.raters)
            if name in opinions and len(opinions) > 1:
                own.append(opinions.pop(name))
                others.append(float(np.mean(list(opinions.values()))))
        try:
            found.append(rank_correlation(own, others))
        except Unscored:
            continue
    if not found:
        raise Unscored("undefined", "no rater shares three items with others")
    return float(np.mean(found))


def _for(pairs: Sequence[PairVotes], side: str) -> Numbers:
    return np.array([getattr(pair, side) for pair in pairs], dtype=np.float64)


def _mean_interval(name: str, values: Numbers, units: Sequence[str], interval: Interval) -> Estimate:
    known = np.flatnonzero(np.isfinite(values))
    kept = values[known]

    def mean(chosen: NDArray[np.intp]) -> float:
        if len(kept) == 0:
            raise Unscored("undefined", "no pair on which raters and number both have a preference or a tie")
        return float(kept[chosen].mean())

    return interval(name, mean, [units[int(index)] for index in known])


def _finding(
    votes: Votes,
    opinions: Mapping[tuple[str, str, str], float],
    question: str,
    measure: Measure,
    reading: Reading,
    interval: Interval,
) -> Finding:
    name = f"{question}/{measure.protocol}/{measure.key}/{reading}"
    pairs = [pair for pair in votes.pairs if pair.question == question]
    if pairs:
        gaps = [
            measure.goodness(pair.a, pair.clip, reading) - measure.goodness(pair.b, pair.clip, reading)
            for pair in pairs
        ]
        agree = agreement_with_majority(np.array(gaps), _for(pairs, "for_a"), _for(pairs, "for_b"))
        agreement = _mean_interval(f"{name}/agreement", agree, [votes.unit(pair.clip) for pair in pairs], interval)
    else:
        agreement = Estimate(value=None, status="not_applicable", reason="the votes are opinions, not preferences")
    keys = [key for key in opinions if key[0] == question]
    good = np.array([measure.goodness(system, clip, reading) for _, system, clip in keys])
    kept = np.flatnonzero(np.isfinite(good))
    liked = np.array([opinions[keys[index]] for index in kept])
    good = good[kept]
    # Whole numbers instead of names: a resample compares them thousands of times.
    names, systems = np.unique([keys[index][1] for index in kept], return_inverse=True)
    units = [votes.unit(keys[index][2]) for index in kept]
    nothing = Estimate(value=None, status="not_applicable", reason="the protocol has one value for a whole system")

    def correlation(kind: str, statistic: Callable[[NDArray[np.intp]], float]) -> Estimate:
        return interval(f"{name}/{kind}", statistic, units)

    return Finding(
        question=question,
        protocol=measure.protocol,
        key=measure.key,
        label=measure.label,
        reading=reading,
        declared=reading == measure.declared,
        agreement=agreement,
        overall=nothing
        if measure.of_sets
        else correlation("overall", lambda chosen: rank_correlation(good[chosen], liked[chosen])),
        within=nothing
        if measure.of_sets
        else correlation(
            "within", lambda chosen: rank_correlation_within(good[chosen], liked[chosen], systems[chosen])
        ),
        between=correlation(
            "between", lambda chosen: rank_correlation_between(good[chosen], liked[chosen], systems[chosen])
        ),
        n_systems=len(names),
    )
