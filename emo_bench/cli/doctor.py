"""``emo-bench doctor``: problems of a video, before it is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption


def doctor(
    videos: Annotated[list[Path], typer.Argument(help="Videos, or manifests (JSONL).", metavar="VIDEO...")],
    weights: Annotated[list[Path] | None, typer.Option("--weights", "-w", help="Folder of weight files.")] = None,
    faces: Annotated[bool, typer.Option("--faces/--no-faces", help="Look for faces as well.")] = True,
    as_json: JsonOption = False,
) -> int:
    """Examine videos: frame rate, audio, durations, face size and tracks, and the effect on each metric."""
    from emo_bench.cli.options import print_json
    from emo_bench.data.doctor import examine
    from emo_core.errors import ExitCode

    reports = examine(videos, weights=tuple(weights or ()), faces=faces)
    if as_json:
        print_json([report.plain() for report in reports])
    else:
        from rich.console import Console
        from rich.text import Text

        from emo_core.text import printable

        console = Console(highlight=False, soft_wrap=True)
        colours = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}
        for report in reports:
            console.print(Text(printable(report.name), style="bold"))
            for finding in report.findings:
                console.print(
                    Text(f"  {finding.level:<8}", style=colours[finding.level]) + Text(printable(finding.text))
                )
    return ExitCode.INCOMPLETE if any(report.worst == "error" for report in reports) else ExitCode.OK
