"""``emo-bench audit``: can a metric be believed on this data?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emo_bench.cli.options import ConfigOption, JsonOption, QuietOption, SetOption
from emo_core.errors import ExitCode

if TYPE_CHECKING:
    from emo_bench.audit.result import AuditRecord


def audit(
    config: ConfigOption,
    distortions: Annotated[
        list[str] | None,
        typer.Option("--distortions", "-d", help="Distortion; repeat for several, all when absent.", metavar="NAME"),
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Option("--levels", "-l", help="Other levels, e.g. --levels blur=0.5,1,2.", metavar="NAME=LIST"),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metrics", "-m", help="Protocol; repeat for several, the suite's when absent.", metavar="NAME"),
    ] = None,
    overrides: SetOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the audit.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Degrade the ground truth in known steps and check which protocols rank the steps correctly.

    A metric that fails is a finding, not an error: exit code 0. 3 when a clip or a protocol could not be audited.

    Example: emo-bench audit --config configs/suites/quickstart.yaml -d blur -d audio-late
    """
    from emo_bench.audit.distortions import chosen_corruptions
    from emo_bench.audit.run import audit_folder, audit_suite_of, run_audit
    from emo_bench.cli.options import print_json
    from emo_bench.runner.suite import load_suite
    from emo_core.progress import display

    chosen = chosen_corruptions(distortions or (), levels or ())
    suite = audit_suite_of(load_suite(config, overrides or []), metrics=metrics or (), output=output)
    with display(quiet=quiet) as shown:
        record = run_audit(suite, chosen, display=shown)
    folder = audit_folder(suite)
    if as_json:
        cells = [item.model_dump(mode="json", exclude={"steps", "reversals"}) for item in record.findings]
        print_json({"folder": str(folder), "status": record.status, "findings": cells})
    else:
        _print(record, folder)
    return ExitCode.OK if record.status == "complete" else ExitCode.INCOMPLETE


def _print(record: AuditRecord, folder: Path) -> None:
    import shutil
    import sys
    from collections import Counter

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from emo_bench.audit.result import cell_text
    from emo_core.text import printable

    width = shutil.get_terminal_size((160, 40)).columns if sys.stdout.isatty() else 220
    console = Console(width=width, highlight=False)
    if record.synthetic:
        console.print("[yellow]synthetic data: these verdicts say nothing about real faces[/yellow]")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("protocol", no_wrap=True)
    table.add_column("value")
    for entry in record.distortions:
        table.add_column(Text(entry.name))
    cells = {(item.protocol, item.key, item.distortion): item for item in record.findings}
    for protocol, key, label in dict.fromkeys((i.protocol, i.key, i.label) for i in record.findings if i.primary):
        shown = [cell_text(cells.get((protocol, key, entry.name))) for entry in record.distortions]
        table.add_row(Text(protocol), Text(label), *map(Text, shown))
    console.print(table)
    console.print(
        "✓ orders the levels, ✗ does not, ~ worst level not detected, – declared blind (! but reacts); "
        "the number is the smallest level detected",
        markup=False,
    )
    counts = Counter(item.verdict for item in record.findings if item.primary)
    console.print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "nothing was judged")
    for unavailable in (entry for entry in record.protocols if entry.status != "ok"):
        console.print(Text(printable(f"{unavailable.name}: {unavailable.reason}"), style="red"))
    failed = Counter((entry.stage, entry.code) for entry in record.failures)
    for (stage, code), count in sorted(failed.items()):
        console.print(Text(f"{stage}: {count} x {printable(code)}", style="red"))
    for what, name in (("table", "audit.md"), ("figure", "audit.png"), ("record", "audit.json")):
        if (folder / name).is_file():  # there is no figure where nothing was judged
            console.print(printable(f"{what}: {folder / name}"), soft_wrap=True, markup=False)
