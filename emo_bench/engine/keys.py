"""Keys of clips and features: SHA-256 of everything that a value depends on, so that nothing is computed twice."""

from __future__ import annotations

from collections.abc import Mapping

from emo_bench.config.schema import RunConfig
from emo_bench.data.manifest import ManifestEntry
from emo_bench.engine.loading import Loader
from emo_bench.engine.unit import Unit
from emo_bench.extract.catalogue import feature_key
from emo_bench.systems.clip_store import Sidecar
from emo_core.hashing import digest_of
from emo_core.rng import derive_seed

PREPARATION_VERSION = 2
"""Raised whenever the same source file could give other ground-truth frames or samples."""


def _source(entry: ManifestEntry) -> dict[str, str | None]:
    """Digests of what a clip is prepared from."""
    return {name: entry.listed.get(name) for name in ("portrait" if entry.wild else "video", "audio")}


class Keys:
    """Makes the keys of a run; pure functions of the suite, the manifest and the digests of systems and extractors."""

    def __init__(self, config: RunConfig, entries: Mapping[str, ManifestEntry], loader: Loader) -> None:
        self._config = config
        self._entries = entries
        self._loader = loader

    def truth(self, clip: str) -> str:
        """Key of a clip's ground truth in the clip store: source bytes, media rule, version of the preparation."""
        entry = self._entries[clip]
        return digest_of(
            {
                "what": "ground truth",
                "version": PREPARATION_VERSION,
                "source": _source(entry),
                "media": self._config.media.model_dump(mode="json"),
            }
        )

    def clip(self, unit: Unit) -> str:
        """Key of a unit's clip: everything that its frames depend on."""
        if self._loader.suite_systems[unit.system].kind == "ground_truth":
            return self.truth(unit.clip)
        system = self._loader.systems[unit.system]
        entry = self._entries[unit.clip]
        return digest_of(
            {
                "system": self._loader.system_digests[unit.system],
                "clip": system.clip_dependencies(unit.clip, self._loader.system_context),
                "truth": self.truth(unit.clip),
                "reference_frame": entry.reference_frame_at(self._config.media.rate),
                "face_box": entry.face_box,
                "partner": self.truth(unit.partner) if unit.partner else None,
                "seed": self.seed(unit) if self._loader.takes_seed(unit.system) else None,
            }
        )

    def seed(self, unit: Unit) -> int:
        """The seed that a system gets for a clip; the same for all systems, so that comparisons are paired."""
        return derive_seed(unit.seed, "generate", unit.clip)

    def features(self, clip: Sidecar, truth: Sidecar, *, reference_frame: int) -> dict[str, str]:
        """Key of every extractor's features for a clip."""
        return {
            name: feature_key(
                kind,
                digest=self._loader.extractor_digests[name],
                clip={"video": clip.video_sha256, "audio": clip.audio_sha256},
                truth={"video": truth.video_sha256, "audio": truth.audio_sha256},
                reference_frame=reference_frame,
            )
            for name, kind in self._loader.extractor_kinds.items()
        }
