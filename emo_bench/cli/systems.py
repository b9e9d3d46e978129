"""``emo-bench systems``: external systems and what is missing for them on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption, say

app = typer.Typer(help="List and check external systems.", no_args_is_help=True)


@app.command("ls")
def list_systems(as_json: JsonOption = False) -> int:
    """List the external systems that have cards, and whether a checkout of each exists."""
    from emo_bench.cli.options import print_json
    from emo_bench.systems.external.card import card_names, find_card, load_card
    from emo_bench.systems.external.doctor import default_repository

    rows = []
    for name in card_names():
        card = load_card(find_card(name))
        folder = default_repository(card.name)
        memory = f", {card.hardware.gpu_memory_gb:g} GB" if card.hardware.gpu_memory_gb else ""
        rows.append(
            {
                "name": name,
                "title": card.title,
                "environment": card.environment.kind,
                "needs": f"GPU{memory}" if card.hardware.cuda else "CPU",
                "use": "non-commercial" if card.licence.non_commercial else "see licence",
                "code_licence": card.licence.code,
                "weights_licence": card.licence.weights,
                "repository": card.repository.url,
                "folder": str(folder),
                "checkout": folder.is_dir(),
            }
        )
    if as_json:
        print_json(rows)
        return 0
    heads = {"name": "NAME", "title": "TITLE", "needs": "NEEDS", "environment": "ENVIRONMENT", "use": "USE"}
    widths = {key: max(len(head), *(len(str(row[key])) for row in rows)) if rows else 0 for key, head in heads.items()}
    say("  ".join(f"{head:<{widths[key]}}" for key, head in heads.items()) + "  CHECKOUT")
    for row in rows:
        say("  ".join(f"{row[key]!s:<{widths[key]}}" for key in heads) + f"  {'yes' if row['checkout'] else 'no'}")
    say("`emo-bench systems doctor NAME` says what one of them lacks and how to get it.")
    return 0


@app.command()
def doctor(
    names: Annotated[
        list[str], typer.Argument(help="Names (or files) of cards in configs/systems.", metavar="NAME...")
    ],
    repository: Annotated[
        Path | None,
        typer.Option(
            "--repository", help="Its checkout; $EMO_BENCH_SYSTEMS/NAME when absent. With one NAME only.", metavar="DIR"
        ),
    ] = None,
    environment: Annotated[
        Path | None,
        typer.Option("--environment", help="Folder of its uv or conda environment. With one NAME only.", metavar="DIR"),
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", help="Interpreter to use instead of the environment's.", metavar="PROGRAM")
    ] = None,
    container_engine: Annotated[
        str, typer.Option("--container-engine", help="Program that runs containers.", metavar="PROGRAM")
    ] = "docker",
    allow_other_commit: Annotated[
        bool, typer.Option("--allow-other-commit", help="Accept a commit other than the card's.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Hash the weights.")] = True,
    as_json: JsonOption = False,
) -> int:
    """Report what is missing for an external system on this machine and how to get it.

    The options are those of a system of kind 'external' in a suite. Exit status 3: something is missing.
    """
    from dataclasses import asdict

    from emo_bench.cli.options import print_json
    from emo_bench.systems.external.card import find_card, load_card
    from emo_bench.systems.external.doctor import Installation, default_repository, examine
    from emo_core.errors import ConfigError, ExitCode

    if len(names) > 1 and (repository or environment):
        raise ConfigError(
            "--repository and --environment belong to one system",
            expected="one NAME",
            found=", ".join(names),
            fix="examine the systems one after the other",
        )

    def place(card_name: str) -> Installation:
        return Installation(
            repository=repository or default_repository(card_name),
            environment=environment,
            python=python,
            container_engine=container_engine,
            allow_other_commit=allow_other_commit,
        )

    cards = {name: load_card(find_card(name)) for name in names}
    found = {name: examine(card, place(card.name), verify=verify) for name, card in cards.items()}
    if as_json:
        print_json({name: [asdict(finding) for finding in findings] for name, findings in found.items()})
    else:
        for name, findings in found.items():
            say(name)
            for finding in findings:
                say(f"  {finding.level:<8} {finding.about}: {finding.found}")
                if finding.fix and finding.level != "ok":
                    say(f"           {finding.fix}")
    broken = any(finding.level == "error" for findings in found.values() for finding in findings)
    return ExitCode.INCOMPLETE if broken else ExitCode.OK
