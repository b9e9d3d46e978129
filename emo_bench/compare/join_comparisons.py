"""Paired comparisons between the systems of different runs on the same clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from emo_bench.config.schema import Statistics
from emo_bench.record.columns import Column
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import ComparisonEntry, IntervalEntry, RunRecord


def joint_comparisons(runs: Sequence[RunData], owner: Mapping[str, int]) -> tuple[ComparisonEntry, ...]:
    """The comparisons within each run, and between the systems of different runs, corrected all together.

    Args:
        runs: Runs on the same clips, with systems of unique names (the same name is the same system).
        owner: System -> index of the run whose values it has.
    """
    from emo_bench.scoring.comparisons import corrected

    entries = [
        c
        for place, run in enumerate(runs)
        for c in run.record.comparisons
        if owner.get(c.system_a) == owner.get(c.system_b) == place
    ]
    for first, a in enumerate(runs):
        for second in range(first + 1, len(runs)):
            entries += _between(a, runs[second], (first, second), owner)
    record = runs[0].record
    statistics = Statistics(level=_statistic(record, "level", 0.95), correction=_correction(record))
    return tuple(corrected(entries, statistics))


def _between(a: RunData, b: RunData, places: tuple[int, int], owner: Mapping[str, int]) -> list[ComparisonEntry]:
    from emo_bench.compare.runs import measure_change, shared_columns
    from emo_bench.scoring.comparisons import only_shared

    level = _statistic(a.record, "level", 0.95)
    sides = [
        [s.name for s in run.record.systems if not s.anchor and owner[s.name] == place]
        for run, place in zip((a, b), places, strict=True)
    ]
    found = []
    for column in shared_columns(a.record, b.record):
        for one in sides[0]:
            for other in sides[1]:
                change = measure_change(a, b, column, (one, other), level=level)
                base = {"protocol": column.protocol.name, "key": column.value.key, "system_a": one, "system_b": other}
                if change.difference is None or change.low is None or change.high is None:
                    found.append(
                        ComparisonEntry.model_validate(
                            {**base, "difference": None, "n_pairs": change.n_pairs, "verdict": "undefined",
                             "reason": change.reason}
                        )
                    )  # fmt: skip
                    continue
                ends = _a_minus_b(column, change.difference, change.low, change.high)
                verdict = "a_better" if change.low > 0 else "b_better" if change.high < 0 else "tie"
                found.append(
                    ComparisonEntry.model_validate(
                        {
                            **base,
                            "difference": ends[0],
                            "interval": IntervalEntry(
                                low=ends[1], high=ends[2], level=level, method=change.method, n_units=change.n_units
                            ),
                            "p_value": change.p,
                            "n_pairs": change.n_pairs,
                            "verdict": verdict,
                            "reason": only_shared(
                                change.n_pairs, change.n_pairs + len(change.lost) + len(change.gained)
                            ),
                        }
                    )
                )
    return found


def _a_minus_b(column: Column, worse: float, low: float, high: float) -> tuple[float, float, float]:
    """From 'how much worse B is' to 'A minus B' in the value's own sign."""
    if column.value.direction == "higher":
        return worse, low, high
    return -worse, -high, -low


def _correction(record: RunRecord) -> Literal["holm", "bh"]:
    statistics = record.config.get("statistics")
    return "bh" if isinstance(statistics, dict) and statistics.get("correction") == "bh" else "holm"


def _statistic(record: RunRecord, key: str, default: float) -> float:
    statistics = record.config.get("statistics")
    value = statistics.get(key) if isinstance(statistics, dict) else None
    return float(value) if isinstance(value, (int, float)) and 0.5 < value < 1 else default
