"""From votes to strengths with intervals, with the raters' agreement and everything that does not count."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from emo_bench.humans.study.answers import Sheet, Tally, Vote, read_sheets
from emo_bench.humans.study.key import StudyKey
from emo_bench.humans.study.raters import (
    Rules,
    agreement_of_each,
    checks_of,
    consistency_of,
    why_excluded,
    winner_of,
)
from emo_bench.record.human_study import (
    STUDIES_FOLDER,
    PairEntry,
    QuestionResult,
    RaterEntry,
    StrengthEntry,
    StudyResult,
)
from emo_core.atomic import write_text
from emo_core.errors import ConfigError
from emo_core.rng import numpy_generator
from emo_metrics.contract import Unscored
from emo_metrics.statistics.agreement import krippendorff_alpha, rank_correlation
from emo_metrics.statistics.bradley_terry import Ballot, bradley_terry, wins_of

BEYOND = 2
"""Draws that must lie beyond either end of an interval."""
MOST_DRAWS = 20_000
"""Of pairs, unless more are asked for; a study of fifty systems has 1225 pairs."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A scored study and the votes that counted.

    Attributes:
        result: The outcome.
        votes: The votes behind it, without attention checks and second answers on a pair.
        key: The key of the study.
    """

    result: StudyResult
    votes: tuple[Vote, ...]
    key: StudyKey


def score_study(
    key: StudyKey,
    places: Sequence[Path],
    *,
    rules: Rules | None = None,
    level: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> Scored:
    """Scores the votes of a study.

    Args:
        key: Its key.
        places: Files of votes, or folders of them.
        rules: When a rater does not count.
        level: Confidence level.
        resamples: Bootstrap draws; raters and people shown are drawn both.
        seed: Makes intervals repeatable.

    Raises:
        ConfigError: when no file belongs to the study, or no rater is left, with the reasons.
    """
    tally = Tally()
    sheets = read_sheets(places, key, tally)
    rules = rules or Rules()
    reasons = {sheet.rater: why_excluded(sheet, key, rules) for sheet in sheets}
    kept = [sheet for sheet in sheets if not reasons[sheet.rater]]
    if not kept:
        listed = "; ".join(f"{sheet.rater} {reasons[sheet.rater]}" for sheet in sheets[:5])
        raise ConfigError(
            f"no rater of study {key.study} is left",
            expected="at least one rater who passes the attention checks",
            found=f"{len(sheets)} raters, all excluded: {listed}",
            fix="look at the page and at the rules (--max-failed), or ask more people",
        )
    for sheet in sheets:
        if reasons[sheet.rater]:
            tally.add("rater", len(sheet.votes), sheet.file, f"rater {sheet.rater} {reasons[sheet.rater]}")
    # A rater's second answer on a pair measures consistency only; it is no further independent vote.
    votes = tuple(vote for sheet in kept for vote in sheet.votes if not (vote.trial.check or vote.trial.repeats))
    agreement = agreement_of_each(votes, key) if key.kind == "pairs" else {}
    raters = tuple(_rater(sheet, key, reasons[sheet.rater], agreement.get(sheet.rater)) for sheet in sheets)
    questions = tuple(
        _question(votes, key, question.key, question.text, level=level, resamples=resamples, seed=seed)
        for question in key.questions
    )
    notes = []
    if len(kept) == 1:
        notes.append("One rater only: agreement between raters is unknown, and intervals resample the people shown.")
    unfinished = sum(not sheet.complete for sheet in kept)
    if unfinished:
        notes.append(f"{unfinished} of {len(kept)} raters did not finish; their votes count.")
    result = StudyResult(
        study=key.study,
        title=key.title,
        kind=key.kind,
        run=key.run,
        record=key.record,
        level=level,
        questions=questions,
        raters=raters,
        exclusions=tuple(tally.entries),
        notes=tuple(notes),
    )
    return Scored(result=result, votes=votes, key=key)


def _rater(sheet: Sheet, key: StudyKey, excluded: str, agreement: float | None) -> RaterEntry:
    passed, shown = checks_of(sheet, key)
    return RaterEntry(
        rater=sheet.rater,
        form=sheet.form,
        n_votes=len(sheet.votes),
        complete=sheet.complete,
        checks_passed=passed,
        checks=shown,
        agreement=agreement,
        consistency=consistency_of(sheet, key),
        excluded=excluded,
    )


def _question(
    votes: Sequence[Vote], key: StudyKey, name: str, text: str, *, level: float, resamples: int, seed: int
) -> QuestionResult:
    own = [vote for vote in votes if vote.question == name]
    base = QuestionResult(
        key=name,
        text=text,
        n_votes=len(own),
        n_raters=len({vote.rater for vote in own}),
        n_clips=len({key.media[vote.trial.left].clip for vote in own}),
    )
    generator = numpy_generator(seed, "study", f"{key.study}/{name}")
    if key.kind == "rating":
        opinions = _opinions(own, key, level=level, resamples=resamples, generator=generator)
        return base.model_copy(update={"agreement": _rating_agreement(own), "strengths": opinions})
    agreement = agreement_of_each(own, key)
    mean = sum(agreement.values()) / len(agreement) if agreement else None
    try:
        ballot = _ballot(own, key)
        found = bradley_terry(ballot, generator=generator, level=level, resamples=resamples)
    except Unscored as reason:
        return base.model_copy(update={"agreement": mean, "status": reason.status, "reason": reason.reason})
    won = _won(own, key)
    strengths = tuple(
        StrengthEntry(
            system=item.system,
            value=item.value,
            low=item.low,
            high=item.high,
            n_votes=won[item.system][1],
            won=won[item.system][0] / won[item.system][1],
        )
        for item in found
    )
    pairs = _pairs(ballot, level=level, resamples=resamples, generator=generator)
    return base.model_copy(
        update={"agreement": mean, "alpha": _alpha(own, key), "strengths": strengths, "pairs": pairs}
    )


def _ballot(votes: Sequence[Vote], key: StudyKey) -> Ballot:
    systems = tuple(sorted({key.media[name].system for vote in votes for name in (vote.trial.left, vote.trial.right)}))
    raters = sorted({vote.rater for vote in votes})
    people = sorted({_person(vote, key) for vote in votes})
    rows = []
    for vote in votes:
        names = [key.media[name].system for name in (vote.trial.left, vote.trial.right)]
        first, second = (systems.index(name) for name in names)
        place = (raters.index(vote.rater), people.index(_person(vote, key)))
        winner = winner_of(vote, key)
        if not winner:
            rows += [(first, second, 0.5, *place), (second, first, 0.5, *place)]
        else:
            a, b = (first, second) if winner == names[0] else (second, first)
            rows.append((a, b, 1.0, *place))
    if not rows:
        raise Unscored("too_few", "there are no votes")
    winners, losers, weights, rater, clip = (np.array(column) for column in zip(*rows, strict=True))
    return Ballot(
        systems=systems,
        winner=winners.astype(np.intp),
        loser=losers.astype(np.intp),
        weight=weights.astype(np.float64),
        rater=rater.astype(np.intp),
        clip=clip.astype(np.intp),
    )


def _person(vote: Vote, key: StudyKey) -> str:
    clip = key.media[vote.trial.left].clip
    return key.identities.get(clip, clip)


def _won(votes: Sequence[Vote], key: StudyKey) -> dict[str, tuple[float, int]]:
    found: dict[str, list[float]] = defaultdict(list)
    for vote in votes:
        winner = winner_of(vote, key)
        for name in (vote.trial.left, vote.trial.right):
            system = key.media[name].system
            found[system].append(0.5 if not winner else float(winner == system))
    return {system: (sum(values), len(values)) for system, values in found.items()}


def _alpha(votes: Sequence[Vote], key: StudyKey) -> float | None:
    counts: dict[frozenset[str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for vote in votes:
        names = sorted((vote.trial.left, vote.trial.right), key=lambda name: key.media[name].system)
        winner = winner_of(vote, key)
        column = 2 if not winner else int(winner != key.media[names[0]].system)
        counts[frozenset(names)][column] += 1
    try:
        return krippendorff_alpha(np.array(list(counts.values())))
    except Unscored:
        return None


def _pairs(ballot: Ballot, *, level: float, resamples: int, generator: np.random.Generator) -> tuple[PairEntry, ...]:
    """Shares of votes with intervals that hold for all pairs at once (Bonferroni); raters and people are resampled.

    An interval is never narrower than the exact one of as many independent votes: few votes that all agree are equal
    in every resample, and would pass for certain. With many pairs there are more draws than were asked for, so that
    some lie beyond each end.
    """
    pairs = list(combinations(range(len(ballot.systems)), 2))
    tail = (1 - level) / 2 / max(1, len(pairs))
    resamples = max(resamples, min(math.ceil(BEYOND / tail), MOST_DRAWS))
    shares, totals = _shares(wins_of(ballot), pairs)
    n_raters, n_people = int(ballot.rater.max()) + 1, int(ballot.clip.max()) + 1
    draws = np.full((resamples, len(pairs)), np.nan)
    for row in range(resamples if max(n_raters, n_people) > 1 else 0):
        weights = ballot.weight.copy()
        for index, count in ((ballot.rater, n_raters), (ballot.clip, n_people)):
            if count > 1:
                weights *= np.bincount(generator.integers(count, size=count), minlength=count)[index]
        draws[row] = _shares(wins_of(ballot, weights), pairs)[0]
    made = []
    for column, ((a, b), share, total) in enumerate(zip(pairs, shares.tolist(), totals.tolist(), strict=True)):
        if total == 0:
            continue
        known = draws[np.isfinite(draws[:, column]), column]
        low, high = (
            (float(end) for end in np.quantile(known, [tail, 1 - tail])) if len(known) > resamples / 2 else (None, None)
        )
        if low is not None and high is not None:
            exact = _exact_interval(share * total, total, tail=tail)
            low, high = min(low, exact[0]), max(high, exact[1])
        verdict = _verdict(low, high)
        made.append(
            PairEntry(
                a=ballot.systems[a],
                b=ballot.systems[b],
                share_a=share,
                low=low,
                high=high,
                n_votes=round(total),
                verdict=verdict,
            )
        )
    return tuple(made)


def _exact_interval(won: float, total: float, *, tail: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share; ties may make the counts halves."""
    low = float(scipy.stats.beta.ppf(tail, won, total - won + 1)) if won > 0 else 0.0
    high = float(scipy.stats.beta.ppf(1 - tail, won + 1, total - won)) if won < total else 1.0
    return low, high


