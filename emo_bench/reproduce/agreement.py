"""Two records of the same suite, value by value: equal to the bit, equal within a tolerance, or different."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from emo_bench.record.run_data import RunData
from emo_bench.record.schema import ComparisonEntry, RunRecord, ValueEntry

How = Literal["exact", "within", "different"]
What = Literal["value", "interval", "per clip", "comparison", "anchor check", "clip"]

Shown = float | str | None
"""A number, or the word that stands where there is none."""

DEFAULT_TOLERANCE = 1e-3
"""Other processors and other versions of the libraries stay below it (docs/guide/checkpoint.md)."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that did not come out equal to the bit.

    Attributes:
        what: Kind of number.
        system: Name of the system; two names for a comparison.
        protocol: Protocol, empty for a clip.
        key: Which value of it.
        clip: Id of the clip, where the number is of one.
        seed: Seed of the generation, where the number is of one clip.
        before: In the record.
        after: When it was made again.
        how: ``within`` the tolerance, or ``different``.
        relative: Difference relative to the larger of both and to the last printed digit; None where a number is
            missing or a word differs.
    """

    what: What
    system: str
    protocol: str
    key: str
    clip: str = ""
    seed: int = 0
    before: Shown
    after: Shown
    how: How
    relative: float | None


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two records agree.

    Attributes:
        counts: Kind of number -> how many came out ``exact``, ``within`` and ``different``.
        differences: Everything that is not exact, different ones first, larger ones first.
        notes: What could not be compared, in sentences.
    """

    counts: Mapping[What, Mapping[How, int]]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing differs beyond the tolerance."""
        return all(difference.how != "different" for difference in self.differences)

    @property
    def exact(self) -> bool:
        """Whether nothing differs at all."""
        return not self.differences


def compare_records(before: RunData, after: RunData, *, tolerance: float = DEFAULT_TOLERANCE) -> Agreement:
    """Compares every number of two records of the same suite.

    Two numbers agree within the tolerance when they differ by at most ``tolerance`` times the larger of both, or the
    same part of the last digit that tables print, whichever is more.

    Args:
        before: The record.
        after: The same suite, made again.
        tolerance: Relative; 0 asks for equality to the bit.
    """
    digits = {
        (protocol.name, value.key): value.decimals for protocol in before.record.protocols for value in protocol.values
    }
    notes: list[str] = []
    pairs = [
        *_pairs_of_values(before.record, after.record),
        *_pairs_of_clips(before, after, notes),
        *_pairs_of_comparisons(before.record, after.record),
        *_pairs_of_checks(before.record, after.record),
        *_pairs_of_entries(before.record, after.record),
    ]
    judged = [_judged(pair, _decimals(pair, digits), tolerance) for pair in pairs]
    counts: dict[What, dict[How, int]] = {}
    for found in judged:
        row = counts.setdefault(found.what, {"exact": 0, "within": 0, "different": 0})
        row[found.how] += 1
    return Agreement(
        counts=counts,
        differences=tuple(sorted((found for found in judged if found.how != "exact"), key=_urgency)),
        notes=tuple(notes),
    )


def _urgency(found: Difference) -> tuple[bool, float, str, str, str, str]:
    size = math.inf if found.relative is None else found.relative
    return found.how != "different", -size, found.what, found.system, found.protocol, found.key + found.clip


@dataclass(frozen=True, kw_only=True)
class _Pair:
    what: What
    system: str
    protocol: str
    key: str
    before: Shown
    after: Shown
    clip: str = ""
    seed: int = 0
    decimals: int | None = None


def _decimals(pair: _Pair, digits: Mapping[tuple[str, str], int]) -> int:
    return digits.get((pair.protocol, pair.key), 3) if pair.decimals is None else pair.decimals


def _judged(pair: _Pair, decimals: int, tolerance: float) -> Difference:
    relative: float | None = None
    how: How = "different"
    if pair.before == pair.after:
        how, relative = "exact", 0.0
    elif isinstance(pair.before, (int, float)) and isinstance(pair.after, (int, float)):
        scale = max(abs(pair.before), abs(pair.after), 10.0**-decimals)
        relative = abs(pair.before - pair.after) / scale
        how = "within" if relative <= tolerance else "different"
    return Difference(
        what=pair.what,
        system=pair.system,
        protocol=pair.protocol,
        key=pair.key,
        clip=pair.clip,
        seed=pair.seed,
        before=pair.before,
        after=pair.after,
        how=how,
        relative=relative,
    )


ABSENT = "absent"


_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


def _matched(before: Mapping[_K, _V], after: Mapping[_K, _V]) -> Iterator[tuple[_K, _V | None, _V | None]]:
    for key in dict.fromkeys([*before, *after]):
        yield key, before.get(key), after.get(key)


def _pairs_of_values(before: RunRecord, after: RunRecord) -> Iterator[_Pair]:
    first, second = (
        {(entry.system, entry.protocol, entry.key): entry for entry in record.values} for record in (before, after)
    )
    for (system, protocol, key), a, b in _matched(first, second):
        yield _Pair(
            what="value", system=system, protocol=protocol, key=key, before=_number_or_word(a), after=_number_or_word(b)
        )
        if a is not None and b is not None and _coverage(a) != _coverage(b):
            yield _Pair(
                what="value", system=system, protocol=protocol, key=key, before=_coverage(a), after=_coverage(b)
            )
        ends = [(entry.interval.low, entry.interval.high) if entry and entry.interval else None for entry in (a, b)]
        if ends == [None, None]:
            continue
        for place in (0, 1):
            values: list[Shown] = [end[place] if end else ABSENT for end in ends]
            yield _Pair(what="interval", system=system, protocol=protocol, key=key, before=values[0], after=values[1])


def _number_or_word(entry: ValueEntry | None) -> float | str:
    if entry is None:
        return ABSENT
    return entry.value if entry.status == "ok" and entry.value is not None else entry.status


def _coverage(entry: ValueEntry) -> str:
    return f"{entry.n_scored} of {entry.n_planned} clips, {entry.n_identities} people"


def _pairs_of_clips(before: RunData, after: RunData, notes: list[str]) -> Iterator[_Pair]:
    if not before.rows:
        notes.append("The record has no per-clip values (clips.parquet), so they were not compared.")
        return
    first, second = (
        {(row.system, row.clip, row.seed, row.protocol, row.key): row for row in run.rows} for run in (before, after)
    )
    for (system, clip, seed, protocol, key), a, b in _matched(first, second):
        values: list[Shown] = [
            ABSENT if row is None else row.value if row.status == "ok" and row.value is not None else row.status
            for row in (a, b)
        ]
        yield _Pair(
            what="per clip",
            system=system,
            protocol=protocol,
            key=key,
            clip=clip,
            seed=seed,
            before=values[0],
            after=values[1],
        )


def _pairs_of_comparisons(before: RunRecord, after: RunRecord) -> Iterator[_Pair]:
    first, second = (
        {(entry.protocol, entry.key, entry.system_a, entry.system_b): entry for entry in record.comparisons}
        for record in (before, after)
    )
    for (protocol, key, one, other), a, b in _matched(first, second):
        name = f"{one} / {other}"
        first_facts, second_facts = _comparison_facts(a), _comparison_facts(b)
        for fact in dict.fromkeys([*first_facts, *second_facts]):
            yield _Pair(
                what="comparison",
                system=name,
                protocol=protocol,
                key=key,
                before=first_facts.get(fact, ABSENT),
                after=second_facts.get(fact, ABSENT),
                decimals=0 if fact in _PROBABILITIES else None,
            )


_PROBABILITIES = ("p_value", "p_corrected", "probability_a_better")
"""They count resamples or pairs, so that the last bit of a value moves them in steps: judged on the scale of 1."""


def _comparison_facts(entry: ComparisonEntry | None) -> dict[str, Shown]:
    if entry is None:
        return {"difference": ABSENT, "verdict": ABSENT}
    facts: dict[str, Shown] = {"difference": entry.difference, "verdict": entry.verdict, "pairs": str(entry.n_pairs)}
    if entry.interval is not None:
        facts |= {"low": entry.interval.low, "high": entry.interval.high}
    found = {name: getattr(entry, name) for name in _PROBABILITIES}
    return facts | {name: value for name, value in found.items() if value is not None}


def _pairs_of_checks(before: RunRecord, after: RunRecord) -> Iterator[_Pair]:
    first, second = (
        {(check.protocol, check.key, check.better, check.worse): check.verdict for check in record.checks}
        for record in (before, after)
    )
    for (protocol, key, better, worse), a, b in _matched(first, second):
        yield _Pair(
            what="anchor check",
            system=f"{better} / {worse}",
            protocol=protocol,
            key=key,
            before=a or ABSENT,
            after=b or ABSENT,
        )


def _pairs_of_entries(before: RunRecord, after: RunRecord) -> Iterator[_Pair]:
    """Clips as they were prepared: status, length and size."""
    first, second = (
        {
            clip.id: f"{clip.status if clip.status == 'ok' else clip.code}, {clip.n_frames} frames, "
            f"{clip.width} x {clip.height}"
            for clip in record.clips
        }
        for record in (before, after)
    )
    for name, a, b in _matched(first, second):
        yield _Pair(what="clip", system="", protocol="", key="", clip=name, before=a or ABSENT, after=b or ABSENT)
