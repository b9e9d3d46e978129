"""Splits of data sets as their papers' authors published them, and how they are written into a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from emo_bench.config.schema import Frozen
from emo_bench.config.shipped import shipped_folders
from emo_bench.data.carry_over import set_by
from emo_bench.data.manifest import read_manifest, write_manifest
from emo_bench.data.naming import name_key
from emo_core.errors import ConfigError, DataError

FILE = "published_splits.yaml"


class PublishedSplit(Frozen):
    """A list of clips.

    Attributes:
        name: By which it is asked for.
        dataset: Whose clips they are.
        list: Whether they were trained or tested on.
        source: Where the authors said so.
        length: How much of each clip they used, in words.
        clips: Names of clips; empty where only the length is public.
    """

    name: str
    dataset: str
    list: Literal["train", "test"]
    source: str
    length: str
    clips: tuple[str, ...] = Field(strict=False)


@dataclass(frozen=True)
class SplitReport:
    """What writing a split did.

    Attributes:
        manifest: Where it was written.
        listed: Clips of the manifest that the list names.
        others: Clips that it does not name.
        missing: Names of the list without a clip in the manifest.
    """

    manifest: Path
    listed: tuple[str, ...]
    others: tuple[str, ...]
    missing: tuple[str, ...]


def published_splits(path: Path | None = None) -> dict[str, PublishedSplit]:
    """All published splits by name.

    Args:
        path: Another file of the same form.

    Raises:
        DataError: when the file is wrong.
    """
    from emo_bench.config.load import read_yaml

    file = path or _own_file()
    try:
        found = TypeAdapter(tuple[PublishedSplit, ...]).validate_python(read_yaml(file).values.get("splits"))
    except ValidationError as error:
        raise DataError(f"{file} is no list of splits", found=str(error).splitlines()[0]) from None
    return {split.name: split for split in found}


def write_split(path: Path, name: str, *, output: Path | None = None) -> SplitReport:
    """Sets the split of every clip of a manifest by a published list; the clips that it does not name get the other.

    A clip is named by the list when its id is the name, or begins with it and '-' or '__', as clips cut from it do.

    Args:
        path: The manifest.
        name: Of the published split.
        output: New manifest in the same folder; the manifest itself when absent.

    Raises:
        ConfigError: when there is no such split, or only its length is public.
        DataError: when no clip of the manifest is named.
    """
    known = published_splits()
    if name not in known:
        raise ConfigError(f"no published split {name!r}", expected=", ".join(sorted(known)), found=name)
    split = known[name]
    if not split.clips:
        raise ConfigError(f"the clips of {name} are not public", expected="a split with clips", found=split.length)
    if output is not None and output.parent.resolve() != path.parent.resolve():
        raise ConfigError("the new manifest must lie beside the old one", expected=str(path.parent), found=str(output))
    manifest = read_manifest(path)
    wanted = {name_key(clip): clip for clip in split.clips}
    named = {entry.id: _named(entry.id, wanted) for entry in manifest.entries}
    if not any(named.values()):
        raise DataError(
            f"no clip of {path} is in {name}", expected=f"ids such as {split.clips[0]}",
            found=", ".join(entry.id for entry in manifest.entries[:5]),
        )  # fmt: skip
    other = "train" if split.list == "test" else "test"
    entries = [
        set_by(entry, "split", split.list if named[entry.id] else other, f"the published split {name}")
        for entry in manifest.entries
    ]
    write_manifest(output or path, entries)
    return SplitReport(
        manifest=output or path,
        listed=tuple(clip for clip, found in named.items() if found),
        others=tuple(clip for clip, found in named.items() if not found),
        missing=tuple(clip for clip in split.clips if clip not in set(named.values())),
    )


def _named(clip: str, wanted: dict[str, str]) -> str:
    """The name of the list that a clip has; empty when it has none."""
    key = name_key(clip)
    for mark in ("", "-", "__"):
        head = key if not mark else key.partition(mark)[0]
        if head in wanted:
            return wanted[head]
    return ""


def _own_file() -> Path:
    """In a checkout, or beside the installed package."""
    for place in shipped_folders("datasets"):
        if (place / FILE).is_file():
            return place / FILE
    raise DataError(f"{FILE} is not in this installation", expected="configs/datasets of the project")
