"""From the ``dataset`` part of a suite to a manifest; the embedded set is made on first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emo_bench.config.schema import ManifestDataset, RunConfig
from emo_bench.data.manifest import Manifest, read_manifest

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class OpenedDataset:
    """A test set ready to use.

    Attributes:
        manifest: The chosen clips.
        name: What reports call it.
        synthetic: Whether the clips are made by a program.
    """

    manifest: Manifest
    name: str
    synthetic: bool


def open_dataset(config: RunConfig, base: Path, *, progress: Progress | None = None) -> OpenedDataset:
    """Finds (or makes) the suite's clips.

    Args:
        config: The suite.
        base: Folder of the suite file; a manifest's path starts there.
        progress: Told (done, total, text) while a synthetic set is made.

    Raises:
        DataError: when the manifest is missing, wrong or has no such clips.
    """
    dataset = config.dataset
    if isinstance(dataset, ManifestDataset):
        path = base / dataset.manifest
        manifest = read_manifest(path).select(split=dataset.split, max_clips=dataset.max_clips)
        synthetic = any(entry.truth is not None for entry in manifest.entries)
        return OpenedDataset(manifest, f"{path.parent.resolve().name}", synthetic)
    from emo_bench.data.sets.hdtf_synth import make_hdtf_synth

    folder = Path(dataset.folder) / dataset.slice
    make_hdtf_synth(folder, slice=dataset.slice, size=dataset.size, progress=progress)
    manifest = read_manifest(folder / "manifest.jsonl").select(max_clips=dataset.max_clips)
    return OpenedDataset(manifest, f"HDTF-Synth ({dataset.slice})", synthetic=True)
