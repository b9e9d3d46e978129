"""The named set of real clips that protocols of whole sets compare with, where a suite names one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emo_bench.config.schema import REFERENCE_SET
from emo_bench.engine.unit import GROUND_TRUTH
from emo_bench.scoring.rows import FeatureReader
from emo_bench.scoring.values import SetSamples, set_samples

if TYPE_CHECKING:
    from emo_metrics.contract import SetMetric

PREFIX = f"{REFERENCE_SET}/"
"""Before the ids of its clips; no clip of a manifest may have a '/' in its id."""


@dataclass(frozen=True)
class ReferenceSet:
    """A reference set whose features are in the store.

    Attributes:
        name: What reports call it.
        reader: Reads its features; its ground truth is the set.
        identities: Clip id -> identity.
    """

    name: str
    reader: FeatureReader
    identities: Mapping[str, str]

    def samples(self, metric: SetMetric) -> SetSamples:
        """The samples of its clips, each name with ``PREFIX``."""
        own = set_samples(self.reader, metric, self.reader.units(GROUND_TRUTH))
        return SetSamples(
            {PREFIX + name: rows for name, rows in own.samples.items()},
            {PREFIX + name: why for name, why in own.missing.items()},
            {PREFIX + name: share for name, share in own.shares.items()},
        )

    def people(self) -> dict[str, str]:
        """As ``prefixed``."""
        return prefixed(self.identities)


def prefixed(identities: Mapping[str, str]) -> dict[str, str]:
    """Clip id with ``PREFIX`` -> identity; a label that the run's clips have too means the same person."""
    return {PREFIX + clip: identity for clip, identity in identities.items()}
