"""Tables of systems from many records: one for each data set and set of protocols, never mixed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from emo_bench.leaderboard.collect import Entry
from emo_bench.leaderboard.ranking import Score, ranks
from emo_bench.record.columns import Column, columns_of, ordered_systems
from emo_bench.record.coverage import EQUAL
from emo_bench.record.schema import RunRecord, SystemEntry, ValueEntry
from emo_core.errors import RecordError
from emo_core.hashing import digest_of

MAIN = "main"


@dataclass(frozen=True, eq=False)
class Line:
    """A system on a board.

    Attributes:
        system: The system.
        entry: The record that its numbers come from.
        also: Places of further records of the same system on the same terms.
    """

    system: SystemEntry
    entry: Entry
    also: tuple[str, ...] = ()

    @cached_property
    def values(self) -> Mapping[tuple[str, str], ValueEntry]:
        """(protocol, key) -> value."""
        name = self.system.name
        return {(v.protocol, v.key): v for v in self.entry.record.values if v.system == name}


@dataclass(frozen=True)
class Place:
    """Where a system stands under one value.

    Attributes:
        rank: 1 plus the number of systems that are better beyond doubt; None when it is not ranked.
        shared: Whether another system has the same rank.
        reason: Why it is not ranked.
    """

    rank: int | None = None
    shared: bool = False
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Board:
    """All systems that were measured on the same clips by the same protocols.

    Attributes:
        terms: Digest of data set, clips, media rules, seeds and protocols; names the board's page.
        first: The record that describes data set and protocols; the same in all of them.
        entries: Records, in order.
        anchors: Systems whose place is known, each once.
        lines: Systems under test.
        columns: Values that could be computed.
        notes: What limits the board, in sentences.
    """

    terms: str
    first: RunRecord
    entries: tuple[Entry, ...]
    anchors: tuple[Line, ...]
    lines: tuple[Line, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Short name of its page."""
        return self.terms[:12]

    @cached_property
    def places(self) -> Mapping[str, tuple[Place, ...]]:
        """Column id -> the place of each of ``lines``."""
        return {column.id: _places(self, column) for column in self.columns}

    def groups(self) -> Iterator[tuple[str, tuple[Column, ...]]]:
        """The columns by table, as a report has them: main values, other groups, the rest."""
        main = [column for column in self.columns if column.protocol.group == MAIN]
        yield "Main results", tuple(column for column in main if column.value.primary)
        others = dict.fromkeys((c.protocol.group, c.protocol.group_title) for c in self.columns)
        for group, title in others:
            if group != MAIN:
                yield title, tuple(column for column in self.columns if column.protocol.group == group)
        yield "Further values", tuple(column for column in main if not column.value.primary)


def terms_of(record: RunRecord) -> dict[str, Any]:
    """Everything that two records must share to stand on one board, as plain values."""
    return {
        "dataset": record.digests.dataset,
        "clips": sorted([clip.id, clip.identity, clip.n_frames, clip.width, clip.height] for clip in record.clips),
        "media": record.config.get("media"),
        "seeds": record.config.get("seeds", [0]),
        "protocols": sorted(
            [
                protocol.name,
                protocol.granularity,
                [value.model_dump(mode="json") for value in protocol.values],
                [weights.sha256 for weights in protocol.weights],
                list(protocol.extractors),
            ]
            for protocol in record.protocols
            if protocol.status == "ok"
        ),
    }


