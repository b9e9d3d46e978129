"""What the pages of a leaderboard show: plain data for the templates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emo_bench.leaderboard.boards import Board, Line, Place, cost_of
from emo_bench.leaderboard.collect import KINDS, Collection, Entry, Exclusion, counts_by_kind
from emo_bench.publish.checklist import checklist
from emo_bench.record.columns import DIRECTION_WORDS, Column
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import ValueEntry
from emo_bench.report.content import Cell, Head
from emo_bench.report.notes import SYNTHETIC_NOTICE, coverage_sentence, run_warnings, watermark_note
from emo_bench.report.page_tables import Bar, bar_of, span_of
from emo_bench.report.results import head_of, system_tip
from emo_bench.report.sections.provenance import provenance_facts
from emo_core.text import counted, format_number, shortened

BARS_UP_TO = 150
"""Systems of a table whose intervals are drawn; longer tables give them in numbers only."""
BOARDS_SHOWN = 200
EXCLUSIONS_SHOWN = 500
LEADERS_SHOWN = 6
TEXT_SHOWN = 200

BADGE_TIPS = {
    "exact": "made again from its record by emo-bench reproduce; every number came out equal to the bit",
    "equal": "made again from its record by emo-bench reproduce; every number came out equal within 0.1 %",
}
RULES = (
    (
        "One board, one set of terms.",
        "Systems share a board only when data set, clips, media rules, seeds, protocols and the weights of the metrics "
        "are the same.",
    ),
    (
        "Ranks claim no more than chance allows.",
        "A rank is one more than the number of systems that are surely better. Systems of one record are told apart by "
        "its paired comparisons; systems of different records by their intervals, corrected for the number of pairs.",
    ),
    (
        "Reproduced.",
        "The badge is given when emo-bench reproduce made the record again, both runs lie here whole, and every number "
        "of both was compared again while this page was built. It says nothing of who made the record.",
    ),
    (
        "Nothing is filled in.",
        "A number that is missing is a word with its reason. Values that rest on fewer clips or frames than others are "
        "shown and not ranked.",
    ),
)


@dataclass(frozen=True)
class BoardCell:
    """A cell of a board's table."""

    text: str | None
    word: str = ""
    tip: str = ""
    sort: str = ""
    interval: str = ""
    rank: str = ""
    why: str = ""
    mark: str = ""
    part: str = ""
    bar: Bar | None = None


@dataclass(frozen=True)
class BoardRow:
    """A line of a board's table."""

    name: str
    run: str
    kind: str
    tip: str
    page: str
    anchor: bool
    first: bool
    reproduced: str
    also: int
    cells: tuple[BoardCell, ...]


