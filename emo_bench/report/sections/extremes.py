"""The worst and the best clips by every value that exists per clip."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.record.columns import Column, clip_columns, ordered_systems
from emo_bench.record.run_data import RunData
from emo_bench.report.content import Material, Section
from emo_bench.report.page_parts import RankedClips, Ranking, Rankings
from emo_bench.report.sections import section
from emo_core.text import format_number

SHOWN = 3
RULES = {
    "higher": "lowest first",
    "lower": "highest first",
    "closer_to_gt": "by distance to the same clip’s ground truth",
}


@section("extremes", place=80, formats=("html",))
def extremes(material: Material) -> Sequence[Section]:
    """A ranking for each value; nothing when no clip has one."""
    rankings = clip_rankings(material.run)
    if not rankings:
        return ()
    return (Section("extremes", "Worst and best clips", (Rankings(rankings),), main=True, nav="Worst and best"),)


def clip_rankings(run: RunData) -> tuple[Ranking, ...]:
    """For every per-clip value and system under test (anchors when there is none): the worst and the best clips."""
    ordered = ordered_systems(run.record)
    systems = [system.name for system in ordered if not system.anchor]
    systems = systems or [system.name for system in ordered if system.kind != "ground_truth"]
    found = []
    for column in clip_columns(run.record):
        ranked = tuple(clips for name in systems if (clips := _rank(run, column, name)))
        if ranked:
            found.append(Ranking(column.value.label, RULES[column.value.direction], column.protocol.name, ranked))
    return tuple(found)


def _rank(run: RunData, column: Column, system: str) -> RankedClips | None:
    protocol, key = column.protocol.name, column.value.key
    values = run.clip_means(system, protocol, key)
    if column.value.direction == "closer_to_gt":
        costs = run.clip_distances(system, protocol, key)
    else:
        sign = -1.0 if column.value.direction == "higher" else 1.0
        costs = {clip: sign * value for clip, value in values.items()}
    if not costs or (len(costs) > 1 and min(costs.values()) == max(costs.values())):
        return None
    order = sorted(costs, key=lambda clip: (-costs[clip], clip))
    # With few clips no clip is listed on both sides.
    half = max(1, min(SHOWN, len(order) // 2))

    def items(clips: Sequence[str]) -> tuple[tuple[str, str], ...]:
        return tuple((clip, format_number(values[clip], column.value.decimals)) for clip in clips)

    best = list(reversed(order))[:half] if len(order) > 1 else []
    return RankedClips(system, items(order[:half]), items(best))
