"""What a process needs to work on a run: what to load, under which keys, and where everything is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from emo_bench.data.manifest import Manifest, ManifestEntry
from emo_bench.engine.keys import Keys
from emo_bench.engine.loading import Loader
from emo_bench.engine.spec import RunSpec
from emo_bench.engine.unit import GROUND_TRUTH, Unit
from emo_bench.extract.catalogue import reads_truth
from emo_bench.extract.feature_store import FeatureStore
from emo_bench.media.recipe import object_of
from emo_bench.media.types import FrameArray
from emo_bench.systems.clip_store import ClipStore, Sidecar, StoredClip
from emo_bench.systems.earlier_store import adopt

K = TypeVar("K")
V = TypeVar("V")


class LastFew(Generic[K, V]):
    """Holds the values that were made last.

    >>> held = LastFew(1)
    >>> held.get("a", lambda: 1), held.get("a", lambda: 2), held.get("b", lambda: 3), held.get("a", lambda: 4)
    (1, 1, 3, 4)
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[K, V] = {}

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made when it is not held."""
        if key not in self._held:
            value = make()
            while len(self._held) >= self._size:
                del self._held[next(iter(self._held))]
            self._held[key] = value
        return self._held[key]


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
        portraits: Reference frames that were read last.
        told: Faults of extractors that the user was told of, each with its reason.
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
        self.portraits: LastFew[tuple[str, int], FrameArray] = LastFew(4)
        self.told: set[tuple[str, str]] = set()

    def applies(self, system: str, clip: str) -> bool:
        """Whether a system can be asked for a clip: one that works on the ground truth cannot where there is none."""
        if not self.entries[clip].wild:
            return True
        kind = self.loader.systems[system]
        return not kind.needs_driving and (kind.partner == "none" or any(not e.wild for e in self.manifest.entries))

    def has_features(self, unit: Unit) -> bool:
        """Whether anything is measured on a unit's clip; not on the portrait that stands in for a ground truth."""
        return unit.system != GROUND_TRUTH or not self.entries[unit.clip].wild

    def stored_truth(self, clip: str) -> StoredClip | None:
        """The prepared ground truth of a clip, or the still portrait of a wild one, when it is there."""
        return self.clips.get(self.keys.truth(clip))

    def stored_clip(self, unit: Unit) -> StoredClip | None:
        """The clip of a unit, when it is there; one of the store's earlier layout is taken over.

        Anchors and finished videos are made anew instead: that costs little and needs less space.
        """
        key = self.keys.clip(unit)
        stored = self.clips.get(key)
        system = self.loader.systems[unit.system]
        if stored is None and not system.anchor and not system.files_last:
            return adopt(self.clips, key)
        return stored

    def is_shown(self, unit: Unit) -> bool:
        """Whether the report shows a watchable copy of the unit's clip; never a portrait in a ground truth's place."""
        report = self.config.report
        shown = sorted(self.entries)[: report.max_preview_clips] if report.previews else []
        return unit.clip in shown and unit.seed == self.config.seeds[0] and self.has_features(unit)

    def let_go(self, unit: Unit, clip: Sidecar) -> None:
        """Deletes a unit's frames when the suite says so and nothing else needs them."""
        if self.loader.suite_systems[unit.system].store != "features-only":
            return
        truths = [self.stored_truth(name) for name in (unit.clip, unit.partner) if name]
        kept = [self.clips.get(self.keys.clip(other)) for other in self._kept_beside(unit)]
        shared = {object_of(stored.sidecar.frames) for stored in (*truths, *kept) if stored}
        self.clips.let_go(StoredClip(self.clips.path(clip.key), clip), shared=shared)

    def _kept_beside(self, unit: Unit) -> list[Unit]:
        """Units of the same clip whose frames stay; they may be equal, as those of two seeds often are."""
        units = [
            Unit(system, unit.clip, seed)
            for system, named in self.loader.systems.items()
            if named.partner == "none" and self.applies(system, unit.clip)
            for seed in self.loader.seeds_of(system)
        ]
        return [
            other
            for other in units
            if self.loader.suite_systems[other.system].store != "features-only" or self.is_shown(other)
        ]

    def reference_index(self, clip: str, truth: Sidecar) -> int:
        """Position of the portrait among the frames of the prepared clip."""
        # A portrait index beyond a shortened clip falls back to the last frame; both are on the same timeline.
        wanted = self.entries[clip].reference_frame_at(self.config.media.rate)
        return min(wanted, truth.n_frames - 1)

    def feature_keys(self, clip_id: str, clip: Sidecar, truth: Sidecar) -> dict[str, str]:
        """Key of the features of one stored clip beside its ground truth, for every extractor that can work on it."""
        keys = self.keys.features(clip, truth, reference_frame=self.reference_index(clip_id, truth))
        if not self.entries[clip_id].wild:
            return keys
        return {name: key for name, key in keys.items() if not reads_truth(self.loader.extractor_kinds[name])}
