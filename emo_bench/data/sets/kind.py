"""What a kind of data set is: options in a suite file, and how its clips are opened or made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from emo_bench.config.load import KeyPath, Source, validate
from emo_bench.config.schema import Dataset, Frozen, RunConfig
from emo_bench.data.manifest import Manifest
from emo_core.registry import Registry

Progress = Callable[[int, int, str], None]
"""Called after each clip that is made: clips made, clips to make in total, and the id of the last one."""


@dataclass(frozen=True)
class OpenedDataset:
    """A test set ready to use.

    Attributes:
        manifest: The chosen clips.
        name: What reports call it.
        synthetic: Whether the clips are made by a program; reports then say so above every table.
    """

    manifest: Manifest
    name: str
    synthetic: bool


class DatasetKind(ABC):
    """A kind of data set; subclasses are registered by lazy name and must import quickly.

    Attributes:
        options_model: The keys that a suite file may give beside ``kind``.
    """

    options_model: ClassVar[type[Frozen]]

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def open(self, base: Path, *, progress: Progress | None = None) -> OpenedDataset:
        """Finds the clips, or makes them.

        Args:
            base: Folder of the suite file, from which relative paths start.
            progress: Told how far it is while clips are made.

        Raises:
            DataError: when the set is missing, wrong or has no such clips.
        """


dataset_kinds: Registry[type[DatasetKind]] = Registry("data set kind", entry_point_group="emo_bench.datasets")
for _kind, _target in {
    "manifest": "emo_bench.data.sets.manifest_set:ManifestSet",
    "hdtf-synth": "emo_bench.data.sets.synth_set:SynthSet",
    "reenacted": "emo_bench.data.sets.reenacted_set:ReenactedSet",
}.items():
    dataset_kinds.add(_kind, _target)


def build_dataset(dataset: Dataset, *, source: Source | None = None, at: KeyPath = ()) -> DatasetKind:
    """Checks the options of a suite's data set without touching any file.

    Raises:
        ConfigError: for an unknown kind or wrong options, with their place in the file.
    """
    kind = dataset_kinds.get(dataset.kind)
    options: BaseModel = validate(kind.options_model, source or Source(None, "", {}, {}), at=at, values=dataset.options)
    return kind(options)


def open_dataset(config: RunConfig, base: Path, *, progress: Progress | None = None) -> OpenedDataset:
    """Opens the data set of a suite; see ``DatasetKind.open``."""
    return build_dataset(config.dataset).open(base, progress=progress)