def _verdict(low: float | None, high: float | None) -> Literal["a_better", "b_better", "tie", "undefined"]:
    if low is None or high is None:
        return "undefined"
    return "a_better" if low > 0.5 else "b_better" if high < 0.5 else "tie"


def _shares(
    wins: NDArray[np.float64], pairs: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each pair the share of votes for its first system, NaN without votes, and the number of votes."""
    first, second = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    for_first = wins[first, second]
    totals = for_first + wins[second, first]
    return np.divide(for_first, totals, out=np.full(len(pairs), np.nan), where=totals > 0), totals


def _opinions(
    votes: Sequence[Vote], key: StudyKey, *, level: float, resamples: int, generator: np.random.Generator
) -> tuple[StrengthEntry, ...]:
    raters = sorted({vote.rater for vote in votes})
    people = sorted({_person(vote, key) for vote in votes})
    made = []
    for system in key.systems:
        own = [vote for vote in votes if key.media[vote.trial.left].system == system]
        if not own:
            continue
        values = np.array([float(vote.choice) for vote in own])
        indices = [
            (np.array([raters.index(vote.rater) for vote in own]), len(raters)),
            (np.array([people.index(_person(vote, key)) for vote in own]), len(people)),
        ]
        draws = []
        for _ in range(resamples if max(count for _, count in indices) > 1 else 0):
            weights = np.ones(len(own))
            for index, count in indices:
                if count > 1:
                    weights *= np.bincount(generator.integers(count, size=count), minlength=count)[index]
            if weights.sum():
                draws.append(float(np.average(values, weights=weights)))
        ends: tuple[float | None, float | None] = (None, None)
        if len(draws) > resamples / 2:
            low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
            ends = float(low), float(high)
        made.append(
            StrengthEntry(system=system, value=float(values.mean()), low=ends[0], high=ends[1], n_votes=len(own))
        )
    return tuple(sorted(made, key=lambda item: (-item.value, item.system)))


def _rating_agreement(votes: Sequence[Vote]) -> float | None:
    """Mean rank correlation of a rater with the mean of the others on the same clips."""
    by_clip: dict[str, dict[str, float]] = defaultdict(dict)
    for vote in votes:
        by_clip[vote.trial.left][vote.rater] = float(vote.choice)
    found = []
    for rater in sorted({vote.rater for vote in votes}):
        shared = [given for given in by_clip.values() if rater in given and len(given) > 1]
        others = [np.mean([value for name, value in given.items() if name != rater]) for given in shared]
        try:
            found.append(rank_correlation([given[rater] for given in shared], others))
        except Unscored:
            continue
    return float(np.mean(found)) if found else None


def votes_csv(scored: Scored) -> str:
    """The votes that counted, in the form that ``validate-humans --votes`` reads."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    pairs = scored.key.kind == "pairs"
    head = ["system_a", "system_b", "rater", "choice"] if pairs else ["system", "rater", "score"]
    writer.writerow(["question", "clip", "unit", *head])
    rows, seen = [], set()
    for vote in scored.votes:
        media = scored.key.media[vote.trial.left]
        start = [vote.question, media.clip, _person(vote, scored.key)]
        if not pairs:
            rows.append([*start, media.system, vote.rater, vote.choice])
            continue
        names = [media.system, scored.key.media[vote.trial.right].system]
        choice = {"left": "a", "right": "b", "tie": "tie"}[str(vote.choice)]
        line = (vote.question, media.clip, vote.rater, *sorted(names))
        if line not in seen:
            seen.add(line)
            rows.append([*start, *names, vote.rater, choice])
    writer.writerows(sorted(rows, key=str))
    return stream.getvalue()


def write_scored(scored: Scored, folder: Path) -> tuple[Path, Path]:
    """Writes ``<study>.json`` and ``<study>.votes.csv`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    result, votes = (folder / f"{scored.result.study}{end}" for end in (".json", ".votes.csv"))
    write_text(result, scored.result.model_dump_json(indent=1) + "\n")
    write_text(votes, votes_csv(scored))
    return result, votes


def studies_folder(run: Path) -> Path:
    """Where a run keeps its scored studies, so that reports show them."""
    return (run if run.is_dir() else run.parent) / STUDIES_FOLDER
