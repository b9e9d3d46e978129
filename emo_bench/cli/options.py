"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emo_bench.media.certificate import Signer

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Suite file (YAML).", metavar="FILE")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key of the suite, e.g. --set execution.workers=4.", metavar="KEY=VALUE"),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Hide progress.")]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-system",
        help="Allow this system to start the program that its card or options name; repeat for several.",
        metavar="NAME",
    ),
]
TrackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        help="Mirror to tensorboard, mlflow, wandb or trackio; WHERE is a folder, address or project. Nothing else is "
        "ever sent anywhere. Repeat for several.",
        metavar="NAME[=WHERE]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def say(text: str, *, err: bool = False) -> None:
    """Prints a line that may contain untrusted names and texts: control characters become visible escapes."""
    from emo_core.text import printable

    typer.echo(printable(text), err=err)


def print_json(value: object) -> None:
    """Prints a value as JSON on stdout, in ASCII: file names may contain anything."""
    import json

    typer.echo(json.dumps(value, indent=2))


def signer_for(certificate: Path | None, key: Path | None) -> Signer | None:
    """The user's certificate, else this machine's; None without the libraries, unless a certificate was given."""
    from emo_bench.media.certificate import EXTRA, credentials_available, local_signer, user_signer
    from emo_core.errors import ConfigError

    if (certificate is None) != (key is None):
        raise ConfigError("--certificate and --key must be given together", expected="both, or neither")
    if not credentials_available():
        if certificate is not None:
            raise ConfigError("--certificate needs two more libraries", expected="c2pa-python", fix=EXTRA)
        return None
    return local_signer() if certificate is None or key is None else user_signer(certificate, key)
