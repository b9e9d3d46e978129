"""All numbers of a run from its stored features: one protocol after the other, so that memory stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from emo_bench.config.schema import REFERENCE_SET
from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import GROUND_TRUTH, Outcome
from emo_bench.extract.catalogue import needs_truth
from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import AnchorCheck, ComparisonEntry, FailureEntry, NoteEntry, ValueEntry
from emo_bench.record.set_samples import ClipSamples, that_fit
from emo_bench.scoring.anchor_checks import check, pairs_to_check
from emo_bench.scoring.comparisons import all_pairs, compare_on_clips, compare_sets, corrected, gather
from emo_bench.scoring.coverage import clip_losses, partial_losses, set_losses
from emo_bench.scoring.faces_seen import faces_notes
from emo_bench.scoring.reference_set import PREFIX, ReferenceSet
from emo_bench.scoring.rows import FeatureReader, clip_rows
from emo_bench.scoring.sync_chance import sync_chance_note
from emo_bench.scoring.values import (
    NO_CLIP_HAS_TRUTH,
    Gaps,
    ScoringRequest,
    SetSamples,
    clip_metric_values,
    gaps_on_shared_clips,
    set_metric_values,
    set_samples,
    with_gaps,
)

if TYPE_CHECKING:
    from emo_metrics.contract import ClipMetric, Metric, SetMetric

Pair = tuple[str, str]


@dataclass
class Evaluation:
    """What scoring found."""

    rows: list[ClipRow] = field(default_factory=list)
    values: list[ValueEntry] = field(default_factory=list)
    comparisons: list[ComparisonEntry] = field(default_factory=list)
    checks: list[AnchorCheck] = field(default_factory=list)
    losses: list[FailureEntry] = field(default_factory=list)
    notes: list[NoteEntry] = field(default_factory=list)
    samples: list[ClipSamples] = field(default_factory=list)
    gaps: Gaps = field(default_factory=dict)
    """Distances from the ground truth's values, of per-clip protocols."""


def evaluate(
    context: RunContext,
    outcomes: Sequence[Outcome],
    *,
    step: Callable[[str], None],
    reference: ReferenceSet | None = None,
) -> Evaluation:
    """Scores every available protocol.

    Args:
        context: The run.
        outcomes: What became of every unit.
        step: Told after each protocol.
        reference: What protocols of whole sets compare with; the clips' ground truth when absent.
    """
    reader = FeatureReader(context, outcomes)
    result = Evaluation()
    for name, metric in context.loader.protocols.items():
        if context.loader.availability[name].ok:
            _evaluate_protocol(context, reader, metric(), result, reference)
        else:
            result.values += _unavailable(context, metric, context.loader.availability[name].reason)
        step(name)
    result.notes += faces_notes(reader, context.loader.extractor_kinds)
    result.values = with_gaps(result.values, result.gaps)
    result.comparisons = corrected(result.comparisons, context.config.statistics)
    return result


def _unavailable(context: RunContext, metric: type[Metric], reason: str) -> list[ValueEntry]:
    first_line = reason.splitlines()[0] if reason else "not available"
    return [
        ValueEntry(
            system=system,
            protocol=metric.spec.name,
            key=value.key,
            value=None,
            status="skipped",
            reason=first_line,
            n_planned=_planned(context, system),
            n_scored=0,
        )
        for system in context.loader.suite_systems
        for value in metric.spec.values
    ]


def _planned(context: RunContext, system: str, *, with_truth: bool = False) -> int:
    """Clips times seeds of a system; on request of those with ground truth alone."""
    clips = [
        name
        for name, entry in context.entries.items()
        if context.applies(system, name) and not (with_truth and entry.wild)
    ]
    return len(clips) * len(context.loader.seeds_of(system))


def _request(context: RunContext, system: str, *, with_truth: bool) -> ScoringRequest:
    planned = _planned(context, system, with_truth=with_truth)
    absent = "" if planned else NO_CLIP_HAS_TRUTH
    statistics = context.config.statistics
    return ScoringRequest(system=system, n_planned=planned, statistics=statistics, absent=absent)


def _evaluate_protocol(
    context: RunContext, reader: FeatureReader, metric: Metric, result: Evaluation, reference: ReferenceSet | None
) -> None:
    from emo_metrics.contract import ClipMetric, SetMetric

    systems = [system for system in context.loader.suite_systems if not context.loader.systems[system].anchor]
    judged, checked = all_pairs(systems), pairs_to_check(list(context.loader.suite_systems))
    if isinstance(metric, ClipMetric):
        values, comparisons = _clip_protocol(context, reader, metric, result, [*judged, *checked])
    else:
        assert isinstance(metric, SetMetric)  # noqa: S101 - there are two kinds of metric
        values, comparisons = _set_protocol(context, reader, metric, result, [*judged, *checked], reference)
    result.values += values
    result.comparisons += [entry for entry in comparisons if (entry.system_a, entry.system_b) in judged]
    by_name = {(entry.system, entry.protocol, entry.key): entry for entry in values}
    found = {((entry.system_a, entry.system_b), entry.key): entry for entry in comparisons}
    for value in metric.spec.values:
        result.checks += [
            check(metric.spec, value, pair, by_name, found.get((pair, value.key))) for pair in checked if value.primary
        ]


