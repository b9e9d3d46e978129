"""Data sets that are listed in a manifest."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from emo_bench.config.schema import Frozen
from emo_bench.data.manifest import read_manifest
from emo_bench.data.sets.kind import DatasetKind, OpenedDataset, Progress


class ManifestOptions(Frozen):
    """A test set listed in a manifest (``emo-bench data import`` makes one from a folder of videos)."""

    manifest: str = Field(description="Path of the JSONL manifest, relative to the suite file")
    split: str | None = Field(default=None, description="Use only clips of this split; all when absent")
    max_clips: int | None = Field(default=None, ge=1, description="Use only the first so many clips in order of id")


class ManifestSet(DatasetKind):
    """Clips that exist already."""

    options_model = ManifestOptions
    options: ManifestOptions

    def open(self, base: Path, *, progress: Progress | None = None) -> OpenedDataset:
        """Reads the manifest; see ``DatasetKind.open``."""
        del progress
        path = base / self.options.manifest
        manifest = read_manifest(path).select(split=self.options.split, max_clips=self.options.max_clips)
        synthetic = any(entry.truth is not None for entry in manifest.entries)
        return OpenedDataset(manifest, path.parent.resolve().name, synthetic)
