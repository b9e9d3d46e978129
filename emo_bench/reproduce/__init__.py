"""Runs a record again from its provenance and says, value by value, whether it came out equal."""

from __future__ import annotations

from emo_bench.reproduce.agreement import Agreement, Difference, compare_records
from emo_bench.reproduce.confirm import confirmation_of
from emo_bench.reproduce.original import Original, open_original
from emo_bench.reproduce.outcome import Reproduction, reproduction_markdown, write_reproduction
from emo_bench.reproduce.rerun import reproduce

__all__ = [
    "Agreement",
    "Difference",
    "Original",
    "Reproduction",
    "compare_records",
    "confirmation_of",
    "open_original",
    "reproduce",
    "reproduction_markdown",
    "write_reproduction",
]
