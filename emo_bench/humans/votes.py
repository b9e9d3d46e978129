"""Votes of people as data: preferences between two clips of one source, and scores of single clips."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emo_bench.humans.table import read_table
from emo_core.errors import ConfigError

CHOICES = ("a", "b", "tie")


@dataclass(frozen=True, kw_only=True)
class PairVotes:
    """What raters said of two systems on one clip.

    Attributes:
        question: What was asked, for example ``lip``.
        clip: Id of the source clip; the unit of resampling.
        a: First system.
        b: Second system.
        for_a: Votes for the first, ties counted half.
        for_b: Votes for the second, ties counted half.
        ties: Raters without a preference, half of whom are in either count.
        raters: Rater -> ``a``, ``b`` or ``tie``, where single raters are known.
    """

    question: str
    clip: str
    a: str
    b: str
    for_a: float
    for_b: float
    ties: float = 0.0
    raters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ClipScore:
    """A mean opinion of one clip of one system.

    Attributes:
        question: What was asked.
        clip: Id of the source clip; the unit of resampling.
        system: The system.
        score: Mean over raters, more is better.
        raters: Rater -> score, where single raters are known.
    """

    question: str
    clip: str
    system: str
    score: float
    raters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Votes:
    """All votes of one collection.

    Attributes:
        name: What they are called in reports.
        pairs: Preferences.
        scores: Opinions.
        units: Clip id -> what is resampled (a person, a portrait); the clip itself when absent.
        source: Where they are from.
    """

    name: str
    pairs: tuple[PairVotes, ...] = ()
    scores: tuple[ClipScore, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    @property
    def questions(self) -> tuple[str, ...]:
        """All questions, in alphabetical order."""
        return tuple(sorted({pair.question for pair in self.pairs} | {item.question for item in self.scores}))

    @property
    def systems(self) -> frozenset[str]:
        """All systems that anyone was asked about."""
        return frozenset(
            {name for pair in self.pairs for name in (pair.a, pair.b)} | {item.system for item in self.scores}
        )

    def unit(self, clip: str) -> str:
        """What is resampled for a clip."""
        return self.units.get(clip, clip)


def read_votes(path: Path) -> Votes:
    """Reads a CSV file of votes; its header says which of four kinds it is.

    ====================================================  =====================================================
    columns                                               a line is
    ====================================================  =====================================================
    question, clip, system_a, system_b, rater, choice     one vote: ``choice`` is ``a``, ``b`` or ``tie``
    question, clip, system_a, system_b, votes_a, votes_b  the votes on one pair, counted; ``ties`` may stand beside
    question, clip, system, rater, score                  one opinion
    question, clip, system, score                         a mean opinion
    ====================================================  =====================================================

    ``question`` may be left out where there is one only; ``unit`` may say what is resampled for a clip.

    Raises:
        ConfigError: for another header, a number that is none, an unknown choice, a vote that stands there twice, a
            pair of a system with itself, or a clip with two units.
    """
    table = read_table(path)
    units = _units(path, table.rows)
    name = path.stem
    if table.has("system_a", "system_b", "rater", "choice"):
        return Votes(name=name, pairs=_single_votes(path, table.rows), units=units, source=path.name)
    if table.has("system_a", "system_b", "votes_a", "votes_b"):
        return Votes(name=name, pairs=_counted_votes(path, table.rows), units=units, source=path.name)
    if table.has("system", "score"):
        return Votes(name=name, scores=_scores(path, table.rows), units=units, source=path.name)
    raise ConfigError(
        f"{path} is no table of votes",
        expected="the columns clip, system_a, system_b with rater, choice or votes_a, votes_b; or clip, system, score",
        found=", ".join(table.columns) or "no columns",
    )


def _units(path: Path, rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        unit = row.get("unit")
        if unit and found.setdefault(row["clip"], unit) != unit:
            raise ConfigError(
                f"{path}, line {line}: a clip with two units",
                expected="one unit for each clip",
                found=f"clip {row['clip']!r}: {found[row['clip']]!r} and {unit!r}",
            )
    return found


def _refuse_one_system(path: Path, line: int, row: Mapping[str, str]) -> None:
    if row["system_a"] == row["system_b"]:
        raise ConfigError(
            f"{path}, line {line}: a pair of a system with itself", expected="two systems", found=repr(row["system_a"])
        )


def _single_votes(path: Path, rows: Sequence[Mapping[str, str]]) -> tuple[PairVotes, ...]:
    found: dict[tuple[str, str, str, str], dict[str, str]] = defaultdict(dict)
    for line, row in enumerate(rows, start=2):
        _refuse_one_system(path, line, row)
        choice = row["choice"].strip().lower()
        if choice not in CHOICES:
            raise ConfigError(
                f"{path}, line {line}: unknown choice", expected=" or ".join(CHOICES), found=row["choice"]
            )
        first, second, choice = _ordered(row["system_a"], row["system_b"], choice)
        key = (row.get("question", ""), row["clip"], first, second)
        if row["rater"] in found[key]:
            raise ConfigError(
                f"{path}, line {line}: a vote that stands there already",
                expected="one vote of a rater on a question, clip and pair",
                found=f"rater {row['rater']!r}, {' / '.join(part for part in key if part)}",
                fix="remove one of the lines; 'study score' does so and counts them",
            )
        found[key][row["rater"]] = choice
    return tuple(pair_of_raters(*key, raters=raters) for key, raters in sorted(found.items()))


def _ordered(first: str, second: str, choice: str) -> tuple[str, str, str]:
    if first <= second:
        return first, second, choice
    return second, first, {"a": "b", "b": "a", "tie": "tie"}[choice]


def pair_of_raters(question: str, clip: str, a: str, b: str, *, raters: Mapping[str, str]) -> PairVotes:
    """Counts the choices of single raters."""
    ties = sum(choice == "tie" for choice in raters.values())
    for_a, for_b = (sum(choice == name for choice in raters.values()) + ties / 2 for name in ("a", "b"))
    return PairVotes(question=question, clip=clip, a=a, b=b, for_a=for_a, for_b=for_b, ties=ties, raters=dict(raters))


def _counted_votes(path: Path, rows: Sequence[Mapping[str, str]]) -> tuple[PairVotes, ...]:
    made, seen = [], set()
    for line, row in enumerate(rows, start=2):
        _refuse_one_system(path, line, row)
        votes_a, votes_b = (_number(path, line, name, row[name], least=0.0) for name in ("votes_a", "votes_b"))
        ties = _number(path, line, "ties", row.get("ties") or "0", least=0.0)
        key = (row.get("question", ""), row["clip"], *sorted((row["system_a"], row["system_b"])))
        if key in seen:
            raise ConfigError(f"{path}, line {line}: a pair that stands there already", expected="one line for each")
        seen.add(key)
        made.append(
            PairVotes(
                question=key[0],
                clip=row["clip"],
                a=row["system_a"],
                b=row["system_b"],
                for_a=votes_a + ties / 2,
                for_b=votes_b + ties / 2,
                ties=ties,
            )
        )
    return tuple(made)


def _scores(path: Path, rows: Sequence[Mapping[str, str]]) -> tuple[ClipScore, ...]:
    found: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for line, row in enumerate(rows, start=2):
        key = (row.get("question", ""), row["clip"], row["system"])
        rater = row.get("rater", "")
        if rater in found[key]:
            raise ConfigError(f"{path}, line {line}: a score that stands there already", expected="one line for each")
        found[key][rater] = _number(path, line, "score", row["score"])
    return tuple(clip_score(*key, raters=raters) for key, raters in sorted(found.items()))


def clip_score(question: str, clip: str, system: str, *, raters: Mapping[str, float]) -> ClipScore:
    """The mean of single opinions."""
    known = {rater: value for rater, value in raters.items() if rater}
    mean = sum(raters.values()) / len(raters)
    return ClipScore(question=question, clip=clip, system=system, score=mean, raters=known)


def _number(path: Path, line: int, name: str, text: str, *, least: float | None = None) -> float:
    import math

    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (least is not None and value < least):
        expected = "a number" if least is None else f"a number of at least {least:g}"
        raise ConfigError(f"{path}, line {line}: {name!r} is no number", expected=expected, found=repr(text))
    return value


def renamed(votes: Votes, known: Iterable[str]) -> Votes:
    """The votes with systems spelled as in ``known``, where they differ in case, ``-`` and ``_`` only.

    >>> pair = PairVotes(question="", clip="c", a="Wav2Lip", b="ad_nerf", for_a=1, for_b=0)
    >>> [(item.a, item.b) for item in renamed(Votes(name="v", pairs=(pair,)), ["wav2lip", "AD-NeRF"]).pairs]
    [('wav2lip', 'AD-NeRF')]
    """
    from dataclasses import replace

    names = set(known)
    alike = Counter(map(_plain, names))
    by_plain = {_plain(name): name for name in names if alike[_plain(name)] == 1}

    def spelled(name: str) -> str:
        # A name that is known as it stands is no other spelling, and of two that look alike neither is guessed.
        return name if name in names else by_plain.get(_plain(name), name)

    return replace(
        votes,
        pairs=tuple(replace(pair, a=spelled(pair.a), b=spelled(pair.b)) for pair in votes.pairs),
        scores=tuple(replace(item, system=spelled(item.system)) for item in votes.scores),
    )


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
