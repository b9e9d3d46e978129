"""``emo-bench ls``: lists metrics, systems, suites, runs and weights."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import JsonOption, say


class What(StrEnum):
    """What can be listed."""

    METRICS = "metrics"
    SYSTEMS = "systems"
    SUITES = "suites"
    RUNS = "runs"
    WEIGHTS = "weights"


FILES = {What.SUITES: "configs/suites/*.yaml", What.RUNS: "runs/*/record.json"}
"""Where those are looked for that lie in the user's folder; the others are never empty."""


def ls(
    what: Annotated[What, typer.Argument(help="What to list.")],
    as_json: JsonOption = False,
) -> int:
    """List metrics, system kinds, suites, runs or weight files."""
    from emo_bench.cli.options import print_json

    rows = {
        What.METRICS: _metrics,
        What.SYSTEMS: _systems,
        What.SUITES: _suites,
        What.RUNS: _runs,
        What.WEIGHTS: _weights,
    }[what]()
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo(f"none: no {FILES[what]} below this folder", err=True)
    else:
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            say(f"{row['name']:<{width}}  {row['about']}".rstrip())
    return 0


def _metrics() -> list[dict[str, str]]:
    from emo_bench.extract.catalogue import metric_names, metrics

    rows = []
    for name in metric_names():
        target = metrics.target(name)
        rows.append({"name": name, "about": _title(target) if isinstance(target, str) else target.spec.title})
    return rows


def _title(target: str) -> str:
    """The first sentence of a lazily registered class, read without importing it."""
    import ast
    from importlib.util import find_spec

    module, _, name = target.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def _systems() -> list[dict[str, str]]:
    from emo_bench.systems.system import systems

    return [{"name": name, "about": (systems.get(name).__doc__ or "").partition("\n")[0]} for name in systems]


def _suites() -> list[dict[str, str]]:
    from emo_bench.config.load import read_yaml
    from emo_core.errors import ConfigError

    rows = []
    for path in sorted(Path().glob(FILES[What.SUITES])):
        try:
            about = str(read_yaml(path).values.get("description", ""))
        except ConfigError as error:
            about = f"cannot be read: {error.message}"
        rows.append({"name": str(path), "about": about.strip().partition("\n")[0]})
    return rows


def _runs() -> list[dict[str, str]]:
    from emo_bench.record.store import read_record
    from emo_core.errors import RecordError

    rows = []
    for path in sorted(Path().glob(FILES[What.RUNS])):
        try:
            record = read_record(path)
            about = f"{record.status}, {record.counts.done}/{record.counts.planned} clips, {record.timings.finished}"
        except RecordError as error:
            about = error.message
        rows.append({"name": str(path.parent), "about": about})
    return rows


def _weights() -> list[dict[str, str]]:
    from emo_bench.extract.weights import WeightsFinder, states

    return [
        {"name": state.entry.name, "about": f"{state.state}; {state.entry.licence}; {state.entry.used_by}"}
        for state in states(WeightsFinder(), verify=False)
    ]
