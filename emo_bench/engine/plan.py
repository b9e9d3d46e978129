"""What a run will do: its units, which of them are done already, and how long and large the rest will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emo_bench.data.manifest import Manifest, ManifestEntry
from emo_bench.engine.context import RunContext
from emo_bench.engine.disk import forecast_bytes
from emo_bench.engine.unit import GROUND_TRUTH, Unit
from emo_bench.engine.units import is_done

SECONDS_PER_UNIT = 8.0
"""For a clip of a few seconds on one core, used before anything was measured on this machine."""


@dataclass(frozen=True)
class Forecast:
    """A forecast of the work.

    Attributes:
        units: Units by system: (all, done already).
        seconds: Rough time of the rest.
        bytes: Rough disk space of the rest.
        bytes_by_system: The same by system, with features and previews.
        basis: What the figures rest on.
    """

    units: Mapping[str, tuple[int, int]]
    seconds: float
    bytes: int
    bytes_by_system: Mapping[str, int]
    basis: str

    def beside(self, other: Forecast, *, name: str) -> Forecast:
        """This work and other work that is counted under one name."""
        counts = zip(*other.units.values(), strict=True)
        total, done = (sum(values) for values in counts)
        return Forecast(
            {**self.units, name: (total, done)},
            self.seconds + other.seconds,
            self.bytes + other.bytes,
            {**self.bytes_by_system, name: other.bytes},
            self.basis,
        )


def truth_units(context: RunContext) -> list[Unit]:
    """One unit per clip: its preparation as ground truth."""
    seed = context.config.seeds[0]
    return [Unit(GROUND_TRUTH, clip, seed) for clip in sorted(context.entries)]


def other_units(context: RunContext, partners: Manifest | None = None) -> list[Unit]:
    """Everything after preparation.

    Args:
        context: The run.
        partners: Clips that may serve as another clip's partner (those whose preparation worked); all when absent.
    """
    given = partners or context.manifest
    pool = Manifest(given.root, [entry for entry in given.entries if not entry.wild])
    units = []
    for system in context.loader.suite_systems:
        if system == GROUND_TRUTH:
            continue
        rule = context.loader.systems[system].partner
        for clip in (name for name in sorted(context.entries) if context.applies(system, name)):
            partner = None if rule == "none" else partner_of(clip, context.manifest, pool, rule)
            units += [Unit(system, clip, seed, partner) for seed in context.loader.seeds_of(system)]
    return units


def partner_of(clip: str, manifest: Manifest, pool: Manifest, rule: str) -> str | None:
    """The next clip of another identity in the order of ids, going round; for 'other_clip' any other one will do.

    Clips that are known to hold the same speech are passed over: with their audio or their mouths nothing would be
    wrong. The choice depends on the manifest alone, so that every run of the suite makes the same anchors.
    """
    identities = {entry.id: entry.identity for entry in manifest.entries}
    own = next(entry for entry in manifest.entries if entry.id == clip)
    candidates = [entry.id for entry in pool.entries if entry.id != clip and not _same_speech(entry, own)]
    after = [name for name in candidates if name > clip] + [name for name in candidates if name < clip]
    strangers = [name for name in after if identities[name] != identities[clip]]
    if strangers:
        return strangers[0]
    return after[0] if after and rule == "other_clip" else None


def _same_speech(one: ManifestEntry, other: ManifestEntry) -> bool:
    """Whether two clips have one audio file, or were re-enacted from parts of one video that overlap."""
    if one.audio is not None and other.audio is not None:
        return one.sha256["audio"] == other.sha256["audio"]
    if not one.meta.get("reenacted") or one.meta.get("driver") != other.meta.get("driver"):
        return False
    (start, end), (begin, stop) = (entry.meta.get("driver_frames", (0, 1)) for entry in (one, other))
    return bool(start < stop and begin < end)


def forecast(context: RunContext) -> Forecast:
    """Counts units, looks up which are done, and estimates the rest from clips made on this machine."""
    units = [*truth_units(context), *other_units(context)]
    done = [unit for unit in units if is_done(context, unit)]
    finished = set(done)
    counts: dict[str, tuple[int, int]] = {}
    for unit in units:
        total, before = counts.get(unit.system, (0, 0))
        counts[unit.system] = (total + 1, before + int(unit in finished))
    seconds = [clip.sidecar.seconds for unit in done if (clip := context.stored_clip(unit)) is not None]
    if len(seconds) >= 3:
        # Feature extraction is not in the sidecar's time; it takes about as long again.
        each_seconds = 2 * sum(seconds) / len(seconds)
        basis = f"{len(seconds)} clips of this suite made on this machine"
    else:
        each_seconds = SECONDS_PER_UNIT
        basis = "typical figures for clips of a few seconds; not measured on this machine"
    by_system = forecast_bytes(context, units, done)
    workers = context.config.execution.workers
    rest = (len(units) - len(done)) * each_seconds / workers
    return Forecast(counts, rest, sum(by_system.values()), by_system, basis)
