"""Whether a proof of reproduction holds: both runs are whole and belong together, and all their numbers agree."""

from __future__ import annotations

from typing import Any

from emo_bench.record.proof import Proof
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import NEUTRAL
from emo_bench.reproduce.agreement import DEFAULT_TOLERANCE, compare_records

NO_NUMBERS = (*NEUTRAL, "report")
"""Keys of a suite that a reproduction may set otherwise."""


def doubt(proof: Proof, before: RunData, after: RunData, *, after_file: str) -> str:
    """Why a proof shows nothing, in a sentence; empty when it holds.

    Nothing that the proof says of its outcome counts: every number of both runs is compared here.

    Args:
        proof: Of a record with the digests of ``before``.
        before: The record that was made again, whole and sealed.
        after: The run beside the proof.
        after_file: SHA-256 of the record of ``after``.
    """
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
    agreement = compare_records(before, after, tolerance=DEFAULT_TOLERANCE)
    if not agreement.equal:
        different = sum(count["different"] for count in agreement.counts.values())
        return f"{different} numbers of the run beside the proof differ from the record"
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
    dataset = record.config.get("dataset")
    kept = {key: value for key, value in record.config.items() if key not in (*NO_NUMBERS, "dataset")}
    # Where a set lies is no part of what it is; its digest was compared.
    return {
        **kept,
        "dataset": {k: v for k, v in dataset.items() if k != "folder"} if isinstance(dataset, dict) else dataset,
    }
