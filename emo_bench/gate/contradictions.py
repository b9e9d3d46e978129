"""Contradictions that no run writes into a record: repeated or foreign rows, values that do not follow from rows.

The gate decides on rows; a value beside them must follow from them, or nothing is decided.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

from emo_bench.record.rows import ClipRow
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import IntervalEntry, ValueEntry

RELATIVE = 1e-6
"""A mean may be summed in another order; nothing else may differ."""


def contradictions(run: RunData, *, seeds: bool = True) -> Iterator[str]:
    """Sentences on what makes a record as a whole impossible; nothing for one that a run wrote.

    Args:
        run: The record and its rows.
        seeds: Whether rows must be of the seeds that the config names.
    """
    record = run.record
    yield from _repeated("system", (system.name for system in record.systems))
    yield from _repeated("clip", (clip.id for clip in record.clips))
    yield from _repeated("protocol", (protocol.name for protocol in record.protocols))
    yield from _repeated("value", ((entry.system, entry.protocol, entry.key) for entry in record.values))
    yield from _repeated("row", ((row.system, row.clip, row.seed, row.protocol, row.key) for row in run.rows))
    yield from _foreign(run, set(seeds_named(run.record.config)) if seeds else None)
    if record.status == "complete":
        failed = [clip.id for clip in record.clips if clip.status != "ok"]
        failed += [entry.clip for entry in record.failures if entry.stage in ("prepare", "generate")]
        if failed:
            yield f"It calls itself complete, and clips failed, for example {failed[0]!r}."
    for entry in record.values:
        others = record.reference_set.n_identities if record.reference_set is not None else 0
        if problem := _impossible_entry(entry, len(record.clips) * len(seeds_named(record.config)), others=others):
            yield f"{_name(entry)}: {problem}."


def seeds_named(config: dict[str, Any]) -> list[int]:
    """The seeds of a config; empty when it names none."""
    seeds = config.get("seeds")
    known = isinstance(seeds, (list, tuple)) and all(type(seed) is int for seed in seeds)
    return list(seeds) if known and seeds is not None else []


def contradicted_value(run: RunData, entry: ValueEntry) -> str:
    """Why the value of a per-clip protocol does not follow from the rows, in words; empty when it does."""
    wild = {clip.id for clip in run.record.clips if not clip.ground_truth}
    rows = [
        row
        for row in run.rows_of(entry.system, entry.protocol, entry.key)
        if not (row.status == "not_applicable" and row.clip in wild)
    ]
    scored = [row.value for row in rows if row.status == "ok" and row.value is not None and math.isfinite(row.value)]
    if len(scored) != entry.n_scored:
        return f"it claims to rest on {entry.n_scored} clips, and {len(scored)} rows have a value"
    if len(rows) != entry.n_planned:
        return f"it claims {entry.n_planned} planned clips, and there are {len(rows)} rows"
    shares = [row.coverage for row in rows if row.status == "ok" and row.coverage is not None]
    share = math.fsum(shares) / len(shares) if shares and len(shares) == len(scored) else None
    claimed = entry.frame_coverage
    if (share is None) != (claimed is None) or not math.isclose(share or 0, claimed or 0, abs_tol=RELATIVE):
        return f"it claims to rest on the share {claimed} of the frames, and its rows give {share}"
    follows = _value_from(rows, entry)
    if entry.value is None or follows is None or math.isclose(entry.value, follows, rel_tol=RELATIVE, abs_tol=RELATIVE):
        return ""
    return f"it is {entry.value:.9g}, and its rows give {follows:.9g}"


def frame_share(run: RunData, entry: ValueEntry | None) -> float | None:
    """The share of frames that a value rests on: from its rows where it has some, else as the record says."""
    if entry is None:
        return None
    rows = run.rows_of(entry.system, entry.protocol, entry.key)
    shares = [row.coverage for row in rows if row.status == "ok" and row.coverage is not None]
    return math.fsum(shares) / len(shares) if shares else entry.frame_coverage


def _value_from(rows: Sequence[ClipRow], entry: ValueEntry) -> float | None:
    """The value of a set of rows, by the protocol's own rule where this version knows the protocol."""
    import numpy as np

    from emo_bench.extract.catalogue import metric_names, metrics
    from emo_metrics.contract import ClipMetric

    scored = sorted((row.clip, row.seed, row.value) for row in rows if row.status == "ok" and row.value is not None)
    values = np.array([value for _, _, value in scored], dtype=np.float64)
    if not len(values):
        return None
    if entry.protocol in metric_names():
        kind = metrics.get(entry.protocol)
        if issubclass(kind, ClipMetric) and entry.key in {value.key for value in kind.spec.values}:
            # Every rule reads one column for one value.
            columns = {value.key: values for value in kind.spec.values}
            return float(kind().summarise(columns)[entry.key])
    return float(np.mean(values))


def _repeated(what: str, names: Iterable[Hashable]) -> Iterator[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        name = twice[0] if isinstance(twice[0], str) else " ".join(map(str, twice[0]))  # type: ignore[call-overload]
        yield f"{len(twice)} {what}s are there more than once, for example {name!r}."


def _foreign(run: RunData, seeds: set[int] | None) -> Iterator[str]:
    """Rows and values of what the record does not list."""
    record = run.record
    systems = {system.name for system in record.systems}
    values = {(protocol.name, value.key) for protocol in record.protocols for value in protocol.values}
    identities = run.identities
    if seeds is not None and not seeds:
        yield "Its config names no seeds."
    if any(entry.system not in systems or (entry.protocol, entry.key) not in values for entry in record.values):
        yield "It has values of systems or protocols that it does not list."
    for row in run.rows:
        wrong = {
            "system": row.system not in systems,
            "clip": row.clip not in identities,
            "seed": row.seed not in seeds if seeds else False,
            "value": (row.protocol, row.key) not in values,
            "identity": row.clip in identities and identities[row.clip] != row.identity,
        }
        if any(wrong.values()):
            kind = next(name for name, is_wrong in wrong.items() if is_wrong)
            yield (
                f"Its rows are of another run: {row.system!r}, clip {row.clip!r}, seed {row.seed} has a {kind} that "
                "the record does not know."
            )
            return


def _impossible_entry(entry: ValueEntry, most: int, *, others: int) -> str:
    if not 0 <= entry.n_scored <= entry.n_planned or (most and entry.n_planned > most):
        return f"{entry.n_scored} of {entry.n_planned} clips were scored, of at most {most}"
    if entry.frame_coverage is not None and not 0 <= entry.frame_coverage <= 1:
        return f"it rests on the share {entry.frame_coverage:g} of the frames"
    if entry.status == "ok" and entry.value is None:
        return "there is no value, and nothing is wrong"
    if entry.status != "ok" and entry.value is not None:
        return f"there is a value, and its status is {entry.status!r}"
    return _impossible_interval(entry.interval, entry, others) if entry.interval is not None else ""


def _impossible_interval(interval: IntervalEntry, entry: ValueEntry, others: int) -> str:
    if not 0.5 < interval.level < 1:
        return f"its interval has the level {interval.level:g}"
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)) or interval.low > interval.high:
        return f"its interval goes from {interval.low:g} to {interval.high:g}"
    if not 1 <= interval.n_units <= max(1, entry.n_planned) + others:
        return f"its interval rests on {interval.n_units} units"
    return ""


def _name(entry: ValueEntry) -> str:
    return f"{entry.system} {entry.protocol} {entry.key}"
