"""``emo-bench systems``: external systems and what they lack on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption

app = typer.Typer(help="Look after external systems.", no_args_is_help=True)


@app.callback()
def _systems() -> None:
    pass


@app.command()
def doctor(
    names: Annotated[list[str], typer.Argument(help="Names (or files) of cards in configs/systems.")],
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Hash the weights.")] = True,
    as_json: JsonOption = False,
) -> int:
    """Say what an external system lacks on this machine and how to get it."""
    from dataclasses import asdict

    from emo_bench.cli.options import print_json
    from emo_bench.core.errors import ExitCode
    from emo_bench.generate.external_doctor import doctor as examine

    found = {name: examine(name, verify=verify) for name in names}
    if as_json:
        print_json({name: [asdict(finding) for finding in findings] for name, findings in found.items()})
    else:
        for name, findings in found.items():
            typer.echo(name)
            for finding in findings:
                typer.echo(f"  {finding.level:<8} {finding.about}: {finding.found}")
                if finding.fix and finding.level != "ok":
                    typer.echo(f"           {finding.fix}")
    broken = any(finding.level == "error" for findings in found.values() for finding in findings)
    return ExitCode.INCOMPLETE if broken else ExitCode.OK
