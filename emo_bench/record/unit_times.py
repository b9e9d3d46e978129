"""How long each clip took to generate, from the journal of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo_bench.record.limits import MAX_TEXT_BYTES, read_bytes

JOURNAL_FILE = "journal.jsonl"
PROGRESS_FILE = "progress.json"
"""Stage, its number of units, and where its lines in the journal begin; only there while a run is under way."""


@dataclass(frozen=True, slots=True)
class UnitTime:
    """Wall time of one generated clip.

    Attributes:
        system: Name of the system.
        clip: Id of the clip.
        seed: Seed of the generation.
        seconds: From reading the input to the stored clip, in one worker.
    """

    system: str
    clip: str
    seed: int
    seconds: float


def read_unit_times(path: Path) -> Iterator[UnitTime]:
    """The time of each clip that was really made, and that is the clip of the last time it was worked on.

    A unit that took anything from the stores has no time here: what is read back costs next to nothing, and would
    make a system look faster than it is.
    """
    made: dict[tuple[str, str, int, str], float] = {}
    last: dict[tuple[str, str, int], str] = {}
    for entry in _entries(path):
        seconds = entry.get("seconds") or {}
        unit = (str(entry["system"]), str(entry["clip"]), int(entry["seed"]))
        key = entry.get("clip_key")
        if entry.get("code") != "ok" or not key:
            continue
        last[unit] = str(key)
        spent = seconds.get("generate")
        if entry.get("reused") == 0 and isinstance(spent, (int, float)) and math.isfinite(spent) and spent > 0:
            made[(*unit, str(key))] = float(spent)
    for unit, key in sorted(last.items()):
        if (*unit, key) in made:
            yield UnitTime(*unit, made[(*unit, key)])


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in read_bytes(path, MAX_TEXT_BYTES).decode("utf-8", "replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a run that was killed may leave half a line
        if isinstance(entry, dict) and {"system", "clip", "seed"} <= set(entry):
            yield entry
