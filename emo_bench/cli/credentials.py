"""``emo-bench credentials``: who made this video, and was it changed since?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption, say

STATES = {
    "trusted": "as it was signed, by a trusted signer",
    "intact": "as it was signed; the signer is not trusted here",
    "altered": "NOT as it was signed",
}


def credentials(
    file: Annotated[Path, typer.Argument(help="Video or image.", metavar="FILE")],
    trust: Annotated[
        list[Path] | None,
        typer.Option("--trust", help="PEM file of a trusted root certificate; repeat for several.", metavar="PEM"),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Verify and print the content credentials (C2PA) of a file. Exit 0: as it was signed; 1: altered; 2: none.

    Nothing is sent or fetched. Files that were signed with this machine's own certificate are trusted.
    """
    import dataclasses

    from emo_bench.cli.options import print_json
    from emo_bench.media.certificate import CredentialsError, local_root
    from emo_bench.media.credentials import read_credentials
    from emo_core.errors import ExitCode

    roots = []
    for path in trust or []:
        if not path.is_file():
            raise CredentialsError(f"there is no certificate {path}", expected="a PEM file")
        roots.append(path.read_text(encoding="utf-8", errors="replace"))
    own = local_root()
    found = read_credentials(file, trusted=[*roots, *([own] if own else [])])
    if found is None:
        if as_json:
            print_json({"state": "none"})
        else:
            say(f"{file}: no content credentials")
        return ExitCode.USAGE
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        say(f"{file}: {STATES[found.state]}")
        lines = {
            "problem": "; ".join(found.problems) if found.state == "altered" else "",
            "signer": found.signer,
            "made by": found.generator,
            "source": found.source_type,
            "actions": ", ".join(found.actions),
            **{key: str(value) for key, value in found.facts.items()},
        }
        for label, text in lines.items():
            if text:
                say(f"  {label:<10} {text[:300]}")
    return ExitCode.GATE_FAILED if found.state == "altered" else ExitCode.OK
