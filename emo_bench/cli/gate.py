"""``emo-bench gate``: may this checkpoint be merged?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption


def gate(
    baseline: Annotated[Path, typer.Option("--baseline", "-b", help="Run (or record) of the accepted checkpoint.")],
    candidate: Annotated[Path, typer.Option("--candidate", "-c", help="Run (or record) of the new checkpoint.")],
    rules: Annotated[
        Path | None,
        typer.Option("--rules", "-r", help="Rules (YAML); when absent configs/gates/default.yaml, or those that ship."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for verdict.json and .md.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Judge a candidate against a baseline on the same clips. Exit 0: not worse; 1: worse; 2: cannot be judged."""
    from emo_bench.cli.options import print_json
    from emo_bench.gate.evaluate import evaluate_gate
    from emo_bench.gate.rules import default_rules, read_rules
    from emo_bench.gate.verdict import verdict_markdown, write_verdict
    from emo_bench.record.run_data import load_run

    verdict = evaluate_gate(load_run(baseline), load_run(candidate), read_rules(rules or default_rules()))
    text = verdict_markdown(verdict)
    # Printed first: a file that cannot be written must not cost what was found.
    if as_json:
        print_json(verdict.as_json())
    else:
        typer.echo(text, nl=False)
    if output is not None:
        write_verdict(verdict, output)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")
    return verdict.exit_code
