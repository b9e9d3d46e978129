"""Values of whole sets, recomputed from the samples stored beside a record.

Such a value and its interval follow from no rows; a gate that decides on them recomputes both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from emo_bench.config.schema import REFERENCE_SET, Statistics
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import IntervalEntry, ValueEntry
from emo_bench.record.set_samples import ClipSamples
from emo_bench.scoring.reference_set import PREFIX, prefixed

CLOSE = 1e-4
"""Relative: decompositions differ a little between processors, and no rule counts so small a change."""

UNVERIFIED = "its samples are not beside the record, so it cannot be recomputed ('require.recomputed: false' allows it)"


def contradicted_set_value(run: RunData, entry: ValueEntry) -> str:
    """Why a value of a set does not follow from its samples, in words; empty when it does.

    Args:
        run: A run that was read from its folder.
        entry: A value of a set protocol.
    """
    from emo_bench.extract.catalogue import metric_names, metrics
    from emo_bench.scoring.values import ScoringRequest, set_metric_values
    from emo_metrics.contract import SetMetric

    ours = run.samples.get((entry.protocol, entry.system), {})
    reference = run.record.reference_set
    identities = {**run.identities, **(prefixed(reference.people) if reference is not None else {})}
    theirs = _real_samples(run, entry.protocol)
    if entry.value is None:
        return ""
    if not ours or not theirs:
        return UNVERIFIED
    kind = metrics.get(entry.protocol) if entry.protocol in metric_names() else None
    if kind is None or not issubclass(kind, SetMetric):
        return "this installation does not know its protocol, so it cannot be recomputed"
    unknown = {name.rpartition("#")[0] for name in (*ours, *theirs)} - set(identities)
    if unknown:
        return f"its samples are of other clips, for example {min(unknown)!r}"
    if len(ours) != entry.n_scored:
        return f"it claims to rest on {entry.n_scored} clips, and there are samples of {len(ours)}"
    shares = [one.coverage for one in ours.values()]
    if entry.frame_coverage is None or not math.isclose(
        entry.frame_coverage, math.fsum(shares) / len(shares), abs_tol=1e-6
    ):
        return "its share of frames is not that of its samples"
    level = entry.interval.level if entry.interval is not None else Statistics().level
    request = ScoringRequest(system=entry.system, n_planned=entry.n_planned, statistics=Statistics(level=level))
    samples = [{name: one.samples for name, one in side.items()} for side in (ours, theirs)]
    found = set_metric_values(kind(), samples[0], samples[1], {}, identities, request)
    follows = next((one for one in found if one.key == entry.key), None)
    if follows is None or follows.value is None or not _close(entry.value, follows.value):
        return f"it is {entry.value:.9g}, and its samples give {'none' if follows is None else follows.value}"
    return _other_interval(entry.interval, follows.interval)


def _real_samples(run: RunData, protocol: str) -> Mapping[str, ClipSamples]:
    """What values of a protocol compare with: samples of the reference set where the run has one, else of the clips."""
    if run.record.reference_set is None:
        return run.samples.get((protocol, run.ground_truth or ""), {})
    return {PREFIX + name: one for name, one in run.samples.get((protocol, REFERENCE_SET), {}).items()}


def _other_interval(claimed: IntervalEntry | None, follows: IntervalEntry | None) -> str:
    if claimed is None or follows is None:
        return "" if claimed is follows else "whether it has an interval does not follow from its samples"
    scale = max(abs(follows.low), abs(follows.high))
    same = all(
        math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE * scale)
        for a, b in ((claimed.low, follows.low), (claimed.high, follows.high))
    )
    if not same or claimed.n_units != follows.n_units:
        return (
            f"its interval is [{claimed.low:.6g}, {claimed.high:.6g}], and its samples give "
            f"[{follows.low:.6g}, {follows.high:.6g}]"
        )
    return ""


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-6)