def make_boards(entries: Iterable[Entry]) -> tuple[Board, ...]:
    """Puts records on boards; those with more systems come first."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(digest_of(terms_of(entry.record)), []).append(entry)
    boards = [make_board(group) for group in groups.values()]
    return tuple(sorted(boards, key=lambda board: (-len(board.lines), board.first.dataset_name, board.terms)))


def make_board(entries: Sequence[Entry]) -> Board:
    """One board.

    Args:
        entries: Records on equal terms, at least one.

    Raises:
        RecordError: when the records were not measured on the same clips by the same protocols.
    """
    terms = [terms_of(entry.record) for entry in entries]
    for entry, other in zip(entries[1:], terms[1:], strict=True):
        unequal = [key for key in other if other[key] != terms[0][key]]
        if unequal:
            raise RecordError(
                f"{entry.place} cannot stand in one table with {entries[0].place}",
                expected="equal data set, clips, media rules, seeds and protocols",
                found=f"other {', '.join(unequal)}",
            )
    ordered = sorted(entries, key=_order)
    first = ordered[0].record
    everyone = _lines(ordered)
    columns = tuple(column for column in columns_of(first) if column.protocol.status == "ok")
    return Board(
        terms=digest_of(terms[0]),
        first=first,
        entries=tuple(ordered),
        anchors=tuple(line for line in everyone if line.system.anchor),
        lines=_sorted_lines([line for line in everyone if not line.system.anchor], columns),
        columns=columns,
        notes=tuple(_notes(ordered)),
    )


def _order(entry: Entry) -> tuple[bool, str, str]:
    """Records that were made again come first, then older ones."""
    return not entry.reproduced, entry.record.timings.started, entry.file_sha256


def _lines(entries: Sequence[Entry]) -> list[Line]:
    """Each system once, from the first record that holds it; anchors are one by their kind and options."""
    found: dict[tuple[str, ...], Line] = {}
    for entry in entries:
        for system in ordered_systems(entry.record):
            identity = (system.kind, digest_of(system.options)) if system.anchor else (system.name, system.digest)
            known = found.get(identity)
            found[identity] = (
                Line(system, entry) if known is None else Line(known.system, known.entry, (*known.also, entry.place))
            )
    return list(found.values())


def cost_of(column: Column, value: ValueEntry) -> float | None:
    """The number that is smaller for the better system; None when there is none."""
    number = value.gap_to_ground_truth if column.value.direction == "closer_to_gt" else value.value
    if value.status != "ok" or value.value is None or number is None or not math.isfinite(number):
        return None
    return -number if column.value.direction == "higher" else number


def score_of(column: Column, value: ValueEntry) -> Score | None:
    """What a value is ranked by; None without a number or without an interval."""
    cost, interval = cost_of(column, value), value.interval
    if cost is None or interval is None or value.value is None or not 0 < interval.level < 1:
        return None
    low, high = interval.low, interval.high
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    if column.value.direction == "higher":
        return Score(cost, -high, -low, interval.level)
    if column.value.direction == "lower":
        return Score(cost, low, high, interval.level)
    return Score(cost, *_gap_ends(value.value, cost, low, high), interval.level)


def _gap_ends(value: float, gap: float, low: float, high: float) -> tuple[float, float]:
    """Ends of the distance to the ground truth when the value moves within its interval.

    Which side of the truth the value lies on is not recorded; distances are the same for both, since the interval moves
    with the value.
    """
    below, above = max(value - low, 0.0), max(high - value, 0.0)
    reach = max(below, above)
    return max(gap - reach, 0.0), gap + reach


def _places(board: Board, column: Column) -> tuple[Place, ...]:
    entries = [line.values.get((column.protocol.name, column.value.key)) for line in board.lines]
    # A value that is not ranked for another reason sets no measure for those that are.
    alone = [entry for entry in entries if not _not_ranked(column, entry, None)]
    shares = [entry.frame_coverage for entry in alone if entry is not None and entry.frame_coverage is not None]
    widest = max(shares, default=None)
    reasons = [_not_ranked(column, entry, widest) for entry in entries]
    chosen = [index for index, reason in enumerate(reasons) if not reason]
    if len(chosen) < 2:
        return tuple(Place(reason=reason or "there is no other system to rank it with") for reason in reasons)
    scores = [score for index in chosen if (score := score_of(column, entries[index])) is not None]  # type: ignore[arg-type]
    found = dict(zip(chosen, ranks(scores, _verdicts(board, column, chosen)), strict=True))
    taken = list(found.values())
    return tuple(
        Place(found[index], taken.count(found[index]) > 1) if index in found else Place(reason=reason)
        for index, reason in enumerate(reasons)
    )


def _not_ranked(column: Column, value: ValueEntry | None, widest: float | None) -> str:
    """Why a value is not ranked; empty when it is. The rule on coverage is the report's."""
    if value is None:
        return "the record holds no such value"
    if cost_of(column, value) is None:
        if value.status == "ok" and column.value.direction == "closer_to_gt" and value.gap_to_ground_truth is None:
            return "its distance to the ground truth is unknown: the run has no real clips"
        return value.reason or f"no number: {value.status}"
    if value.n_scored < value.n_planned:
        return f"it rests on {value.n_scored} of {value.n_planned} clips"
    if widest is not None and value.frame_coverage is not None and value.frame_coverage < widest - EQUAL:
        return f"it rests on {100 * value.frame_coverage:.0f} % of the frames, others on {100 * widest:.0f} %"
    if score_of(column, value) is None:
        return "it has no interval, so chance cannot be judged"
    return ""


