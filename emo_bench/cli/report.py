"""``emo-bench report``, ``compare`` and ``export``: what can be made from records alone."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[Path, typer.Argument(help="Folder of a run, or its record.json.", metavar="RUN")]


class What(StrEnum):
    """What is exported."""

    VALUES = "values"
    CLIPS = "clips"
    METRICS = "metrics"


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.", metavar="RUN...")],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="csv, json, md, html, latex, pdf or figures; repeat for several."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; RUN/report when absent.")] = None,
    published: Annotated[
        list[Path] | None, typer.Option("--published", help="Published tables (YAML), shown in grey, never ranked.")
    ] = None,
) -> int:
    """Write the report of finished runs again, from their records alone."""
    from emo_bench.report import write_report
    from emo_bench.report.write import DEFAULT_FORMATS

    for run in runs:
        target = output / run.name if output and len(runs) > 1 else output
        for path in write_report(run, formats=formats or DEFAULT_FORMATS, output=target, published=published or ()):
            typer.echo(str(path))
    return 0


def compare(
    run_a: Annotated[Path, typer.Argument(help="The older run.", metavar="RUN_A")],
    run_b: Annotated[Path, typer.Argument(help="The newer run.", metavar="RUN_B")],
    pair: Annotated[
        list[str] | None, typer.Option("--pair", help="Systems to compare: name in A, '=', name in B.", metavar="A=B")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance of any false verdict.", min=1e-6, max=0.5)] = 0.05,
) -> int:
    """Compare two runs clip by clip, with a verdict per value (Markdown on stdout)."""
    from emo_bench.core.errors import ConfigError
    from emo_bench.record.compare import compare_runs, comparison_markdown
    from emo_bench.report.run_data import load_run

    pairs = []
    for text in pair or []:
        first, separator, second = text.partition("=")
        if not separator:
            raise ConfigError(f"--pair {text!r} is no pair", expected="NAME_IN_A=NAME_IN_B")
        pairs.append((first, second))
    comparison = compare_runs(load_run(run_a), load_run(run_b), pairs=pairs or None, alpha=alpha)
    typer.echo(comparison_markdown(comparison), nl=False)
    return 0


def export(
    run: RunArgument,
    target: Annotated[Path, typer.Argument(help="File to write: .csv, .parquet or .json.", metavar="FILE")],
    what: Annotated[
        What, typer.Option("--what", help="One row per value, one per clip and value, or the main table for DVC.")
    ] = What.CLIPS,
) -> int:
    """Write a run's numbers as CSV, parquet or JSON."""
    from emo_bench.record.export import export_run
    from emo_bench.report.run_data import load_run

    typer.echo(str(export_run(load_run(run), target, what=what.value)))
    return 0
