"""What a finished run prints: the main table, coverage, failures by kind, and where to look next."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from emo_bench.record.columns import columns_of
from emo_bench.record.coverage import WHOLE, uneven_coverage
from emo_core.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from emo_bench.record.schema import RunRecord, ValueDescription, ValueEntry

SHOWN_NOTES = 4
"""Kinds of clip notes shown in a terminal; the report and the record have all."""

ARROWS = {"higher": "↑", "lower": "↓", "closer_to_gt": "→GT"}


def print_outcome(record: RunRecord, folder: Path) -> None:
    """Prints the outcome of a run on stdout."""
    from rich.console import Console

    # A pipe gets the full table; a terminal gets what fits.
    width = shutil.get_terminal_size((160, 40)).columns if sys.stdout.isatty() else 220
    console = Console(width=width, highlight=False)
    if record.synthetic:
        console.print("[yellow]synthetic data: these numbers say nothing about real faces[/yellow]")
    for columns in _blocks(_columns(record), per_block=max(2, (width - 18) // 14)):
        _print_table(console, record, columns)
    _print_notes(console, record)
    for what, path in (("report", folder / "report" / "report.html"), ("record", folder / "record.json")):
        console.print(printable(f"{what}: {path}"), soft_wrap=True, markup=False)


def _columns(record: RunRecord) -> list[tuple[str, ValueDescription]]:
    return [
        (protocol.name, value)
        for protocol in record.protocols
        if protocol.status == "ok"
        for value in protocol.values
        if value.primary
    ]


def _blocks(columns: list[tuple[str, ValueDescription]], *, per_block: int) -> list[list[tuple[str, ValueDescription]]]:
    return [columns[start : start + per_block] for start in range(0, len(columns), per_block)]


def _print_table(console: Console, record: RunRecord, columns: list[tuple[str, ValueDescription]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("system", no_wrap=True)
    for protocol, value in columns:
        table.add_column(Text(f"{value.label} {ARROWS[value.direction]}\n{protocol}"), justify="right")
    entries = {(entry.system, entry.protocol, entry.key): entry for entry in record.values}
    for system in record.systems:
        cells = [_cell(entries.get((system.name, protocol, value.key)), value) for protocol, value in columns]
        table.add_row(Text(system.name, style="dim" if system.anchor else "bold"), *map(Text, cells))
    console.print(table)


def _cell(entry: ValueEntry | None, value: ValueDescription) -> str:
    if entry is None or entry.value is None:
        return (
            "–" if entry is None or entry.status in ("skipped", "not_applicable") else f"–\n0/{entry.n_planned} clips"
        )
    text = f"{entry.value:.{value.decimals}f}"
    if entry.interval is not None:
        text += f"\n±{(entry.interval.high - entry.interval.low) / 2:.{value.decimals}f}"
    if entry.n_scored < entry.n_planned:
        text += f"\n{entry.n_scored}/{entry.n_planned} clips"
    if entry.frame_coverage is not None and entry.frame_coverage < WHOLE:
        text += f"\n{100 * entry.frame_coverage:.0f} % frames"
    return text


def _print_notes(console: Console, record: RunRecord) -> None:
    from rich.markup import escape

    counts = record.counts
    name = escape(printable(record.dataset_name))
    console.print(f"clips: {counts.done} of {counts.planned} made; the set has {len(record.clips)} ({name})")
    for (stage, code, system, part), count in sorted(
        Counter((entry.stage, entry.code, entry.system, entry.part) for entry in record.failures).items()
    ):
        where = f", {part}" if part else ""
        console.print(f"[red]{stage}: {count} x {escape(printable(f'{code} ({system}{where})'))}[/red]")
    _print_clip_notes(console, record)
    for column in columns_of(record):
        if column.value.primary and column.protocol.status == "ok" and (uneven := uneven_coverage(record, column)):
            console.print(f"[yellow]not comparable: {escape(printable(f'{column.value.label}: {uneven}'))}[/yellow]")
    for protocol in record.protocols:
        if protocol.status != "ok":
            console.print(f"[red]{escape(protocol.name)}: {escape(printable(protocol.reason))}[/red]")
    verdicts = Counter(check.verdict for check in record.checks)
    if record.checks:
        shown = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        console.print(f"anchor checks: {shown}")
    for check in record.checks:
        if check.verdict == "fail":
            text = f"{check.protocol} {check.key} puts {check.worse} before {check.better}: {check.reason}"
            console.print(f"[red]  {escape(text)}[/red]")


def _print_clip_notes(console: Console, record: RunRecord) -> None:
    """How many clips were corrected or are unusual, and the most informative kinds of notes."""
    from rich.markup import escape

    from emo_bench.engine.unit import GROUND_TRUTH
    from emo_bench.media.notes import most_telling

    anchors = {system.name for system in record.systems if system.anchor} - {GROUND_TRUTH}
    notes = [
        (entry.code, entry.text, f"{entry.system}/{clip}")
        for entry in record.notes
        if entry.system not in anchors
        for clip in entry.clips
    ]
    if not notes:
        return
    lines, more = most_telling(notes, at_most=SHOWN_NOTES)
    count = len({clip for _, _, clip in notes})
    rest = f", {more} more kinds" if more else ""
    console.print(f"notes on {count} clips (all of them: report, and 'notes' in the record){rest}:")
    for line in lines:
        console.print(f"  [yellow]{escape(printable(line))}[/yellow]", soft_wrap=True)
