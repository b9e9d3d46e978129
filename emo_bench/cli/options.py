"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Suite file (YAML).", metavar="FILE")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key of the suite, e.g. --set execution.workers=4.", metavar="KEY=VALUE"),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-system",
        help="Let this system start the program that its card or options name; repeat for several.",
        metavar="NAME",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def say(text: str, *, err: bool = False) -> None:
    """Prints a line that may hold names of files and texts of others: control characters become visible escapes."""
    from emo_core.text import printable

    typer.echo(printable(text), err=err)


def print_json(value: object) -> None:
    """Prints a value as JSON on stdout, in ASCII: names of files may hold anything."""
    import json

    typer.echo(json.dumps(value, indent=2))
