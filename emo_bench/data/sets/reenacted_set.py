"""Re-enacted portraits as a data set of suites; reports label them as re-enacted."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from emo_bench.config.schema import Frozen
from emo_bench.data.manifest import read_manifest
from emo_bench.data.sets.kind import DatasetKind, OpenedDataset, Progress
from emo_bench.data.sets.manifest_set import opened
from emo_core.errors import DataError


class ReenactedOptions(Frozen):
    """Stills that move like filmed speakers (``emo-bench data make reenacted`` makes them)."""

    folder: str = Field(description="Folder of the set, relative to the suite file")
    split: str | None = Field(default=None, description="Use only clips of this split; all when absent")
    max_clips: int | None = Field(default=None, ge=1, description="Use at most this many clips, in order of id")


class ReenactedSet(DatasetKind):
    """Re-enacted clips that were made before."""

    options_model = ReenactedOptions
    options: ReenactedOptions

    def open(self, base: Path, *, progress: Progress | None = None) -> OpenedDataset:
        """Reads the manifest; see ``DatasetKind.open``.

        Raises:
            DataError: when there is no set, or its clips are not re-enacted.
        """
        del progress
        folder = base / self.options.folder
        path = folder / "manifest.jsonl"
        if not path.is_file():
            fix = f"emo-bench data make reenacted --portraits DIR --motion MANIFEST -o {self.options.folder}"
            raise DataError(f"no re-enacted set in {folder}", expected="manifest.jsonl", fix=fix)
        manifest = read_manifest(path).select(split=self.options.split, max_clips=self.options.max_clips)
        if not all(entry.meta.get("reenacted") for entry in manifest.entries):
            raise DataError(
                f"{path} lists clips that are not re-enacted", fix="name it as a data set of kind 'manifest'"
            )
        return opened(manifest, folder.resolve().name)
