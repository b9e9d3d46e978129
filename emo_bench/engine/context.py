"""What a process needs to work on a run; made from plain values, so that any worker on any machine can make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from emo_bench.config.schema import RunConfig, System
from emo_bench.data.manifest import Manifest, ManifestEntry
from emo_bench.extract.catalogue import (
    extractor_digest,
    extractors,
    feature_key,
    load_catalogues,
    metrics,
    needed_extractors,
)
from emo_bench.extract.feature_store import FeatureStore
from emo_bench.extract.single_pass import in_order
from emo_bench.extract.weights import WeightsFinder
from emo_bench.systems.clip_store import ClipStore, Sidecar
from emo_bench.systems.system import SystemContext, SystemKind, build_system, system_digest
from emo_core.errors import EmoBenchError, WeightsError
from emo_core.hashing import digest_of
from emo_core.rng import derive_seed

if TYPE_CHECKING:
    from emo_metrics.contract import Extractor, Metric

PREPARATION_VERSION = 1
"""Raised whenever the same source file could give other ground-truth frames or samples."""


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


@dataclass(frozen=True)
class Availability:
    """Whether a protocol can be computed here, and why not."""

    protocol: str
    ok: bool
    reason: str = ""


class RunContext:
    """A ``RunSpec`` with its stores, systems and extractors; networks are loaded when first used."""

    def __init__(self, spec: RunSpec) -> None:
        load_catalogues()
        self.spec = spec
        self.config = spec.config
        self.manifest = Manifest(spec.manifest_root, spec.entries)
        self.entries: Mapping[str, ManifestEntry] = {entry.id: entry for entry in self.manifest.entries}
        self.clips = ClipStore(spec.store)
        self.features = FeatureStore(spec.store)
        self.finder = WeightsFinder(
            folders=tuple(spec.base / folder for folder in spec.config.weights.folders),
            policy=spec.config.weights.licence_policy,
        )
        self.system_context = SystemContext(device=spec.config.execution.device, weights=self.finder, base=spec.base)
        self.systems: Mapping[str, System] = {system.name: system for system in spec.config.all_systems()}
        self._loaded: set[str] = set()

    @cached_property
    def kinds(self) -> Mapping[str, SystemKind]:
        """Each system by name, its options checked."""
        return {name: build_system(system) for name, system in self.systems.items()}

    @cached_property
    def system_digests(self) -> Mapping[str, str]:
        """Identity of each system by name."""
        return {
            name: system_digest(system, self.kinds[name], self.system_context) for name, system in self.systems.items()
        }

    def loaded(self, name: str) -> SystemKind:
        """The system with its networks loaded."""
        kind = self.kinds[name]
        if name not in self._loaded:
            kind.load(self.system_context)
            self._loaded.add(name)
        return kind

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """The seeds that a system is run with: all, or only the first when it has no randomness."""
        return self.config.seeds if self.kinds[name].uses_seed else self.config.seeds[:1]

    @cached_property
    def protocols(self) -> Mapping[str, type[Metric]]:
        """The suite's protocols in its order."""
        return {name: metrics.get(name) for name in self.config.metrics}

    @cached_property
    def availability(self) -> Mapping[str, Availability]:
        """Whether each protocol has its weights; files are hashed here."""
        return {name: self._available(name, metric) for name, metric in self.protocols.items()}

    def _available(self, name: str, metric: type[Metric]) -> Availability:
        try:
            for kind in needed_extractors([metric]).values():
                for file in kind.weights:
                    self.finder.require(file)
        except WeightsError as error:
            return Availability(name, ok=False, reason=str(error))
        return Availability(name, ok=True)

    @cached_property
    def extractor_kinds(self) -> Mapping[str, type[Extractor]]:
        """Every extractor of an available protocol, requirements before those who need them."""
        usable = [metric for name, metric in self.protocols.items() if self.availability[name].ok]
        kinds = needed_extractors(usable)
        return {name: kinds[name] for name in in_order(kinds)}

    @cached_property
    def extractor_digests(self) -> Mapping[str, str]:
        """Identity of each extractor."""
        return {name: extractor_digest(kind, self.finder) for name, kind in self.extractor_kinds.items()}

    @cached_property
    def _extractors(self) -> dict[str, Extractor]:
        return {}

    def extractor(self, name: str) -> Extractor:
        """The extractor, its weights verified and loaded once per process."""
        if name not in self._extractors:
            kind = extractors.get(name)
            paths = {file: self.finder.require(file) for file in kind.weights}
            self._extractors[name] = kind(paths, device=self.config.execution.device)
        return self._extractors[name]

    def truth_key(self, clip: str) -> str:
        """Key of a clip's ground truth in the clip store: source bytes, media rule, version of the preparation."""
        entry = self.entries[clip]
        return digest_of(
            {
                "what": "ground truth",
                "version": PREPARATION_VERSION,
                "source": {name: entry.sha256.get(name) for name in ("video", "audio")},
                "media": self.config.media.model_dump(mode="json"),
            }
        )

    def clip_key(self, system: str, clip: str, seed: int, *, partner: str | None) -> str:
        """Key of a generated clip: everything that its frames depend on."""
        if self.systems[system].kind == "ground_truth":
            return self.truth_key(clip)
        kind = self.kinds[system]
        entry = self.entries[clip]
        return digest_of(
            {
                "system": self.system_digests[system],
                "clip": kind.clip_dependencies(clip, self.system_context),
                "truth": self.truth_key(clip),
                "reference_frame": entry.reference_frame,
                "face_box": entry.face_box,
                "partner": self.truth_key(partner) if partner else None,
                "seed": self.clip_seed(system, clip, seed) if kind.uses_seed else None,
            }
        )

    def clip_seed(self, system: str, clip: str, seed: int) -> int:
        """The seed that a system gets for a clip; the same for all systems, so that comparisons are paired."""
        del system
        return derive_seed(seed, "generate", clip)

    def feature_keys(self, clip: Sidecar, truth: Sidecar, *, reference_frame: int) -> dict[str, str]:
        """Key of every extractor's features for a clip."""
        return {
            name: feature_key(
                kind,
                digest=self.extractor_digests[name],
                clip={"video": clip.video_sha256, "audio": clip.audio_sha256},
                truth={"video": truth.video_sha256, "audio": truth.audio_sha256},
                reference_frame=reference_frame,
            )
            for name, kind in self.extractor_kinds.items()
        }


def check_before_work(context: RunContext) -> list[Availability]:
    """Everything that can be found out before any work: systems complete, protocols available.

    Returns:
        The protocols that cannot be computed here, with reasons.

    Raises:
        EmoBenchError: when a system lacks something it needs.
    """
    problems = []
    for name in context.systems:
        try:
            _ = system_digest(context.systems[name], context.kinds[name], context.system_context)
        except EmoBenchError as error:
            problems.append(f"system {name!r}: {error}")
    if problems:
        raise EmoBenchError("\n".join(problems))
    return [entry for entry in context.availability.values() if not entry.ok]
