"""``emo-bench run``: a suite from data to report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emo_bench.cli.options import AllowOption, ConfigOption, JsonOption, QuietOption, SetOption, TrackOption
from emo_core.errors import ExitCode

if TYPE_CHECKING:
    from emo_bench.record.schema import RunRecord


def run(
    config: ConfigOption,
    overrides: SetOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the run.")] = None,
    allow_system: AllowOption = None,
    track: TrackOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Make, score and report everything in a suite. The same command again continues and recomputes nothing.

    Example: emo-bench run --config configs/suites/quickstart.yaml
    """
    import json

    from emo_bench.runner.run import run_folder, run_suite
    from emo_bench.runner.suite import load_suite
    from emo_bench.runner.tracking import mirrored
    from emo_core.progress import display

    # Quoted: the value of an override is read as YAML, where a name can be a number or a comment.
    changes = [*(overrides or []), *([f"output={json.dumps(str(output))}"] if output else [])]
    suite = load_suite(config, changes)
    with display(quiet=quiet) as shown, mirrored(suite, track or (), shown) as (display_, finished):
        record = run_suite(suite, display=display_, allow_systems=allow_system or ())
        finished(record)
    finish(record, run_folder(suite), as_json=as_json)
    return exit_code(record)


def finish(record: RunRecord, folder: Path, *, as_json: bool) -> None:
    """Prints the outcome: the main table, coverage, and where the report lies."""
    from emo_bench.cli.options import print_json
    from emo_bench.cli.outcome import print_outcome

    if as_json:
        print_json({"folder": str(folder), "status": record.status, "counts": record.counts.model_dump()})
    else:
        print_outcome(record, folder)


def exit_code(record: RunRecord) -> int:
    """0 when every clip of every system was made and scored, 3 otherwise."""
    return ExitCode.OK if record.status == "complete" else ExitCode.INCOMPLETE
