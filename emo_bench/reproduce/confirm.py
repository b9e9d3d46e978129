"""Whether a proof of reproduction holds: both runs are whole and belong together, and all their numbers agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emo_bench.record.proof import Proof
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import NEUTRAL
from emo_bench.reproduce.agreement import DEFAULT_TOLERANCE, compare_records

NO_NUMBERS = (*NEUTRAL, "report")
"""Keys of a suite that a reproduction may set otherwise."""


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What is left of a proof after both runs were compared.

    Attributes:
        doubt: Why it shows nothing, in a sentence; empty when it holds.
        exact: Whether all numbers of both runs are equal to the bit.
    """

    doubt: str = ""
    exact: bool = False


def confirmation_of(proof: Proof, before: RunData, after: RunData, *, after_file: str) -> Confirmation:
    """Whether a proof holds, and how far both runs agree.

    Nothing that the proof says of its outcome counts: every number of both runs is compared here.

    Args:
        proof: Of a record with the digests of ``before``.
        before: The record that was made again, whole and sealed.
        after: The run beside the proof.
        after_file: SHA-256 of the record of ``after``.
    """
    if problem := _unfit(proof, before, after, after_file):
        return Confirmation(doubt=problem)
    agreement = compare_records(before, after, tolerance=DEFAULT_TOLERANCE)
    if not agreement.equal:
        different = sum(count["different"] for count in agreement.counts.values())
        return Confirmation(doubt=f"{different} numbers of the run beside the proof differ from the record")
    return Confirmation(exact=agreement.exact)


def _unfit(proof: Proof, before: RunData, after: RunData, after_file: str) -> str:
    """Why both runs need not even be compared; empty when they must."""
    if after_file != proof.again.file:
        return "the run beside the proof is not the one that it names"
    if after.damage or after.unsealed or after.record.seal is None or before.record.seal is None:
        return next(iter(after.damage), "the run beside the proof has no digests of its files")
    if proof.tolerance > DEFAULT_TOLERANCE:
        return f"it was made with a tolerance of {proof.tolerance:g}; at most {DEFAULT_TOLERANCE:g} counts"
    if after.record.timings.seal == before.record.timings.seal:
        return "the run beside the proof is the record itself, not a second run"
    if other := _other_terms(before.record, after.record):
        return f"the run beside the proof has {other}"
    if not before.rows or not after.rows:
        return "clips.parquet of one of both runs is missing, so the values per clip cannot be compared"
    return ""


def _other_terms(a: RunRecord, b: RunRecord) -> str:
    if a.digests.dataset != b.digests.dataset:
        return "another data set"
    if _made_with(a) != _made_with(b):
        return "other systems or weights"
    if _settings(a) != _settings(b):
        return "other settings"
    return ""


def _made_with(record: RunRecord) -> Any:
    return [(s.name, s.kind, s.digest) for s in record.systems], [(p.name, p.weights) for p in record.protocols]


def _settings(record: RunRecord) -> dict[str, Any]:
    kept = {key: value for key, value in record.config.items() if key not in NO_NUMBERS}
    for name in ("dataset", "reference_set"):
        if isinstance(named := kept.get(name), dict):
            # Where a set lies is no part of what it is; its digest was compared.
            kept[name] = {key: value for key, value in named.items() if key != "folder"}
    return kept