@dataclass(frozen=True)
class BoardTable:
    """A table of a board."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[BoardRow, ...]


def stat(label: str, value: object, note: str) -> dict[str, str]:
    """A number at the top of a page."""
    return {"label": label, "value": str(value), "note": note}


def index_page(collection: Collection, boards: Sequence[Board], *, title: str) -> dict[str, Any]:
    """The first page: boards with their leaders, and what was left out."""
    exclusions = collection.exclusions
    systems = sum(len(board.lines) for board in boards)
    reproduced = sum(bool(entry.reproduced) for entry in collection.entries)
    kinds = list(counts_by_kind(exclusions))
    beyond = len(exclusions) - EXCLUSIONS_SHOWN
    hidden = len(boards) - BOARDS_SHOWN
    return {
        "title": title,
        "root": "",
        "nav": [("#boards", "Boards"), ("#left-out", "Left out"), ("#rules", "Rules")],
        "synthetic": None,
        "stats": [
            stat("Boards", len(boards), "data sets and sets of protocols"),
            stat("Systems", systems, "under test, each with its numbers"),
            stat("Records", len(collection.entries), "that count"),
            stat("Reproduced", reproduced, "records that were made again"),
            stat("Left out", len(exclusions), "each with its reason"),
        ],
        "boards": [_card(board) for board in boards[:BOARDS_SHOWN]],
        "beyond": f"{hidden} more boards are in index.json." if hidden > 0 else "",
        "exclusions": [_excluded(item) for item in exclusions[:EXCLUSIONS_SHOWN]],
        "excluded_sentence": "; ".join(f"{count} {KINDS[kind]}" for kind, count in kinds) + ".",
        "excluded_left_out": f"{beyond} more are in index.json." if beyond > 0 else "",
        "rules": RULES,
    }


def _excluded(item: Exclusion) -> dict[str, str]:
    return {"place": item.place, "why": item.why, "reason": item.reason[:TEXT_SHOWN]}


def _card(board: Board) -> dict[str, Any]:
    main = next((columns for _, columns in board.groups() if columns), ())
    leaders = [leader for column in main if (leader := _leader(board, column))]
    more = len(leaders) - LEADERS_SHOWN
    return {
        "id": board.id,
        "dataset": board.first.dataset_name,
        "synthetic": board.first.synthetic,
        "facts": f"{counted(len(board.lines), 'system')}, {counted(len(board.first.clips), 'clip')}, "
        f"{counted(len({column.protocol.name for column in board.columns}), 'protocol')}",
        "leaders": leaders[:LEADERS_SHOWN],
        "nothing": "" if leaders else _nothing_ranked(board),
        "more": f"and {counted(more, 'more value')}" if more > 0 else "",
    }


def _nothing_ranked(board: Board) -> str:
    if len(board.lines) < 2:
        return "Nothing is ranked: there are not two systems yet."
    return "Nothing is ranked: too few of the values have an interval and all their clips."


def _leader(board: Board, column: Column) -> dict[str, str] | None:
    """Who leads under one value, and how many cannot be told from it."""
    ranked = [
        (line, value)
        for line, place in zip(board.lines, board.places[column.id], strict=True)
        if place.rank == 1 and (value := line.values.get((column.protocol.name, column.value.key))) is not None
    ]
    if not ranked:
        return None
    line, value = min(ranked, key=lambda pair: (cost_of(column, pair[1]) or 0.0, pair[0].system.name))
    tied = len(ranked) - 1
    return {
        "label": column.value.label,
        "arrow": column.arrow,
        "who": shortened(line.system.name, 80),
        "tied": f"tied with {tied}" if tied else "",
        "text": format_number(value.value, column.value.decimals) if value.value is not None else "",
    }


def board_page(board: Board) -> dict[str, Any]:
    """The page of one board."""
    record = board.first
    people = len({clip.identity for clip in record.clips})
    reproduced = sum(bool(entry.reproduced) for entry in board.entries)
    head, _, rest = SYNTHETIC_NOTICE.partition(": ")
    protocols = {column.protocol.name: column.protocol for column in board.columns}
    return {
        "title": record.dataset_name,
        "root": "../",
        "nav": [("#results", "Results"), ("#protocols", "Protocols"), ("#records", "Records")],
        "synthetic": (f"{head}.", rest[:1].upper() + rest[1:]) if record.synthetic else None,
        "board_id": board.id,
        "stats": [
            stat("Systems", len(board.lines), f"and {counted(len(board.anchors), 'anchor')}"),
            stat("Clips", len(record.clips), counted(people, "person", "people")),
            stat("Protocols", len(protocols), "the same for all systems"),
            stat("Records", len(board.entries), f"{reproduced} reproduced"),
        ],
        "notes": board.notes,
        "kinds": sorted({line.system.kind for line in board.lines}),
        "tables": [_table(board, title, columns) for title, columns in board.groups() if columns],
        "interval_note": _interval_note(board),
        "protocols": [protocol.model_dump(mode="json") for protocol in protocols.values()],
        "directions": DIRECTION_WORDS,
        "records": [_record_line(entry) for entry in board.entries],
    }


def _interval_note(board: Board) -> str:
    values = [value for line in (*board.lines, *board.anchors) for value in line.values.values()]
    intervals = [value.interval for value in values if value.interval is not None]
    if not intervals:
        return "No value has a confidence interval, so nothing is ranked."
    levels = ", ".join(sorted({f"{100 * interval.level:g} %" for interval in intervals}))
    note = f"Brackets: {levels} confidence intervals ({'; '.join(sorted({i.method for i in intervals})[:4])})."
    watermarks = sorted({value.watermark for value in values if value.watermark})
    return f"{note} {watermark_note(watermarks)}" if watermarks else note


def _record_line(entry: Entry) -> dict[str, str]:
    record = entry.record
    return {
        "id": entry.id,
        "name": record.name[:TEXT_SHOWN],
        "place": entry.place,
        "finished": record.timings.finished,
        "version": record.provenance.emo_bench,
        "device": record.provenance.device,
        "status": record.status,
        "reproduced": entry.reproduced,
    }


def _table(board: Board, title: str, columns: Sequence[Column]) -> BoardTable:
    everyone = (*board.lines, *board.anchors)
    bars = len(everyone) <= BARS_UP_TO
    truth = next((line for line in board.anchors if line.system.kind == "ground_truth"), None)
    by_column = []
    for column in columns:
        places = (*board.places[column.id], *(Place() for _ in board.anchors))
        values = [line.values.get((column.protocol.name, column.value.key)) for line in everyone]
        span = span_of([_plain(value) for value in values if value is not None]) if bars else None
        real = truth.values.get((column.protocol.name, column.value.key)) if truth is not None else None
        by_column.append(
            [
                _cell(column, line, value, place, span, real.value if real is not None else None)
                for line, value, place in zip(everyone, values, places, strict=True)
            ]
        )
    rows = [
        _row(line, tuple(cells[index] for cells in by_column), first=index == len(board.lines) > 0)
        for index, line in enumerate(everyone)
    ]
    return BoardTable(title, tuple(head_of(column) for column in columns), tuple(rows))


def _row(line: Line, cells: tuple[BoardCell, ...], *, first: bool) -> BoardRow:
    system = line.system
    return BoardRow(
        name=system.name[:TEXT_SHOWN],
        run=line.entry.record.name[:TEXT_SHOWN],
        kind=system.kind,
        tip=system_tip(system),
        page="" if system.anchor else line.entry.id,
        anchor=system.anchor,
        first=first,
        reproduced="" if system.anchor else line.entry.reproduced,
        also=len(line.also),
        cells=cells,
    )


def _plain(value: ValueEntry) -> Cell:
    interval = value.interval
    known = value.status == "ok" and value.value is not None and math.isfinite(value.value)
    return Cell(
        text="",
        value=value.value if known else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n_scored=value.n_scored,
        n_planned=value.n_planned,
        frame_coverage=value.frame_coverage,
    )


def _cell(
    column: Column,
    line: Line,
    value: ValueEntry | None,
    place: Place,
    span: tuple[float, float] | None,
    truth: float | None,
) -> BoardCell:
    if value is None:
        return BoardCell(None, word="missing", tip="the record holds no such value")
    plain = _plain(value)
    if plain.value is None:
        status = "undefined" if value.status == "ok" else value.status
        return BoardCell(None, word=status, tip=f"{status}: {value.reason or 'no finite value'}"[:TEXT_SHOWN])
    digits = column.value.decimals
    by_gap = column.value.direction == "closer_to_gt" and value.gap_to_ground_truth is not None
    interval = ""
    if plain.low is not None and plain.high is not None:
        interval = f"[{format_number(plain.low, digits)}, {format_number(plain.high, digits)}]"
    mark = "" if place.rank != 1 else "tie" if place.shared else "best"
    return BoardCell(
        text=format_number(plain.value, digits) + ("†" if value.watermark else ""),
        sort=f"{value.gap_to_ground_truth if by_gap else plain.value:.9g}",
        interval=interval,
        rank="" if place.rank is None else str(place.rank),
        why="" if line.system.anchor or place.rank is not None else place.reason,
        mark=mark,
        part=plain.coverage_text,
        bar=bar_of(plain, span, truth),
    )


def record_page(entry: Entry, board: Board) -> dict[str, Any]:
    """The page of one record: provenance and checklist."""
    record = entry.record
    notes = [coverage_sentence(record), *run_warnings(RunData(record=record))]
    if entry.reproduced:
        notes.insert(0, f"Reproduced: {BADGE_TIPS[entry.reproduced]}.")
    media = [name for name in entry.missing if name.startswith("previews/")]
    others = [name for name in entry.missing if not name.startswith("previews/")]
    if others or media:
        parts = [*others, *([f"{len(media)} previews"] if media else [])]
        notes.append(f"Not copied along, so not checked: {', '.join(parts)}.")
    seal = record.seal.record if record.seal is not None else ""
    return {
        "title": (record.title or record.name)[:TEXT_SHOWN],
        "root": "../",
        "nav": [("#provenance", "Provenance"), ("#checklist", "Checklist")],
        "synthetic": None,
        "board_id": board.id,
        "dataset": record.dataset_name,
        "description": record.description,
        "reproduced": entry.reproduced,
        "notes": notes,
        "facts": [
            ("Folder", entry.place),
            ("record.json", f"SHA-256 {entry.file_sha256}"),
            ("Seal", f"SHA-256 {seal}"),
            *((fact.label, fact.text) for fact in provenance_facts(record).items),
        ],
        "checklist": checklist(record),
    }


def board_data(board: Board) -> dict[str, Any]:
    """A board as plain values: all numbers in full precision."""
    columns = [
        {"id": c.id, "label": c.value.label, "direction": c.value.direction, "unit": c.value.unit}
        for c in board.columns
    ]
    ranked = [
        (line, [board.places[column.id][index] for column in board.columns]) for index, line in enumerate(board.lines)
    ]
    return {
        "version": 1,
        "terms": board.terms,
        "dataset": {"name": board.first.dataset_name, "sha256": board.first.digests.dataset},
        "synthetic": board.first.synthetic,
        "columns": columns,
        "systems": [
            {
                "name": line.system.name,
                "kind": line.system.kind,
                "anchor": line.system.anchor,
                "sha256": line.system.digest,
                "record": {
                    "folder": line.entry.place,
                    "name": line.entry.record.name,
                    "sha256": line.entry.file_sha256,
                },
                "reproduced": line.entry.reproduced,
                "also": list(line.also),
                "values": {
                    column.id: _value_data(line.values.get((column.protocol.name, column.value.key)), place)
                    for column, place in zip(board.columns, places, strict=True)
                },
            }
            for line, places in (*((line, [Place()] * len(columns)) for line in board.anchors), *ranked)
        ],
    }


def _value_data(value: ValueEntry | None, place: Place) -> Mapping[str, Any] | None:
    if value is None:
        return None
    interval = value.interval
    return {
        "value": value.value,
        "status": value.status,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "level": interval.level if interval else None,
        "gap": value.gap_to_ground_truth,
        "clips": value.n_scored,
        "planned": value.n_planned,
        "rank": place.rank,
        "shared": place.shared,
        "not_ranked": place.reason,
    }
