"""``emo-bench score``: scores finished videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption, QuietOption, SetOption


def score(
    generated: Annotated[Path, typer.Option("--generated", "-g", help="Folder with one video per clip.")],
    reference: Annotated[Path, typer.Option("--reference", "-r", help="Manifest of the ground truth (JSONL).")],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="Protocol; repeat for several.", metavar="NAME")
    ] = None,
    pattern: Annotated[str, typer.Option("--pattern", help="Path below the folder without extension.")] = "{id}",
    length_tolerance: Annotated[
        float | None,
        typer.Option(
            "--length-tolerance", help="Seconds that a video may be longer (cut) or shorter (last frame held); 0.5."
        ),
    ] = None,
    weights: Annotated[list[Path] | None, typer.Option("--weights", "-w", help="Folder of weight files.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run; 'score-' and the folder's name when absent.")
    ] = None,
    overrides: SetOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the run.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Score a folder of finished videos, matched by clip id, beside the anchors.

    Example: emo-bench score --generated out/ --reference data/my-set/manifest.jsonl
    """
    from emo_bench.api import DEFAULT_SCORE_METRICS, score_values
    from emo_bench.cli.run import exit_code, finish
    from emo_bench.config.load import Source, apply_overrides
    from emo_bench.runner.run import run_folder, run_suite
    from emo_bench.runner.suite import suite_from_values
    from emo_core.progress import display

    options: dict[str, object] = {"output": str(output)} if output else {}
    if weights:
        options["weights"] = {"folders": [str(folder) for folder in weights]}
    values = score_values(
        generated,
        reference,
        metrics=metric or DEFAULT_SCORE_METRICS,
        name=name,
        pattern=pattern,
        length_tolerance_s=length_tolerance,
        options=options,
    )
    changed = apply_overrides(Source(None, "", values, {}), overrides or []).values
    suite = suite_from_values(changed, base=Path())
    with display(quiet=quiet) as shown:
        record = run_suite(suite, display=shown)
    finish(record, run_folder(suite), as_json=as_json)
    return exit_code(record)
