"""``emo-bench validate``: checks configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import SetOption, say

TRAINING_KEYS = frozenset({"kind", "preset", "stages", "generator", "locator"})
"""Keys that training files have and suites have not."""


def validate(
    files: Annotated[list[Path], typer.Argument(help="Suite files or training files.", metavar="FILE...")],
    overrides: SetOption = None,
) -> int:
    """Check suite and training files without touching data or networks: keys, values, system options, metric names."""
    from emo_bench.config.load import apply_overrides, read_yaml
    from emo_bench.runner.suite import load_suite
    from emo_core.errors import ConfigError, ExitCode

    def checked(path: Path) -> str:
        source = read_yaml(path)
        if TRAINING_KEYS & set(source.values):
            from emo_bench.train.config import check_training

            return f"trains {check_training(apply_overrides(source, overrides or [])).kind}"
        config = load_suite(path, overrides or []).config
        return f"{len(config.all_systems())} systems, {len(config.metrics)} metrics"

    wrong = 0
    for path in files:
        try:
            say(f"{path}: ok: {checked(path)}")
        except ConfigError as error:
            wrong += 1
            say(str(error), err=True)
    return ExitCode.USAGE if wrong else ExitCode.OK
