"""What a run is made of: units of work, and their outcomes; plain values that travel between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emo_bench.extract.feature_store import FAULT
from emo_bench.systems.clip_store import Sidecar

GROUND_TRUTH = "ground-truth"
"""Name of the system that plays the reference clips."""


@dataclass(frozen=True, order=True)
class Unit:
    """One clip of one system with one seed.

    Attributes:
        system: Name of the system.
        clip: Id of the clip.
        seed: One of the suite's seeds.
        partner: The other clip that the system gets, if any.
    """

    system: str
    clip: str
    seed: int
    partner: str | None = None

    @property
    def stage(self) -> str:
        """'prepare' for the ground truth, 'generate' for everything else."""
        return "prepare" if self.system == GROUND_TRUTH else "generate"


@dataclass(frozen=True)
class Outcome:
    """What became of a unit.

    Attributes:
        unit: The unit.
        clip: Sidecar of the stored clip; None when there is none.
        code: 'ok' or the status word of the failure.
        reason: One sentence when it failed.
        stage: Where it failed: 'prepare', 'generate' or 'extract'.
        features: Status and reason of each extractor that was run or found.
        seconds: Seconds spent, by stage.
        computed: Parts (clip and features) that were made now.
        reused: Parts that were there already.
        damaged: Names of stored files that were found damaged and made again.
    """

    unit: Unit
    clip: Sidecar | None = None
    code: str = "ok"
    reason: str = ""
    stage: str = ""
    features: Mapping[str, tuple[str, str]] | None = None
    seconds: Mapping[str, float] | None = None
    computed: int = 0
    reused: int = 0
    damaged: tuple[str, ...] = ()

    def new_faults(self, told: set[tuple[str, str]]) -> list[str]:
        """A sentence for each extractor that failed for a reason that is not yet in ``told``, where it is added."""
        faults = [(name, reason) for name, (status, reason) in (self.features or {}).items() if status == FAULT]
        new = [fault for fault in faults if fault not in told]
        told.update(new)
        clip = f"{self.unit.system} / {self.unit.clip}"
        return [f"{clip}: {name} failed; what needs it has no value there: {reason}" for name, reason in new]
