"""Paired comparisons between the systems of different runs on the same clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emo_bench.record.columns import Column
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import ComparisonEntry, IntervalEntry, RunRecord


def joint_comparisons(runs: Sequence[RunData], owner: Mapping[str, int]) -> tuple[ComparisonEntry, ...]:
    """The comparisons within each run, and between the systems of different runs, corrected all together.

    Args:
        runs: Runs on the same clips, with systems of unique names (the same name is the same system).
        owner: System -> index of the run whose values it has.
    """
    entries = [
        c
        for place, run in enumerate(runs)
        for c in run.record.comparisons
        if owner.get(c.system_a) == owner.get(c.system_b) == place
    ]
    for first, a in enumerate(runs):
        for second in range(first + 1, len(runs)):
            entries += _between(a, runs[second], (first, second), owner)
    return _corrected(entries, runs[0].record)


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


def _corrected(entries: Sequence[ComparisonEntry], record: RunRecord) -> tuple[ComparisonEntry, ...]:
    """Corrects p over all comparisons of the joint table; a verdict that does not survive becomes a tie."""
    from emo_metrics.statistics.multiple_tests import benjamini_hochberg, holm

    known = {str(index): entry.p_value for index, entry in enumerate(entries) if entry.p_value is not None}
    statistics = record.config.get("statistics")
    kind = statistics.get("correction", "holm") if isinstance(statistics, dict) else "holm"
    adjusted = (benjamini_hochberg if kind == "bh" else holm)(known) if known else {}
    alpha = 1 - _statistic(record, "level", 0.95)
    result = []
    for index, entry in enumerate(entries):
        p = adjusted.get(str(index))
        update: dict[str, object] = {"p_corrected": p if p is not None else entry.p_corrected}
        if p is not None and p > alpha and entry.verdict in ("a_better", "b_better"):
            reasons = ("not significant after correction for many comparisons", entry.reason)
            update |= {"verdict": "tie", "reason": "; ".join(reason for reason in reasons if reason)}
        result.append(entry.model_copy(update=update))
    return tuple(result)


def _statistic(record: RunRecord, key: str, default: float) -> float:
    statistics = record.config.get("statistics")
    value = statistics.get(key) if isinstance(statistics, dict) else None
    return float(value) if isinstance(value, (int, float)) and 0.5 < value < 1 else default
