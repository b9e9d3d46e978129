"""A run as plain values, so that any worker on any machine can rebuild what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emo_bench.config.schema import RunConfig
from emo_bench.data.manifest import ManifestEntry


@dataclass(frozen=True)
class RunSpec:
    """A run as plain values.

    Attributes:
        config: The suite.
        base: Folder of the suite file; relative paths in it start there.
        manifest_root: Folder of the manifest.
        entries: The chosen clips.
        store: Folder of clips and features.
    """

    config: RunConfig
    base: Path
    manifest_root: Path
    entries: tuple[ManifestEntry, ...]
    store: Path
