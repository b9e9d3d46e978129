"""What a run is made of: units of work, and their outcomes; plain values that travel between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emo_bench.systems.clip_store import Sidecar

GROUND_TRUTH = "ground-truth"
"""Name of the system that plays the reference clips."""

UNUSABLE = "error"
"""Status of an extractor that could not be loaded, the word for any other failure of code; never stored."""


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

    def newly_unusable(self, told: set[str]) -> list[str]:
        """A sentence for each extractor that cannot be loaded and is not yet in ``told``, where it is added."""
        found = {name: reason for name, (status, reason) in (self.features or {}).items() if status == UNUSABLE}
        new = {name: reason for name, reason in found.items() if name not in told}
        told.update(new)
        return [f"cannot use {name}; what needs it has no values: {reason}" for name, reason in new.items()]


def one_line(error: BaseException) -> str:
    """The text of an error as one line of at most 600 characters."""
    parts = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(parts)[:600]
