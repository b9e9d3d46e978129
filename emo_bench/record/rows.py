"""The per-clip rows of a run: their type, their file, and the only code that reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emo_bench.record.limits import table_rows
from emo_core.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd

CLIPS_FILE = "clips.parquet"
TEXT_COLUMNS = ("system", "clip", "identity", "protocol", "key", "status", "reason")
CLIP_COLUMNS = ("system", "clip", "identity", "seed", "protocol", "key", "value", "status", "reason", "coverage")
LATER_COLUMNS = ("coverage",)
"""Columns that older runs do not have."""


@dataclass(frozen=True, kw_only=True, order=True, slots=True)
class ClipRow:
    """One number of one generated clip, or the reason why there is none.

    Attributes:
        system: Name of the system.
        clip: Id of the clip.
        identity: Who is seen; the unit of resampling.
        seed: Seed of the generation.
        protocol: ``metric/variant@version``.
        key: Which value of the protocol.
        value: The number; None unless ``status`` is ``ok``.
        status: ``ok`` or a status word such as ``no_face``.
        reason: One sentence when there is no number.
        coverage: Share of the clip's frames that the number rests on, in [0, 1]; None when there is no number or the
            run did not record it.
    """

    system: str
    clip: str
    identity: str
    seed: int
    protocol: str
    key: str
    value: float | None
    status: str
    reason: str = ""
    coverage: float | None = None


def write_rows(folder: Path, rows: Sequence[ClipRow]) -> Path:
    """Writes ``clips.parquet`` into a run's folder: one row per system, clip, seed, protocol and value."""
    import pandas as pd

    columns = list(CLIP_COLUMNS)
    table = pd.DataFrame([{name: getattr(row, name) for name in columns} for row in rows], columns=columns)
    table["value"] = table["value"].astype("float64")
    table["seed"] = table["seed"].astype("int64")
    table["coverage"] = table["coverage"].astype("float64")
    path = folder / CLIPS_FILE
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
    return path


def read_rows(path: Path) -> Iterator[ClipRow]:
    """Reads what ``write_rows`` wrote; a row that claims ``ok`` without a finite number becomes ``undefined``."""
    import pyarrow.parquet as pq

    present = set(pq.read_schema(path).names)
    names = [name for name in CLIP_COLUMNS if name in present or name not in LATER_COLUMNS]
    for fields in table_rows(path, names, texts=TEXT_COLUMNS):
        row = dict(zip(names, fields, strict=True))
        known = row["value"] is not None and math.isfinite(row["value"])
        status = row["status"] if known or row["status"] != "ok" else "undefined"
        share = row.get("coverage")
        row |= {"value": row["value"] if known else None, "status": status, "reason": row["reason"] or ""}
        row["coverage"] = share if share is not None and 0 <= share <= 1 else None
        yield ClipRow(**row)


def rows_table(folder: Path) -> pd.DataFrame:
    """The rows of a run's folder as a table; an empty one with the right columns when there are none."""
    import pandas as pd

    path = folder / CLIPS_FILE
    if not path.is_file():
        return pd.DataFrame(columns=list(CLIP_COLUMNS))
    return pd.read_parquet(path)
