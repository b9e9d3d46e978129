"""``emo-bench reproduce``: does repeating a run give the same record?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import AllowOption, JsonOption, QuietOption


class Engine(StrEnum):
    """What may compute networks."""

    TORCH = "torch"
    OPENVINO = "openvino"


def reproduce(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or its record.json.", metavar="RUN")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Fresh folder; runs/reproduced/NAME-DIGEST when absent.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", help="Folder of the suite file, which relative paths in it start from.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Relative difference that counts as equal; 0: bit for bit.", min=0.0)
    ] = 1e-3,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Worker processes; as recorded when absent.", min=1, max=256)
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu or cuda[:N]; as recorded when absent.")] = None,
    inference: Annotated[
        Engine | None,
        typer.Option("--inference", help="What computes Inception, I3D and LPIPS; as recorded when absent."),
    ] = None,
    allow_system: AllowOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Repeat a run from its record and compare value by value. Exit 0: equal; 1: different; 2: not possible.

    Config, seeds, data and weights must be those of the record; nothing is taken from a store of earlier runs.
    """
    from emo_bench.cli.options import print_json
    from emo_bench.reproduce import reproduce as make_again
    from emo_bench.reproduce import reproduction_markdown
    from emo_bench.systems.device import require_device
    from emo_core.progress import display

    if device is not None:
        require_device(device)
    with display(quiet=quiet) as shown:
        found = make_again(
            run,
            output=output,
            bases=None if base is None else (base,),
            tolerance=tolerance,
            workers=workers,
            device=device,
            inference=inference.value if inference is not None else None,
            allow_systems=allow_system or (),
            display=shown,
        )
    if as_json:
        print_json(found.as_json())
    else:
        typer.echo(reproduction_markdown(found), nl=False)
    return found.exit_code
