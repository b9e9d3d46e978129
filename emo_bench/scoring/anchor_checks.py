"""Does each metric rank the anchors correctly on this data? If not, the table warns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emo_bench.record.schema import AnchorCheck, ComparisonEntry, ValueEntry

if TYPE_CHECKING:
    from emo_metrics.contract import ProtocolSpec, ValueSpec

REENCODED = "reencoded"
FROZEN_REENCODED = "frozen-reencoded"
AUDIO_ANCHORS = ("shuffled-audio", "shifted-audio")
REQUIRED_ORDER: tuple[tuple[str, str], ...] = (
    (REENCODED, "frozen"),
    (REENCODED, FROZEN_REENCODED),
    (REENCODED, "other-identity"),
    (REENCODED, "shuffled-audio"),
    (REENCODED, "shifted-audio"),
)
"""(better, worse): compressed real video must beat a frozen portrait, another person's video and wrong audio.

Not the ground truth itself: whatever compares with it, or asks to be close to it, would pass without measuring."""


def pairs_to_check(systems: Sequence[str]) -> list[tuple[str, str]]:
    """The required orders among the anchors that are in the suite."""
    return [pair for pair in REQUIRED_ORDER if set(pair) <= set(systems)]


def why_blind(spec: ProtocolSpec, worse: str) -> str:
    """Why a metric cannot see what is wrong with an anchor; empty when it should."""
    if worse in AUDIO_ANCHORS and not spec.reads_audio_video_sync:
        return "does not compare video and audio"
    if worse == "other-identity" and spec.granularity == "set":
        return "the anchor plays the same videos in another order, which is the same set"
    unseen = "frozen" if worse == FROZEN_REENCODED else worse  # blind to a still face is blind to a compressed one
    if unseen.replace("-", "_") in spec.blind_to or unseen in spec.blind_to:
        return "does not look at what this anchor changes"
    return ""


def check(
    spec: ProtocolSpec,
    value: ValueSpec,
    pair: tuple[str, str],
    values: Mapping[tuple[str, str, str], ValueEntry],
    comparison: ComparisonEntry | None,
) -> AnchorCheck:
    """One required order under one value of a protocol.

    Args:
        spec: The protocol.
        value: Which of its values.
        pair: (better, worse).
        values: Entries by (system, protocol, key).
        comparison: The paired comparison of better (a) with worse (b), when there is one.
    """
    better, worse = pair
    blind = why_blind(spec, worse)
    entries = [values.get((system, spec.name, value.key)) for system in pair]
    shown = " against ".join(
        f"{entry.value:.{value.decimals}f}" if entry is not None and entry.value is not None else "no value"
        for entry in entries
    )
    absent = next((entry.reason for entry in entries if entry is not None and entry.status == "not_applicable"), "")
    if blind or absent:
        verdict, reason = "cannot", blind or absent
    elif any(entry is None or entry.value is None for entry in entries):
        verdict, reason = "no_value", shown
    elif comparison is None or comparison.verdict == "undefined":
        verdict, reason = "tie", f"{shown}; too few clips for a paired interval"
    else:
        verdict = {"a_better": "pass", "b_better": "fail", "tie": "tie"}[comparison.verdict]
        interval = comparison.interval
        span = f"; difference in [{interval.low:.3g}, {interval.high:.3g}]" if interval else ""
        reason = shown + span
    return AnchorCheck.model_validate(
        {
            "protocol": spec.name,
            "key": value.key,
            "better": better,
            "worse": worse,
            "verdict": verdict,
            "reason": reason,
        }
    )
