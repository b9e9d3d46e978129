"""Reads and writes the files of a run's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from emo_bench.core.atomic import atomic_path, write_text
from emo_bench.core.errors import RecordError
from emo_bench.record.schema import SCHEMA_VERSION, RunRecord

if TYPE_CHECKING:
    import pandas as pd

    from emo_bench.scoring.rows import Row

RECORD_FILE = "record.json"
CLIPS_FILE = "clips.parquet"
COLUMNS = ["system", "clip", "identity", "seed", "protocol", "key", "value", "status", "reason"]


def write_record(folder: Path, record: RunRecord) -> Path:
    """Writes ``record.json`` atomically with sorted keys, so that equal records are equal files."""
    path = folder / RECORD_FILE
    values = record.model_dump(mode="json")
    write_text(path, json.dumps(values, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")
    return path


def read_record(path: Path) -> RunRecord:
    """Reads a record, given its file or its run's folder.

    Raises:
        RecordError: when it is missing, damaged, or of a version that this program does not know.
    """
    file = path / RECORD_FILE if path.is_dir() else path
    if not file.is_file():
        raise RecordError(f"no record at {file}", expected="a run's folder or its record.json", found="nothing")
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RecordError(f"{file} is damaged", expected="JSON", found=str(error)) from None
    found = raw.get("schema_version") if isinstance(raw, dict) else None
    if found != SCHEMA_VERSION:
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        raise RecordError(
            f"{file} has a record version that this program does not know",
            expected=f"schema_version {SCHEMA_VERSION}",
            found=f"{found!r}",
            fix="update emo-bench" if newer else "run the suite again",
        )
    try:
        return RunRecord.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordError(f"{file} is damaged", expected="a run record", found=f"{where}: {first['msg']}") from None


def write_rows(folder: Path, rows: Sequence[Row]) -> Path:
    """Writes ``clips.parquet``: one row per system, clip, seed, protocol and value."""
    import pandas as pd

    table = pd.DataFrame([{name: getattr(row, name) for name in COLUMNS} for row in rows], columns=COLUMNS)
    table["value"] = table["value"].astype("float64")
    table["seed"] = table["seed"].astype("int64")
    path = folder / CLIPS_FILE
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
    return path


def read_rows(folder: Path) -> pd.DataFrame:
    """Reads ``clips.parquet``; an empty table with the right columns when it is missing."""
    import pandas as pd

    path = folder / CLIPS_FILE
    if not path.is_file():
        return pd.DataFrame(
            columns=["system", "clip", "identity", "seed", "protocol", "key", "value", "status", "reason"]
        )
    return pd.read_parquet(path)
