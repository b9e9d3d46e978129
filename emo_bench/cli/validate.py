"""``emo-bench validate``: is a configuration file right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import SetOption, say


def validate(
    files: Annotated[list[Path], typer.Argument(help="Suite files.", metavar="FILE...")],
    overrides: SetOption = None,
) -> int:
    """Check suite files without touching data or networks: keys, values, system options, metric names."""
    from emo_bench.runner.suite import load_suite
    from emo_core.errors import ConfigError, ExitCode

    wrong = 0
    for path in files:
        try:
            suite = load_suite(path, overrides or [])
        except ConfigError as error:
            wrong += 1
            say(str(error), err=True)
        else:
            config = suite.config
            say(f"{path}: ok: {len(config.all_systems())} systems, {len(config.metrics)} metrics")
    return ExitCode.USAGE if wrong else ExitCode.OK
