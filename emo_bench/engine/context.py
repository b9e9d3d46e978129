"""What a process needs to work on a run: what to load, under which keys, and where everything lies."""

from __future__ import annotations

from collections.abc import Mapping

from emo_bench.data.manifest import Manifest, ManifestEntry
from emo_bench.engine.keys import Keys
from emo_bench.engine.loading import Loader
from emo_bench.engine.spec import RunSpec
from emo_bench.engine.unit import Unit
from emo_bench.extract.feature_store import FeatureStore
from emo_bench.systems.clip_store import ClipStore, Sidecar, StoredClip


class RunContext:
    """A ``RunSpec`` made usable in one process.

    Attributes:
        spec: The run as plain values.
        config: The suite.
        manifest: The chosen clips.
        entries: The same by id.
        loader: Systems, protocols and extractors.
        keys: Keys of clips and features.
        clips: Stored clips.
        features: Stored features.
    """

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.config = spec.config
        self.manifest = Manifest(spec.manifest_root, spec.entries)
        self.entries: Mapping[str, ManifestEntry] = {entry.id: entry for entry in self.manifest.entries}
        self.loader = Loader(spec)
        self.keys = Keys(spec.config, self.entries, self.loader)
        self.clips = ClipStore(spec.store)
        self.features = FeatureStore(spec.store)

    def stored_truth(self, clip: str) -> StoredClip | None:
        """The prepared ground truth of a clip, when it is there."""
        return self.clips.get(self.keys.truth(clip))

    def stored_clip(self, unit: Unit) -> StoredClip | None:
        """The clip of a unit, when it is there."""
        return self.clips.get(self.keys.clip(unit))

    def reference_index(self, clip: str, truth: Sidecar) -> int:
        """Position of the portrait among the frames of the prepared clip."""
        # A portrait index beyond a shortened clip falls back to the last frame; both are on the same timeline.
        return min(self.entries[clip].reference_frame, truth.n_frames - 1)

    def feature_keys(self, clip_id: str, clip: Sidecar, truth: Sidecar) -> dict[str, str]:
        """Key of every extractor's features for one stored clip beside its ground truth."""
        return self.keys.features(clip, truth, reference_frame=self.reference_index(clip_id, truth))
