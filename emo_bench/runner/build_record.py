"""Puts together the record of a run from its plan, its outcomes and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from emo_bench.config.schema import Execution
from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import GROUND_TRUTH, Outcome, Unit
from emo_bench.extract.catalogue import needed_extractors
from emo_bench.record.provenance import provenance
from emo_bench.record.schema import (
    ClipEntry,
    Counts,
    Digests,
    FailureEntry,
    NoteEntry,
    ProtocolEntry,
    RunRecord,
    SystemEntry,
    Timings,
    ValueDescription,
    WeightsEntry,
)
from emo_bench.record.seal import config_digest
from emo_bench.runner.clip_facts import plain_meta
from emo_bench.runner.reference_set import PreparedReference, joint_digest
from emo_bench.scoring.evaluate import Evaluation

RunStatus = Literal["complete", "incomplete", "cancelled"]


def build_record(
    context: RunContext,
    *,
    outcomes: Sequence[Outcome],
    planned: Sequence[Unit],
    evaluation: Evaluation,
    timings: Timings,
    config_given: str,
    overrides: tuple[str, ...],
    dataset_name: str,
    synthetic: bool,
    reference: PreparedReference | None = None,
    cancelled: bool = False,
) -> RunRecord:
    """The record of a run; everything but ``timings`` and the host depends on the inputs only."""
    by_unit = {outcome.unit: outcome for outcome in outcomes}
    done = sum(1 for unit in planned if unit in by_unit and by_unit[unit].code == "ok")
    config = context.config
    values = config.model_dump(mode="json")
    failures = [*_failures(context, by_unit), *(reference.failures if reference else ())]
    failures += _losses(context, failures, evaluation.losses)
    unavailable = any(not entry.ok for entry in context.loader.availability.values())
    status: RunStatus = "cancelled" if cancelled else "incomplete" if failures or unavailable else "complete"
    return RunRecord(
        status=status,
        name=config.name,
        title=config.report.title or config.name,
        description=config.description,
        config_given=config_given,
        overrides=overrides,
        config=values,
        digests=Digests(config=config_digest(values), dataset=_data_digest(context, reference)),
        dataset_name=dataset_name,
        synthetic=synthetic,
        reference_set=reference.entry if reference else None,
        systems=tuple(_systems(context)),
        protocols=tuple(_protocols(context)),
        clips=tuple(_clips(context, by_unit)),
        values=tuple(evaluation.values),
        comparisons=tuple(evaluation.comparisons),
        checks=tuple(evaluation.checks),
        failures=tuple(failures),
        notes=(*_notes(by_unit), *evaluation.notes),
        counts=Counts(planned=len(planned), done=done, failed=len(planned) - done),
        provenance=provenance(device=_device(config.execution), folder=_existing(context.spec.base)),
        timings=timings,
    )


def _data_digest(context: RunContext, reference: PreparedReference | None) -> str:
    return joint_digest(context.manifest, reference.entry.digest if reference else None)


def _existing(folder: Path) -> Path:
    return folder if folder.is_dir() else Path()


def _systems(context: RunContext) -> list[SystemEntry]:
    return [
        SystemEntry(
            name=name,
            kind=system.kind,
            anchor=context.loader.systems[name].anchor,
            digest=context.loader.system_digests[name],
            options=context.loader.systems[name].options.model_dump(mode="json"),
        )
        for name, system in context.loader.suite_systems.items()
    ]


def _protocols(context: RunContext) -> list[ProtocolEntry]:
    entries = []
    for name, metric in context.loader.protocols.items():
        spec = metric.spec
        files = sorted({file for kind in needed_extractors([metric]).values() for file in kind.weights})
        known = [context.loader.finder.serving(file) for file in files]
        availability = context.loader.availability[name]
        entries.append(
            ProtocolEntry(
                name=spec.name,
                title=spec.title,
                family=spec.family.value,
                granularity=spec.granularity.value,
                values=tuple(
                    ValueDescription(
                        key=value.key,
                        label=value.label,
                        direction=value.direction.value,
                        unit=value.unit,
                        decimals=value.decimals,
                        primary=value.primary,
                    )
                    for value in spec.values
                ),
                extractors=tuple(sorted(needed_extractors([metric]))),
                weights=tuple(
                    WeightsEntry(
                        file=entry.name,
                        sha256=entry.sha256 or "",
                        licence=entry.licence,
                        non_commercial=entry.non_commercial,
                    )
                    for entry in known
                ),
                source=spec.source,
                status="ok" if availability.ok else "unavailable",
                reason=availability.reason,
                group=spec.group.key,
                group_title=spec.group.title,
                order=spec.order,
            )
        )
    return entries


def _clips(context: RunContext, by_unit: Mapping[Unit, Outcome]) -> list[ClipEntry]:
    truths = {unit.clip: outcome for unit, outcome in by_unit.items() if unit.system == GROUND_TRUTH}
    entries = []
    for clip, entry in context.entries.items():
        outcome = truths.get(clip)
        side = outcome.clip if outcome else None
        ok = outcome is not None and outcome.code == "ok" and side is not None
        entries.append(
            ClipEntry(
                id=clip,
                identity=entry.identity,
                split=entry.split,
                status="ok" if ok else "failed",
                code="" if ok else outcome.code if outcome else "not_run",
                reason="" if ok else outcome.reason if outcome else "the run ended before this clip",
                ground_truth=not entry.wild,
                n_frames=side.n_frames if side else 0,
                width=side.width if side else 0,
                height=side.height if side else 0,
                meta=plain_meta(entry.meta),
                notes=tuple(note.text for note in side.notes) if side else (),
            )
        )
    return entries


def _losses(context: RunContext, known: Sequence[FailureEntry], losses: Sequence[FailureEntry]) -> list[FailureEntry]:
    """What scoring lost, without what follows from a clip or an extractor that failed already."""
    causes = {(entry.system, entry.clip, entry.seed, entry.part) for entry in known}
    failed_clips = {entry.clip for entry in known if entry.system == GROUND_TRUTH and not entry.part}
    kept = []
    for entry in losses:
        parts = {"", *needed_extractors([context.loader.protocols[entry.part]])}
        follows = any((entry.system, entry.clip, entry.seed, part) in causes for part in parts)
        if not follows and entry.clip not in failed_clips:
            kept.append(entry)
    return kept


def _device(execution: Execution) -> str:
    """Where networks ran, and by what when not by PyTorch."""
    return execution.device if execution.inference == "torch" else f"{execution.device} ({execution.inference})"


def _notes(by_unit: Mapping[Unit, Outcome]) -> list[NoteEntry]:
    """The notes of all clips, those of one kind and system together."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for unit in sorted(by_unit, key=lambda item: (item.system, item.clip, item.seed)):
        side = by_unit[unit].clip
        for note in side.notes if side else ():
            found.setdefault((unit.system, note.code), {}).setdefault(unit.clip, note.text)
    return [
        NoteEntry(system=system, code=code, text=next(iter(texts.values())), clips=tuple(texts))
        for (system, code), texts in found.items()
    ]


def _failures(context: RunContext, by_unit: Mapping[Unit, Outcome]) -> list[FailureEntry]:
    failures = []
    for unit in sorted(by_unit, key=lambda item: (item.system, item.clip, item.seed)):
        outcome = by_unit[unit]
        common = {"system": unit.system, "clip": unit.clip, "seed": unit.seed}
        if outcome.code != "ok":
            failures.append(
                FailureEntry.model_validate(
                    {**common, "stage": outcome.stage or unit.stage, "code": outcome.code, "reason": outcome.reason}
                )
            )
        for extractor, (status, reason) in (outcome.features or {}).items():
            if status != "ok":
                failures.append(
                    FailureEntry.model_validate(
                        {**common, "stage": "extract", "part": extractor, "code": status, "reason": reason}
                    )
                )
    return failures
