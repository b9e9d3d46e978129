"""HDTF-Synth as a data set of suites; made on first use, byte-identical everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from emo_bench.config.schema import Frozen
from emo_bench.data.manifest import read_manifest
from emo_bench.data.sets.kind import DatasetKind, OpenedDataset, Progress


class SynthOptions(Frozen):
    """HDTF-Synth, the embedded synthetic test set; made on first use, byte-identical everywhere."""

    slice: Literal["mini", "test", "validation", "train", "offsets"] = Field(default="mini", description="Which part")
    folder: str = Field(default="data/hdtf-synth", description="Where it is made, relative to the working folder")
    size: int = Field(default=128, ge=64, le=1024, multiple_of=4, description="Width and height in pixels")
    max_clips: int | None = Field(default=None, ge=1, description="Use at most this many clips, in order of id")


class SynthSet(DatasetKind):
    """Rendered portraits with labels for every frame."""

    options_model = SynthOptions
    options: SynthOptions

    def open(self, base: Path, *, progress: Progress | None = None) -> OpenedDataset:
        """Makes what is missing of the slice; see ``DatasetKind.open``."""
        del base
        from emo_bench.data.sets.hdtf_synth import make_hdtf_synth

        chosen = self.options
        folder = Path(chosen.folder) / chosen.slice
        make_hdtf_synth(folder, slice=chosen.slice, size=chosen.size, progress=progress)
        manifest = read_manifest(folder / "manifest.jsonl").select(max_clips=chosen.max_clips)
        return OpenedDataset(manifest, f"HDTF-Synth ({chosen.slice})", synthetic=True)
