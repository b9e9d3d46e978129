"""All per-clip values of every clip."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.record.columns import Column, clip_columns, ordered_systems
from emo_bench.record.rows import ClipRow
from emo_bench.record.run_data import RunData
from emo_bench.report.content import Cell, Head, Material, Row, Section, Table
from emo_bench.report.results import head_of
from emo_bench.report.sections import section
from emo_core.text import format_number

MAX_ROWS = 2000


@section("per-clip", place=110, formats=("html",))
def per_clip(material: Material) -> Sequence[Section]:
    """A row for each clip, system and seed; nothing when there are no per-clip values."""
    table = clip_table(material.run)
    return (Section("per-clip", "Every clip", (table,), main=True, nav="Every clip"),) if table.rows else ()


def clip_table(run: RunData) -> Table:
    """A row for each clip, system and seed, with all per-clip values."""
    columns = clip_columns(run.record)
    grouped: dict[tuple[str, str, int], dict[tuple[str, str], ClipRow]] = {}
    for row in run.rows:
        grouped.setdefault((row.clip, row.system, row.seed), {})[row.protocol, row.key] = row
    order = {system.name: place for place, system in enumerate(ordered_systems(run.record))}
    keys = sorted(grouped, key=lambda key: (key[0], order.get(key[1], len(order)), key[2]))
    seeds = len({seed for _, _, seed in keys}) > 1
    rows = []
    for clip, system, seed in keys[:MAX_ROWS]:
        found = grouped[clip, system, seed]
        words = (Cell(next(iter(found.values())).identity), Cell(system))
        values = [_cell(column, found.get((column.protocol.name, column.value.key))) for column in columns]
        seed_cells = (Cell(str(seed), seed),) if seeds else ()
        rows.append(Row(clip, (*words, *seed_cells, *values), group=system, clip=clip))
    beyond = len(keys) - len(rows)
    more = f"{beyond} more lines are in clips.parquet; `emo-bench export` writes them as CSV."
    words_heads = (Head("Person", words="name"), Head("System", words="name"), *((Head("Seed"),) if seeds else ()))
    return Table(
        "per-clip", "", (*words_heads, *map(head_of, columns)), tuple(rows), first="Clip",
        notes=(more,) if beyond else (), layout="list", groups="All systems", search="Filter clips, people …",
    )  # fmt: skip


def _cell(column: Column, row: ClipRow | None) -> Cell:
    if row is None:
        return Cell("missing", status="missing", tip="the run holds no such value")
    if row.value is None:
        return Cell(row.status, status="undefined" if row.status == "ok" else row.status, tip=row.reason)
    return Cell(format_number(row.value, column.value.decimals), row.value)
