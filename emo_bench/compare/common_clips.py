"""A run on the clips and frames that all its systems have: the fair alternative where coverage is unequal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from emo_bench.config.schema import Statistics
from emo_bench.extract.catalogue import load_catalogues, metrics
from emo_bench.record.columns import Column, columns_of
from emo_bench.record.coverage import EQUAL, uneven_coverage
from emo_bench.record.rows import ClipRow
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import ComparisonEntry, ValueEntry
from emo_bench.scoring.comparisons import all_pairs, compare_on_clips, corrected, gather
from emo_bench.scoring.values import (
    NO_CLIP_HAS_TRUTH,
    ScoringRequest,
    clip_metric_values,
    gaps_on_shared_clips,
    with_gaps,
)

if TYPE_CHECKING:
    from emo_metrics.contract import ClipMetric


def on_common_clips(run: RunData) -> RunData:
    """The run with every per-clip value taken anew over the clips that all systems under test have in full.

    A clip counts for a value when every system under test has a number for each of its seeds, and when those numbers
    rest on equal shares of its frames. Values whose coverage is equal already stay as they are. A value of a whole set
    cannot be taken again without the features, so an unequal one is left out with the reason.

    Args:
        run: The run, with its rows.
    """
    load_catalogues()
    record = run.record
    uneven = [column for column in columns_of(record) if uneven_coverage(record, column)]
    protocols = dict.fromkeys(column.protocol.name for column in uneven)
    if not protocols:
        note = "All systems have the same clips and frames, so nothing is left out."
        return replace(run, notes=(*run.notes, note))
    values = [value for value in record.values if value.protocol not in protocols]
    comparisons = [entry for entry in record.comparisons if entry.protocol not in protocols]
    rows = [row for row in run.rows if row.protocol not in protocols]
    notes = []
    for name in protocols:
        columns = [column for column in columns_of(record) if column.protocol.name == name]
        metric = _clip_metric(columns)
        if metric is None:
            why = _why_not(columns)
            values += _left_out(run, columns, why)
            notes.append(f"{name} is left out: its systems have unequal clips, and {why}.")
            continue
        clips = common_clips(run, columns)
        kept = [row for row in run.rows if row.protocol == name and row.clip in clips]
        found, pairs = _anew(run, metric, kept)
        values += with_gaps(found, gaps_on_shared_clips(metric, kept))
        comparisons += pairs
        rows += kept
        notes.append(f"{name} is taken over the {len(clips)} of {len(record.clips)} clips that all systems have.")
    order = {(value.system, value.protocol, value.key): place for place, value in enumerate(record.values)}
    changed = record.model_copy(
        update={
            "title": f"{record.title or record.name} (common clips)",
            "values": tuple(sorted(values, key=lambda value: order[value.system, value.protocol, value.key])),
            "comparisons": tuple(corrected(comparisons, _statistics(run))),
        }
    )
    return replace(run, record=changed, rows=tuple(rows), notes=(*run.notes, *notes))


def common_clips(run: RunData, columns: Collection[Column]) -> frozenset[str]:
    """Clips that every system under test has in full under all of these values of one protocol."""
    tested = [system.name for system in run.record.systems if not system.anchor]
    protocols = {column.protocol.name for column in columns}
    # A system without randomness has the first seed only.
    wanted = {(row.system, row.seed) for row in run.rows if row.protocol in protocols and row.system in tested}
    kept = {clip.id for clip in run.record.clips if clip.status == "ok"}
    for column in columns:
        by_clip: dict[str, dict[tuple[str, int], float]] = {}
        for system in tested:
            for row in run.rows_of(system, column.protocol.name, column.value.key):
                if row.value is not None:
                    share = 1.0 if row.coverage is None else row.coverage
                    by_clip.setdefault(row.clip, {})[system, row.seed] = share
        kept &= {
            clip
            for clip, shares in by_clip.items()
            if wanted <= set(shares) and max(shares.values()) - min(shares.values()) <= EQUAL
        }
    return frozenset(kept)


def _clip_metric(columns: Sequence[Column]) -> ClipMetric | None:
    """The protocol as it is installed; None when it is not, when its values are others, or when it is of whole sets."""
    from emo_metrics.contract import ClipMetric

    protocol = columns[0].protocol
    if protocol.name not in metrics.names():
        return None
    metric = metrics.get(protocol.name)()
    same = [value.key for value in metric.spec.values] == [column.value.key for column in columns]
    return metric if isinstance(metric, ClipMetric) and same else None


def _why_not(columns: Sequence[Column]) -> str:
    if columns[0].protocol.granularity == "set":
        return "a value of a whole set cannot be recomputed from a record"
    return "the protocol as it was is not installed here"


def _left_out(run: RunData, columns: Sequence[Column], why: str) -> list[ValueEntry]:
    return [
        ValueEntry(
            system=system.name, protocol=column.protocol.name, key=column.value.key, value=None, status="skipped",
            reason=f"its systems have unequal clips, and {why}", n_planned=len(run.record.clips), n_scored=0,
        )
        for system in run.record.systems
        for column in columns
    ]  # fmt: skip


def _anew(run: RunData, metric: ClipMetric, rows: list[ClipRow]) -> tuple[list[ValueEntry], list[ComparisonEntry]]:
    """Values of all systems, and comparisons of those under test, from these rows alone."""
    planned = {(value.system, value.protocol): value.n_planned for value in run.record.values}
    statistics, name = _statistics(run), metric.spec.name
    values = []
    for system in run.record.systems:
        own = [row for row in rows if row.system == system.name]
        count = planned.get((system.name, name), 0)
        absent = "" if count else NO_CLIP_HAS_TRUTH
        request = ScoringRequest(system=system.name, n_planned=count, statistics=statistics, absent=absent)
        values += clip_metric_values(metric, own, request)
    pairs = all_pairs([system.name for system in run.record.systems if not system.anchor])
    found = [
        compare_on_clips(gather(rows, value, name), pair, statistics) for value in metric.spec.values for pair in pairs
    ]
    return values, found


def _statistics(run: RunData) -> Statistics:
    given = run.record.config.get("statistics")
    return Statistics.model_validate(given if isinstance(given, dict) else {})
