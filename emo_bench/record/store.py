"""Writes a run's record, and holds the only code that reads one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emo_bench.record.limits import MAX_RECORD_BYTES, read_bytes
from emo_bench.record.schema import SCHEMA_VERSION, RunRecord
from emo_core.atomic import write_text
from emo_core.errors import RecordError

RECORD_FILE = "record.json"


def write_record(folder: Path, record: RunRecord) -> Path:
    """Writes ``record.json`` atomically with sorted keys, so that equal records are equal files."""
    path = folder / RECORD_FILE
    values = record.model_dump(mode="json")
    write_text(path, json.dumps(values, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")
    return path


def remove_record(folder: Path) -> None:
    """Takes away the record of an earlier run in this folder, so that an unfinished one is never taken for it."""
    (folder / RECORD_FILE).unlink(missing_ok=True)


def record_path(path: Path) -> Path:
    """The record's file, given that file or its run's folder."""
    return path / RECORD_FILE if path.is_dir() else path


def read_record(path: Path) -> RunRecord:
    """Reads and checks a record, given its file or its run's folder.

    Raises:
        RecordError: when it is missing, damaged, or of another version.
    """
    path = record_path(path)
    try:
        text = read_bytes(path, MAX_RECORD_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise RecordError(
            f"no run record at {path}",
            expected=f"a run folder with {RECORD_FILE}",
            fix="give the folder that `emo-bench run` wrote, usually runs/<name>",
        ) from None
    except OSError as error:
        raise RecordError(f"cannot read {path}", expected="a readable file", found=str(error)) from None
    except UnicodeDecodeError as error:
        raise RecordError(f"{path} is damaged", expected="JSON in UTF-8", found=str(error)) from None
    try:
        version = json.loads(text, object_pairs_hook=_without_repeats).get("schema_version", "none")
    except (ValueError, AttributeError, RecursionError) as error:
        found = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RecordError(f"{path} is damaged or no run record", expected="a JSON object", found=found) from None
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        fix = "update emo-bench" if newer else "run the suite again; what is finished is reused"
        raise RecordError(
            f"{path} has another version of the record", expected=str(SCHEMA_VERSION), found=str(version), fix=fix
        )
    try:
        return RunRecord.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordError(
            f"{path} is damaged: {error.error_count()} wrong fields",
            expected=f"a record of version {SCHEMA_VERSION}",
            found=f"{place}: {first['msg']}",
            fix="run the same suite again; what is finished is reused",
        ) from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of two values under one name, readers take now one, now the other."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name appears twice in one object")
    return values
