"""``emo-bench leaderboard``: a static site of everything that was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import say


def leaderboard(
    folder: Annotated[Path, typer.Argument(help="Folder with run folders in it.", metavar="FOLDER")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the site.")] = Path("leaderboard"),
    title: Annotated[str, typer.Option("--title", help="Headline of the first page.")] = "Talking portraits",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 3 when a record was left out; the site is written all the same.")
    ] = False,
) -> int:
    """Build a leaderboard from records: one board per data set and protocols, ranks as fine as the intervals allow.

    Records are verified; what does not count is listed with its reason. The badge 'reproduced' is given where the
    folder of an `emo-bench reproduce` lies below FOLDER too.
    """
    from emo_bench.leaderboard import build_site
    from emo_bench.leaderboard.collect import KINDS, counts_by_kind
    from emo_core.errors import ExitCode

    site = build_site(folder, output, title=title)
    exclusions = site.collection.exclusions
    for exclusion in exclusions:
        say(f"left out {exclusion.place}: {exclusion.reason}", err=True)
    for kind, count in counts_by_kind(exclusions):
        say(f"left out: {count} {KINDS[kind]}", err=True)
    reproduced = sum(bool(entry.reproduced) for entry in site.collection.entries)
    systems = sum(len(board.lines) for board in site.boards)
    say(
        f"{site.index}: {len(site.boards)} boards, {systems} systems, {len(site.collection.entries)} records, "
        f"{reproduced} reproduced, {len(exclusions)} left out"
    )
    return ExitCode.INCOMPLETE if strict and exclusions else ExitCode.OK
