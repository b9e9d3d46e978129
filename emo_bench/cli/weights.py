"""``emo-bench weights``: list, verify and fetch weight files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption

app = typer.Typer(help="List, verify and fetch weight files.", no_args_is_help=True)
FoldersOption = Annotated[
    list[Path] | None, typer.Option("--folder", "-w", help="Folder to search; before the user's cache.")
]


@app.command("list")
def list_weights(folders: FoldersOption = None, as_json: JsonOption = False) -> int:
    """Show every known file: whether it is here, size, licence, what needs it."""
    return _show(folders, None, verify=False, as_json=as_json)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Files; all that are here when absent.")] = None,
    folders: FoldersOption = None,
    as_json: JsonOption = False,
) -> int:
    """Hash the files that are here and compare them with the registry."""
    return _show(folders, names, verify=True, as_json=as_json)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Files to download.")],
    target: Annotated[Path | None, typer.Option("--to", help="Folder; the user's cache when absent.")] = None,
) -> int:
    """Download files and check their bytes. Nothing else in emo-bench ever downloads."""
    from emo_bench.extract.weights import fetch as fetch_file

    for name in names:
        typer.echo(str(fetch_file(name, target=target)))
    return 0


def _show(folders: list[Path] | None, names: list[str] | None, *, verify: bool, as_json: bool) -> int:
    from emo_bench.cli.options import print_json
    from emo_bench.extract.weights import WeightsFinder, states
    from emo_core.errors import ExitCode

    found = states(WeightsFinder(folders=tuple(folders or ())), names, verify=verify)
    if verify and not names:
        found = [state for state in found if state.state != "missing"]
    if as_json:
        print_json(
            [
                {**state.entry.model_dump(mode="json"), "state": state.state, "path": _text(state.path)}
                for state in found
            ]
        )
    else:
        for state in found:
            size = f"{state.entry.bytes / 1e6:8.1f} MB" if state.entry.bytes else "        ?   "
            nc = " (non-commercial)" if state.entry.non_commercial else ""
            typer.echo(
                f"{state.state:<11} {state.entry.name:<44} {size}  {state.entry.licence}{nc}  {state.entry.used_by}"
            )
    bad = [
        state for state in found if state.state in ("wrong bytes", "unpinned") or (names and state.state == "missing")
    ]
    return ExitCode.USAGE if verify and bad else ExitCode.OK


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
