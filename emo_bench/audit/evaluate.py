"""From the features of distorted clips to findings: one protocol after the other, so that memory stays small."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from emo_bench.audit.distortions import Corruption
from emo_bench.audit.judge import clip_evidence, judge, set_evidence
from emo_bench.audit.result import Finding
from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import GROUND_TRUTH, Outcome
from emo_bench.record.rows import ClipRow
from emo_bench.scoring.anchor_checks import REENCODED
from emo_bench.scoring.comparisons import gather
from emo_bench.scoring.rows import FeatureReader, clip_rows
from emo_bench.scoring.values import set_samples

if TYPE_CHECKING:
    from emo_metrics.contract import ClipMetric, SetMetric


def findings(
    context: RunContext, outcomes: Sequence[Outcome], chosen: Sequence[Corruption], *, step: Callable[[str], None]
) -> list[Finding]:
    """Every value of every available protocol on every corruption.

    Args:
        context: The audit.
        outcomes: Ground truth, re-encoded clips and all levels.
        chosen: The corruptions.
        step: Told after each protocol.
    """
    from emo_metrics.contract import ClipMetric, SetMetric

    reader = FeatureReader(context, outcomes)
    systems = [
        GROUND_TRUTH,
        REENCODED,
        *(corruption.system(level) for corruption in chosen for level in corruption.levels),
    ]
    found: list[Finding] = []
    for name, kind in context.loader.protocols.items():
        if context.loader.availability[name].ok:
            metric = kind()
            if isinstance(metric, ClipMetric):
                found += _of_clips(context, reader, metric, systems, chosen)
            else:
                assert isinstance(metric, SetMetric)  # noqa: S101 - there are two kinds of metric
                found += _of_sets(context, reader, metric, systems, chosen)
        step(name)
    return found


def _of_clips(
    context: RunContext, reader: FeatureReader, metric: ClipMetric, systems: Sequence[str], chosen: Sequence[Corruption]
) -> list[Finding]:
    identities = {clip: entry.identity for clip, entry in context.entries.items()}
    rows: list[ClipRow] = []
    for system in systems:
        rows += clip_rows(reader, metric, reader.units(system), identities)
    found = []
    for value in metric.spec.values:
        reasons = {
            system: _first(
                [f"{row.status}: {row.reason}" for row in rows if row.system == system and row.value is None]
            )
            for system in systems
        }
        statistics = context.config.statistics
        evidence = clip_evidence(
            metric.spec, value, gather(rows, value, metric.spec.name), reasons, resamples=statistics.resamples
        )
        found += [judge(evidence, corruption, statistics) for corruption in chosen]
    return found


def _of_sets(
    context: RunContext, reader: FeatureReader, metric: SetMetric, systems: Sequence[str], chosen: Sequence[Corruption]
) -> list[Finding]:
    identities = {clip: entry.identity for clip, entry in context.entries.items()}
    samples, reasons = {}, {}
    for system in systems:
        taken = set_samples(reader, metric, reader.units(system))
        samples[system], reasons[system] = taken.samples, _first(list(taken.missing.values()))
    memory: dict[object, Mapping[str, float]] = {}
    found = []
    for value in metric.spec.values:
        evidence = set_evidence(metric, value, samples, identities, reasons, memory)
        found += [judge(evidence, corruption, context.config.statistics) for corruption in chosen]
    return found


def _first(reasons: Sequence[str]) -> str:
    """The most frequent reason."""
    return max(sorted(set(reasons)), key=list(reasons).count) if reasons else ""
