"""Prepares a suite's reference set: a small run of its own with the ground truth alone, in the same store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from emo_bench.config.schema import REFERENCE_SET, RunConfig
from emo_bench.data.manifest import Manifest
from emo_bench.data.sets.kind import OpenedDataset, Progress, build_dataset
from emo_bench.engine.context import RunContext
from emo_bench.engine.plan import truth_units
from emo_bench.engine.spec import RunSpec
from emo_bench.engine.unit import Outcome, Unit
from emo_bench.extract.catalogue import load_catalogues, metrics
from emo_bench.record.schema import FailureEntry, ReferenceSetEntry
from emo_bench.runner.suite import Suite
from emo_bench.scoring.reference_set import ReferenceSet
from emo_bench.scoring.rows import FeatureReader
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import digest_of

Stage = Callable[[RunContext, Sequence[Unit]], list[Outcome]]
"""Does units of a context and returns what became of them."""


@dataclass(frozen=True)
class PreparedReference:
    """A reference set after its features were made.

    Attributes:
        entry: What the record says of it.
        scoring: What protocols of sets compare with.
        failures: Its clips that could not be read or measured.
        outcomes: What became of its units.
    """

    entry: ReferenceSetEntry
    scoring: ReferenceSet
    failures: tuple[FailureEntry, ...]
    outcomes: tuple[Outcome, ...]


def open_reference(suite: Suite, *, progress: Progress | None = None) -> OpenedDataset | None:
    """The set that the suite names; None when it names none.

    Raises:
        ConfigError: when no protocol of the suite compares sets.
        DataError: when the set is missing or has portraits among its clips.
    """
    named = suite.config.reference_set
    if named is None:
        return None
    if not _set_protocols(suite.config):
        raise ConfigError(
            "the suite names a reference_set that no protocol uses",
            expected="a protocol that compares sets, such as FID or FVD",
            found=", ".join(suite.config.metrics),
            fix="add one, or remove reference_set",
        )
    opened = build_dataset(named).open(suite.base, progress=progress)
    wild = [entry.id for entry in opened.manifest.entries if entry.wild]
    if wild:
        raise DataError(
            "the reference set has clips without a video", expected="real videos", found=", ".join(wild[:5]),
            fix="name another manifest under reference_set",
        )  # fmt: skip
    return opened


def joint_digest(manifest: Manifest, reference: str | None) -> str:
    """Identity of all data of a run: its clips, and the digest of the reference set that values depend on as well."""
    return manifest.digest if reference is None else digest_of([manifest.digest, reference])


def reference_context(suite: Suite, opened: OpenedDataset, context: RunContext) -> RunContext:
    """The run that prepares the set: no systems, no anchors, the protocols of sets."""
    update = {"systems": (), "anchors": (), "metrics": _set_protocols(suite.config), "reference_set": None}
    return RunContext(
        RunSpec(
            config=suite.config.model_copy(update=update),
            base=suite.base,
            manifest_root=opened.manifest.root,
            entries=opened.manifest.entries,
            store=context.spec.store,
        )
    )


def prepare_reference(suite: Suite, opened: OpenedDataset, context: RunContext, stage: Stage) -> PreparedReference:
    """Prepares and measures the clips of the set; what lies in the store is not made again."""
    own = reference_context(suite, opened, context)
    outcomes = stage(own, truth_units(own))
    people = {entry.id: entry.identity for entry in opened.manifest.entries}
    failures = tuple(failure for outcome in outcomes for failure in _failures(outcome))
    usable = sum(outcome.code == "ok" for outcome in outcomes)
    return PreparedReference(
        entry=ReferenceSetEntry(
            name=opened.name,
            digest=opened.manifest.digest,
            n_clips=usable,
            n_identities=len(set(people.values())),
            synthetic=opened.synthetic,
            people=people,
        ),
        scoring=ReferenceSet(opened.name, FeatureReader(own, outcomes), people),
        failures=failures,
        outcomes=tuple(outcomes),
    )


def _failures(outcome: Outcome) -> Iterator[FailureEntry]:
    common = {"system": REFERENCE_SET, "clip": outcome.unit.clip, "seed": outcome.unit.seed}
    if outcome.code != "ok":
        stage = "extract" if outcome.stage == "extract" else "prepare"
        yield FailureEntry.model_validate({**common, "stage": stage, "code": outcome.code, "reason": outcome.reason})
    for extractor, (status, reason) in (outcome.features or {}).items():
        if status != "ok":
            part = {"stage": "extract", "part": extractor, "code": status, "reason": reason}
            yield FailureEntry.model_validate({**common, **part})


def _set_protocols(config: RunConfig) -> tuple[str, ...]:
    load_catalogues()
    return tuple(name for name in config.metrics if metrics.get(name).spec.granularity.value == "set")
