"""Data sets that are listed in a manifest."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from emo_bench.config.schema import Frozen
from emo_bench.data.manifest import Manifest, read_manifest
from emo_bench.data.sets.kind import DatasetKind, OpenedDataset, Progress


class ManifestOptions(Frozen):
    """A test set listed in a manifest (``emo-bench data import`` makes one from a folder of videos)."""

    manifest: str = Field(description="Path of the JSONL manifest, relative to the suite file")
    split: str | None = Field(default=None, description="Use only clips of this split; all when absent")
    max_clips: int | None = Field(default=None, ge=1, description="Use at most this many clips, in order of id")


class ManifestSet(DatasetKind):
    """Clips that exist already."""

    options_model = ManifestOptions
    options: ManifestOptions

    def open(self, base: Path, *, progress: Progress | None = None) -> OpenedDataset:
        """Reads the manifest; see ``DatasetKind.open``."""
        del progress
        path = base / self.options.manifest
        manifest = read_manifest(path).select(split=self.options.split, max_clips=self.options.max_clips)
        return opened(manifest, path.parent.resolve().name)


def opened(manifest: Manifest, name: str) -> OpenedDataset:
    """A set; its name says so when clips are re-enacted, and it is synthetic when any clip is."""
    reenacted = any(entry.meta.get("reenacted") for entry in manifest.entries)
    synthetic = reenacted or any(entry.truth is not None for entry in manifest.entries)
    return OpenedDataset(manifest, f"{name} (re-enacted)" if reenacted else name, synthetic)
