"""A suite file, loaded and checked as far as it can be without touching data or networks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo_bench.config.load import Source, apply_overrides, read_yaml, validate
from emo_bench.config.schema import Dataset, RunConfig
from emo_core.errors import ConfigError


@dataclass(frozen=True)
class Suite:
    """A checked suite.

    Attributes:
        config: All values after defaults and overrides.
        text: The file as it was read.
        overrides: ``key=value`` texts that were applied.
        base: Folder that its relative paths start from.
    """

    config: RunConfig
    text: str
    overrides: tuple[str, ...]
    base: Path


def load_suite(path: Path, overrides: Sequence[str] = ()) -> Suite:
    """Reads a suite file, applies overrides and checks everything: keys, systems, their options, metric names.

    Raises:
        ConfigError: listing every problem with file, line, key path, what was expected and the nearest valid name.
    """
    return _checked(apply_overrides(read_yaml(path), overrides), tuple(overrides), path.parent)


def suite_from_values(values: dict[str, Any], *, base: Path, overrides: Sequence[str] = ()) -> Suite:
    """A suite from plain Python values, for notebooks and other programs."""
    import json

    text = json.dumps(values, indent=2, default=str)  # paths become text
    source = Source(None, text, json.loads(text), {})
    return _checked(apply_overrides(source, overrides) if overrides else source, tuple(overrides), base)


def suite_schema() -> dict[str, Any]:
    """JSON Schema of suite files, with the options of every registered kind of data set."""
    from emo_bench.data.sets.kind import dataset_kinds

    choices = []
    for name in dataset_kinds:
        options = dataset_kinds.get(name).options_model.model_json_schema()
        properties = {"kind": {"const": name, "type": "string"}, **options.get("properties", {})}
        choices.append({**options, "properties": properties, "required": ["kind", *options.get("required", [])]})
    suite = RunConfig.model_json_schema()
    return {**suite, "$defs": {**suite["$defs"], "Dataset": {"oneOf": choices, "title": "Dataset"}}}


def _checked(source: Source, overrides: tuple[str, ...], base: Path) -> Suite:
    dataset, problems = _dataset(source, "dataset")
    reference, more = _dataset(source, "reference_set")
    problems += more
    try:
        config = validate(RunConfig, source)
        problems += [*_system_problems(config, source), *_metric_problems(config, source)]
    except ConfigError as error:
        raise ConfigError("\n".join([str(error), *problems])) from None
    if problems or dataset is None:
        raise ConfigError("\n".join(problems))
    return Suite(
        config.model_copy(update={"dataset": dataset, "reference_set": reference}), source.text, overrides, base
    )


def _dataset(source: Source, key: str) -> tuple[Dataset | None, list[str]]:
    """The data set under a key with the defaults of its kind filled in, or what is wrong with its options."""
    from emo_bench.data.sets.kind import build_dataset, dataset_kinds

    given = source.values.get(key)
    kind = given.get("kind") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(kind, str):
        return None, []  # told by the suite's own check
    if kind not in dataset_kinds:
        near = difflib.get_close_matches(kind, dataset_kinds.names(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of: {', '.join(dataset_kinds.names())}"
        return None, [f"{source.place((key, 'kind'))}: unknown kind {kind!r}; {hint}"]
    try:
        options = build_dataset(Dataset(**given), source=source, at=(key,)).options
    except ConfigError as error:
        return None, [str(error)]
    return Dataset(kind=kind, **options.model_dump(mode="json")), []


def _system_problems(config: RunConfig, source: Source) -> list[str]:
    from emo_bench.systems.system import build_system, systems

    problems = []
    for index, system in enumerate(config.systems):
        if system.kind not in systems:
            near = difflib.get_close_matches(system.kind, systems.names(), n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"expected one of: {', '.join(systems.names())}"
            problems.append(f"{source.place(('systems', index, 'kind'))}: unknown kind {system.kind!r}; {hint}")
            continue
        try:
            build_system(system, source=source, at=("systems", index))
        except ConfigError as error:
            problems.append(str(error))
    return problems


def _metric_problems(config: RunConfig, source: Source) -> list[str]:
    from emo_bench.extract.catalogue import metric_names

    known = metric_names()
    problems = []
    for index, name in enumerate(config.metrics):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean '{near[0]}'?" if near else "`emo-bench ls metrics` lists them"
            problems.append(f"{source.place(('metrics', index))}: unknown protocol {name!r}; {hint}")
    return problems
