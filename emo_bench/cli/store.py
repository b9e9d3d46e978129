"""``emo-bench store``: contents of the store of clips and features, integrity checks, clean-up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emo_bench.cli.options import JsonOption, print_json, say

if TYPE_CHECKING:
    from emo_bench.systems.clip_store import ClipStore

app = typer.Typer(help="Inspect, verify and prune the store of clips and features.", no_args_is_help=True)
StoreArgument = Annotated[Path, typer.Argument(help="Folder of the store.", metavar="FOLDER")]
DEFAULT = Path("runs/.store")


@app.command()
def show(folder: StoreArgument = DEFAULT, as_json: JsonOption = False) -> int:
    """Show the space used by the clips of each system, and everything else stored."""
    from dataclasses import asdict

    from emo_bench.systems.store_care import contents, folder_bytes
    from emo_core.errors import ExitCode

    store = _opened(folder)
    found = contents(store)
    systems = found.by_system()
    named = found.named()
    other = {name: folder_bytes(folder / name) for name in ("features", "previews")}
    other["named by no clip"] = sum(size for name, size in found.objects.items() if name not in named)
    if as_json:
        print_json({"systems": {name: asdict(use) for name, use in systems.items()}, "bytes": other})
        return ExitCode.OK
    for name, use in systems.items():
        notes = [f"{use.read_elsewhere} read from files outside"] if use.read_elsewhere else []
        notes += [f"{use.deleted} without frames"] if use.deleted else []
        line = f"  {name or '(unknown)':<24} {use.clips:>6} clips {use.bytes / 1e6:>10.1f} MB  {', '.join(notes)}"
        say(line.rstrip())
    for name, size in other.items():
        say(f"  {name:<24} {'':>12} {size / 1e6:>10.1f} MB")
    if found.odd:
        say(f"{len(found.odd)} files are not complete clips of the current layout")
    return ExitCode.OK


@app.command()
def verify(folder: StoreArgument = DEFAULT) -> int:
    """Hash every file that a clip needs, the user's own files included. Changes nothing."""
    from emo_bench.systems.store_care import contents, problems
    from emo_core.errors import ExitCode

    store = _opened(folder)
    found = contents(store)
    wrong = 0
    for text in problems(store, found):
        wrong += 1
        say(text)
    say(f"{len(found.records)} clips, {wrong} problems" + ("; the next run makes them again" if wrong else ""))
    return ExitCode.INCOMPLETE if wrong else ExitCode.OK


@app.command()
def prune(
    folder: StoreArgument = DEFAULT,
    keep: Annotated[
        list[Path] | None,
        typer.Option("--keep", help="Suite whose clips stay, others go; repeat for several.", metavar="SUITE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be deleted.")] = False,
) -> int:
    """Delete files that no clip names; with --keep also the clips that the given suites do not need."""
    from emo_bench.systems.store_care import contents, file_bytes, unneeded
    from emo_core.errors import ExitCode

    store = _opened(folder)
    paths = unneeded(store, contents(store), keep=_keys(keep, folder) if keep else None)
    size = sum(file_bytes(path) for path in paths)
    if not dry_run:
        for path in paths:
            path.unlink(missing_ok=True)
    say(f"{len(paths)} files, {size / 1e6:.1f} MB {'would be' if dry_run else 'were'} deleted")
    return ExitCode.OK


def _keys(suites: list[Path], folder: Path) -> set[str]:
    from dataclasses import replace

    from emo_bench.data.manifest import Manifest
    from emo_bench.data.sets.kind import open_dataset
    from emo_bench.engine.context import RunContext
    from emo_bench.engine.plan import other_units, truth_units
    from emo_bench.runner.reference_set import open_reference, reference_context
    from emo_bench.runner.run import spec_of
    from emo_bench.runner.suite import load_suite

    keys: set[str] = set()
    for path in suites:
        suite = load_suite(path)
        spec = spec_of(suite, open_dataset(suite.config, suite.base).manifest)
        context = RunContext(replace(spec, store=folder))  # which may lie elsewhere than the suite says
        keys |= {context.keys.clip(unit) for unit in (*truth_units(context), *other_units(context))}
        # Where a clip could not be prepared, others took its place as partners.
        good = [entry for entry in context.manifest.entries if context.stored_truth(entry.id) is not None]
        prepared = Manifest(context.manifest.root, good)
        keys |= {context.keys.clip(unit) for unit in other_units(context, prepared)}
        named = open_reference(suite)
        if named is not None:
            reference = reference_context(suite, named, context)
            keys |= {reference.keys.clip(unit) for unit in truth_units(reference)}
    return keys


def _opened(folder: Path) -> ClipStore:
    from emo_bench.systems.clip_store import ClipStore
    from emo_core.errors import ConfigError

    if not folder.is_dir():
        raise ConfigError(f"no store at {folder}", expected="the folder that suites name as 'store'", found="no folder")
    return ClipStore(folder)
