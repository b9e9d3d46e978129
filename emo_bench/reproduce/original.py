"""What a record says of its making, checked against what is here, before any work."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo_bench.data.manifest import Manifest
from emo_bench.data.sets.kind import open_dataset
from emo_bench.engine.context import RunContext
from emo_bench.engine.spec import RunSpec
from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import config_digest
from emo_bench.runner.permission import refused_programs
from emo_bench.runner.reference_set import joint_digest, open_reference
from emo_bench.runner.suite import Suite, suite_from_values
from emo_core.errors import EmoBenchError, WeightsError, one_line
from emo_core.hashing import sha256_file


@dataclass(frozen=True)
class Original:
    """A record that is to be made again.

    Attributes:
        suite: The suite with all values of the record; None when it cannot be read by this version.
        problems: Why it cannot be made again, in sentences; empty when it can.
    """

    suite: Suite | None
    problems: tuple[str, ...]


def open_original(record: RunRecord, *, bases: Sequence[Path], allow_systems: Collection[str] = ()) -> Original:
    """Checks everything that can be known before any work: the record itself, its config, data, systems, weights.

    Args:
        record: What is to be made again.
        bases: Folders that the suite's relative paths may start from; the first in which the data set is found counts.
        allow_systems: Names of systems that may start the program that the record names.
    """
    problems = list(_inner_contradictions(record))
    if problems:
        return Original(None, tuple(problems))
    try:
        suite = suite_from_values(_values(record), base=_base(record, bases))
    except EmoBenchError as error:
        return Original(None, (f"This version does not take the config of the record: {one_line(error)}",))
    # Before anything else: even to look at a program's version is to start it.
    problems += refused_programs(suite, allow_systems, received=True)
    if problems:
        return Original(suite, tuple(problems))
    try:
        manifest = open_dataset(suite.config, suite.base).manifest
        reference = open_reference(suite)
    except EmoBenchError as error:
        return Original(suite, (f"The data set cannot be opened: {one_line(error)}",))
    problems += _data_problems(record, manifest, reference.manifest if reference else None)
    if not problems:
        context = RunContext(
            RunSpec(suite.config, suite.base, manifest.root, manifest.entries, Path(suite.config.store))
        )
        problems += [*_system_problems(record, context), *_weight_problems(record, context)]
    return Original(suite, tuple(problems))


FINDS = "reenacted"
"""The kind of set that is found in its folder and never made there by a run."""


def _values(record: RunRecord) -> dict[str, Any]:
    """The config of the record without places that belong to the run that made it."""
    values = {key: value for key, value in record.config.items() if key not in ("output", "store")}
    for name in ("dataset", "reference_set"):
        named = values.get(name)
        if isinstance(named, dict) and "folder" in named and named.get("kind") != FINDS and not _is_made(named):
            # A set that has to be made is made in this version's place, not wherever the record says.
            values[name] = {key: value for key, value in named.items() if key != "folder"}
    return values


def _is_made(dataset: dict[str, Any]) -> bool:
    """Whether a set that a program makes lies already where the record says."""
    return (Path(str(dataset["folder"])) / str(dataset.get("slice", "")) / "manifest.jsonl").is_file()


def _inner_contradictions(record: RunRecord) -> Iterator[str]:
    """Signs that a record was changed after it was written."""
    found = config_digest(record.config)
    if found != record.digests.config:
        yield (
            "The record contradicts itself: its config does not have the digest that it names "
            f"({found[:12]} instead of {record.digests.config[:12]}), so one of them was changed."
        )
    anchors = record.config.get("anchors", ())
    named = ["ground-truth", *(str(kind).replace("_", "-") for kind in anchors)]
    named += [system["name"] for system in record.config.get("systems", ())]
    listed = [system.name for system in record.systems]
    if sorted(named) != sorted(listed):
        yield f"The record contradicts itself: its config asks for {_names(named)}, it lists {_names(listed)}."
    strangers = {entry.system for entry in record.values} - set(listed)
    if strangers:
        yield f"The record contradicts itself: it has values of {_names(sorted(strangers))}, which it does not list."


def _names(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "nothing"


def _base(record: RunRecord, bases: Sequence[Path]) -> Path:
    """The first folder in which the record's manifest lies; the first of all when there is none."""
    dataset = record.config.get("dataset", {})
    manifest = dataset.get("manifest") if dataset.get("kind") == "manifest" else None
    if dataset.get("kind") == FINDS and "folder" in dataset:
        manifest = f"{dataset['folder']}/manifest.jsonl"
    if manifest is not None:
        for base in bases:
            if (base / manifest).is_file():
                return base
    return bases[0]


def _data_problems(record: RunRecord, manifest: Manifest, reference: Manifest | None) -> Iterator[str]:
    found = joint_digest(manifest, reference.digest if reference else None)
    if found != record.digests.dataset:
        yield (
            f"The data set is another one: the record was made on {record.digests.dataset[:12]} "
            f"({len(record.clips)} clips), {manifest.root} is {found[:12]} ({len(manifest.entries)} clips)."
        )
        return
    yield from _file_problems(manifest)
    if reference is not None:
        yield from _file_problems(reference)


def _file_problems(manifest: Manifest) -> Iterator[str]:
    for entry in manifest.entries:
        for kind, relative in entry.files.items():
            path = manifest.path(relative)
            if not path.is_file():
                yield f"The {kind} of clip {entry.id!r} is missing: {relative}."
            elif sha256_file(path) != entry.sha256[kind]:
                yield f"The {kind} of clip {entry.id!r} is not the file of the manifest: {relative}."


def _system_problems(record: RunRecord, context: RunContext) -> Iterator[str]:
    for system in record.systems:
        try:
            found = _digest_of_system(context, system.name)
        except EmoBenchError as error:
            yield f"System {system.name!r} cannot be built: {one_line(error)}"
            continue
        if found != system.digest:
            yield (
                f"System {system.name!r} is another one ({found[:12]} instead of {system.digest[:12]}): its weights, "
                "its options or the version of its code changed."
            )


def _digest_of_system(context: RunContext, name: str) -> str:
    from emo_bench.systems.system import system_digest

    return system_digest(
        context.loader.suite_systems[name], context.loader.systems[name], context.loader.system_context
    )


def _weight_problems(record: RunRecord, context: RunContext) -> Iterator[str]:
    """Protocols that were computed and cannot be computed with the same weights here."""
    for protocol in record.protocols:
        if protocol.status != "ok":
            continue
        here = context.loader.availability.get(protocol.name)
        if here is None:
            yield f"The record contradicts itself: protocol {protocol.name} is not in its config."
        elif not here.ok:
            yield f"Protocol {protocol.name} cannot be computed: {'; '.join(here.reason.split(chr(10)))}"
        else:
            for weights in protocol.weights:
                pinned = _pinned(context, weights.file)
                if pinned != weights.sha256:
                    yield (
                        f"Protocol {protocol.name} used {weights.file} {weights.sha256[:12]}; this version pins "
                        f"{pinned[:12] or 'nothing'}."
                    )


def _pinned(context: RunContext, file: str) -> str:
    """The digest that this version asks of a file; empty when it does not know the file."""
    try:
        finder = context.loader.finder
        return (finder.serving(file) if finder.entry(file).own else finder.entry(file)).sha256 or ""
    except WeightsError:
        return ""