def _verdicts(board: Board, column: Column, chosen: Sequence[int]) -> dict[tuple[int, int], bool]:
    """Paired verdicts between systems of one record, by position among the chosen lines, in both orders."""
    position = {(board.lines[i].entry.place, board.lines[i].system.name): at for at, i in enumerate(chosen)}
    found: dict[tuple[int, int], bool] = {}
    for entry in board.entries:
        for paired in entry.record.comparisons:
            if (paired.protocol, paired.key) != (column.protocol.name, column.value.key):
                continue
            a, b = (position.get((entry.place, name)) for name in (paired.system_a, paired.system_b))
            if a is not None and b is not None and paired.verdict != "undefined":
                found[a, b] = paired.verdict == "a_better"
                found[b, a] = paired.verdict == "b_better"
    return found


def _sorted_lines(lines: Sequence[Line], columns: Sequence[Column]) -> tuple[Line, ...]:
    """By the first main value, best first; systems without it at the end."""
    main = next((c for c in columns if c.value.primary and c.protocol.group == MAIN), None) or next(iter(columns), None)

    def key(line: Line) -> tuple[bool, float, str, str]:
        value = line.values.get((main.protocol.name, main.value.key)) if main is not None else None
        cost = cost_of(main, value) if main is not None and value is not None else None
        return cost is None, cost or 0.0, line.system.name, line.entry.file_sha256

    return tuple(sorted(lines, key=key))


def _notes(entries: Sequence[Entry]) -> Iterator[str]:
    unfinished = [entry.place for entry in entries if entry.record.status != "complete"]
    if unfinished:
        yield f"{len(unfinished)} of the records are incomplete; values that lack clips are shown and not ranked."
    without_rows = [entry.place for entry in entries if "clips.parquet" in entry.missing]
    if without_rows:
        yield f"{len(without_rows)} of the records came without their values per clip."
    yield from _truths(entries)


def _truths(entries: Sequence[Entry]) -> Iterator[str]:
    """Whether the real clips score the same in all records; if not, software or machines show in the numbers."""
    reference = _truth(entries[0].record)
    other = []
    for entry in entries[1:]:
        found = _truth(entry.record)
        if any(not math.isclose(found[k], reference[k], rel_tol=1e-6, abs_tol=1e-9) for k in found.keys() & reference):
            other.append(entry.place)
    if other:
        yield (
            f"The real clips themselves score differently in {len(other)} of the records than in {entries[0].place}: "
            "differences between systems contain those of software or machine."
        )


def _truth(record: RunRecord) -> dict[tuple[str, str], float]:
    name = next((system.name for system in record.systems if system.kind == "ground_truth"), None)
    return {(v.protocol, v.key): v.value for v in record.values if v.system == name and v.value is not None}
