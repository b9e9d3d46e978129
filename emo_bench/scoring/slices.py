"""Values by group of clips (style, language, voice ...), from per-clip rows alone, and the gaps between groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo_bench.config.schema import Statistics
from emo_bench.extract.catalogue import load_catalogues, metric_names, metrics
from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import ClipEntry, IntervalEntry, ValueEntry
from emo_bench.scoring.values import (
    Gaps,
    ScoringRequest,
    as_entry,
    clip_metric_values,
    complete_rows,
    gaps_on_shared_clips,
    row_id,
    summary_of,
    with_gaps,
)
from emo_core.errors import ConfigError
from emo_core.rng import numpy_generator

if TYPE_CHECKING:
    from emo_metrics.contract import ClipMetric

MOST_GROUPS = 12
"""Groups that are shown, the largest ones."""

UNNAMED = "(none)"
"""Group of the clips whose manifest lines do not have the key."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The value of a system on one group of clips minus its value on all others.

    Attributes:
        group: Name of the group.
        system: Name of the system.
        protocol: Protocol of the value.
        key: Its key.
        difference: The gap; None when there is none.
        interval: Of the gap; identities are resampled within either side.
        reason: Why there is no gap or no interval.
    """

    group: str
    system: str
    protocol: str
    key: str
    difference: float | None
    interval: IntervalEntry | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Slices:
    """A run by the values of one key.

    Attributes:
        by: The key, as it was asked for.
        clips: Group -> its clips, the largest group first.
        left_out: Groups beyond ``MOST_GROUPS``.
        values: Group -> values of its systems.
        gaps: Of every group against all other clips.
    """

    by: str
    clips: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...]
    values: Mapping[str, tuple[ValueEntry, ...]]
    gaps: tuple[Gap, ...]


def groups_by(clips: Sequence[ClipEntry], by: str) -> dict[str, tuple[str, ...]]:
    """Group -> clips, the largest group first.

    Args:
        clips: Of a record.
        by: ``meta.KEY``, or ``split``.

    Raises:
        ConfigError: when no clip has the key; names those that there are.
    """
    name = by.removeprefix("meta.")
    if by == "split":
        found = {clip.id: clip.split for clip in clips}
    else:
        found = {clip.id: clip.meta[name] for clip in clips if name in clip.meta}
    if not by.startswith("meta.") and by != "split":
        raise ConfigError(f"--by {by!r} is no key of clips", expected="meta.KEY or split", found=by)
    if not found:
        known = sorted({key for clip in clips for key in clip.meta})
        raise ConfigError(
            f"no clip of the run has {by}",
            expected=", ".join(f"meta.{key}" for key in known) or "a run whose manifest has meta",
            found=by,
            fix="" if known else "put it into meta of the manifest's lines and run the suite again",
        )
    members: dict[str, list[str]] = {}
    for clip in clips:
        members.setdefault(found.get(clip.id, UNNAMED), []).append(clip.id)
    return {name: tuple(members[name]) for name in sorted(members, key=lambda name: (-len(members[name]), name))}


def slices(
    clips: Sequence[ClipEntry], rows: Sequence[ClipRow], systems: Sequence[str], by: str, statistics: Statistics
) -> Slices:
    """Values and gaps by group, for every per-clip protocol that this installation knows.

    Args:
        clips: The clips of the record.
        rows: Its per-clip rows.
        systems: Names of its systems.
        by: ``meta.KEY`` or ``split``.
        statistics: Of the suite.

    Raises:
        ConfigError: when no clip has the key.
    """
    from emo_metrics.contract import ClipMetric

    load_catalogues()
    groups = groups_by(clips, by)
    shown = {name: frozenset(members) for name, members in list(groups.items())[:MOST_GROUPS]}
    known = [name for name in dict.fromkeys(row.protocol for row in rows) if name in metric_names()]
    built = [metrics.get(name)() for name in known if issubclass(metrics.get(name), ClipMetric)]
    by_place: dict[tuple[str, str], list[ClipRow]] = {}
    for row in rows:
        by_place.setdefault((row.protocol, row.system), []).append(row)
    values: dict[str, list[ValueEntry]] = {name: [] for name in shown}
    gaps: list[Gap] = []
    distances: dict[str, Gaps] = {name: {} for name in shown}
    for metric in (one for one in built if isinstance(one, ClipMetric)):
        scored = [row for row in rows if row.protocol == metric.spec.name]
        for group, members in shown.items():
            distances[group] |= gaps_on_shared_clips(metric, [row for row in scored if row.clip in members])
        for system in systems:
            own = [row for row in by_place.get((metric.spec.name, system), []) if row.status != "not_applicable"]
            for group, members in shown.items():
                inside = [row for row in own if row.clip in members]
                outside = [row for row in own if row.clip not in members]
                values[group] += _values(metric, system, inside, statistics)
                gaps += _gaps(metric, system, group, (inside, outside), statistics)
    return Slices(
        by=by,
        clips={name: groups[name] for name in shown},
        left_out=tuple(groups)[MOST_GROUPS:],
        values={name: tuple(with_gaps(found, distances[name])) for name, found in values.items()},
        gaps=tuple(gaps),
    )


def _values(metric: ClipMetric, system: str, rows: Sequence[ClipRow], statistics: Statistics) -> list[ValueEntry]:
    count = len(Counter(row_id(row) for row in rows))
    absent = "" if count else "no clip of the group has a row"
    request = ScoringRequest(system=system, n_planned=count, statistics=statistics, absent=absent)
    return clip_metric_values(metric, rows, request)


def _gaps(
    metric: ClipMetric,
    system: str,
    group: str,
    sides: tuple[Sequence[ClipRow], Sequence[ClipRow]],
    statistics: Statistics,
) -> list[Gap]:
    from emo_metrics.contract import ClipMetric, Unscored
    from emo_metrics.statistics.groups import group_difference

    keys = [value.key for value in metric.spec.values]
    people = {row_id(row): row.identity for side in sides for row in side}
    tables = [complete_rows(side, keys) for side in sides]
    plain = type(metric).summarise is ClipMetric.summarise
    found = []
    for position, key in enumerate(keys):
        blank = Gap(group=group, system=system, protocol=metric.spec.name, key=key, difference=None)
        inside, outside = (_kept(table, position, plain=plain) for table in tables)
        try:
            gap, interval = group_difference(
                inside,
                outside,
                people,
                generator=numpy_generator(0, f"slice {metric.spec.name} {key} {system} {group}"),
                level=statistics.level,
                resamples=statistics.resamples,
                statistic=None if plain else summary_of(metric, keys, key),
            )
        except Unscored as outcome:
            found.append(replace(blank, reason=outcome.reason))
            continue
        found.append(replace(blank, difference=gap, interval=as_entry(interval)))
    return found


def _kept(table: Mapping[str, NDArray[np.float64]], position: int, *, plain: bool) -> dict[str, NDArray[np.float64]]:
    """Clips with a number; of metrics that are means the one column alone."""
    return {
        name: row[position : position + 1] if plain else row
        for name, row in table.items()
        if np.isfinite(row[position])
    }