def _clip_protocol(
    context: RunContext, reader: FeatureReader, metric: ClipMetric, result: Evaluation, pairs: Sequence[Pair]
) -> tuple[list[ValueEntry], list[ComparisonEntry]]:
    identities = {clip: entry.identity for clip, entry in context.entries.items()}
    statistics = context.config.statistics
    compares = needs_truth(type(metric))
    values: list[ValueEntry] = []
    rows: list[ClipRow] = []
    for system in context.loader.suite_systems:
        own = clip_rows(reader, metric, reader.units(system), identities)
        values += clip_metric_values(metric, own, _request(context, system, with_truth=compares))
        rows += own
    result.rows += rows
    note = sync_chance_note(metric.spec, rows)
    result.notes += [note] if note else []
    wild = {clip for clip, entry in context.entries.items() if entry.wild}
    result.gaps |= gaps_on_shared_clips(metric, rows)
    applied = [row for row in rows if not (compares and row.clip in wild)]
    result.losses += clip_losses(applied, {name for name, kind in context.loader.systems.items() if kind.anchor})
    truth = {row.clip: row.coverage for row in rows if row.system == GROUND_TRUTH and row.coverage is not None}
    for system in (name for name, kind in context.loader.systems.items() if not kind.anchor):
        shares = {f"{r.clip}#{r.seed}": r.coverage for r in rows if r.system == system and r.coverage is not None}
        known = {name: share for name, share in shares.items() if name.rpartition("#")[0] not in wild}
        result.losses += partial_losses(metric.spec.name, system, known, truth)
    comparisons = [
        compare_on_clips(gather(rows, value, metric.spec.name), pair, statistics)
        for value in metric.spec.values
        for pair in pairs
    ]
    return values, comparisons


def _set_protocol(
    context: RunContext,
    reader: FeatureReader,
    metric: SetMetric,
    result: Evaluation,
    pairs: Sequence[Pair],
    reference: ReferenceSet | None,
) -> tuple[list[ValueEntry], list[ComparisonEntry]]:
    identities = {clip: entry.identity for clip, entry in context.entries.items()}
    if reference is not None:
        identities |= reference.people()
    statistics = context.config.statistics
    paired = reference is None or needs_truth(type(metric))  # each clip has to have its own counterpart
    real = set_samples(reader, metric, reader.units(GROUND_TRUTH))
    truth_shares = {name.rpartition("#")[0]: share for name, share in real.shares.items()}
    real_set = real if reference is None else reference.samples(metric)
    truth = real_set.samples
    values: list[ValueEntry] = []
    samples = {}
    kept: list[ClipSamples] = []
    for system in context.loader.suite_systems:
        units = [unit for unit in reader.units(system) if not (paired and reader.lacks_truth(unit.clip))]
        own = set_samples(reader, metric, units)
        request = _request(context, system, with_truth=paired)
        if request.absent and reference is None:
            request = replace(request, absent=f"{request.absent}, and the suite names no reference_set")
        entries = set_metric_values(metric, own.samples, truth, own.missing, identities, request, coverage=own.coverage)
        anchor = context.loader.systems[system].anchor
        result.losses += set_losses(metric.spec.name, system, own.missing, entries, anchor=anchor)
        if not anchor:
            known = {k: share for k, share in own.shares.items() if not reader.lacks_truth(k.rpartition("#")[0])}
            result.losses += partial_losses(metric.spec.name, system, known, truth_shares)
        values += entries
        samples[system] = own.samples
        kept += _clip_samples(metric, system, own)
    if reference is not None:
        kept += _clip_samples(metric, REFERENCE_SET, real_set)
    result.samples += that_fit(kept, kept=result.samples)
    comparisons = [
        entry for pair in pairs for entry in compare_sets(metric, samples, truth, identities, pair, statistics)
    ]
    return values, comparisons


def _clip_samples(metric: SetMetric, system: str, own: SetSamples) -> Iterator[ClipSamples]:
    for name, samples in own.samples.items():
        clip, _, seed = name.removeprefix(PREFIX).rpartition("#")
        yield ClipSamples(
            protocol=metric.spec.name, system=system, clip=clip, seed=int(seed), coverage=own.shares[name],
            samples=samples,
        )  # fmt: skip
