"""A run's numbers as files for other programs: CSV, Parquet or JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any, Literal

from emo_bench.record.rows import CLIP_COLUMNS
from emo_bench.record.run_data import RunData
from emo_core.atomic import atomic_path, write_json, write_text
from emo_core.errors import ConfigError

What = Literal["values", "clips", "metrics"]
EXPORT_FORMATS = ("csv", "parquet", "json")


def export_run(run: RunData, target: Path, *, what: What = "clips", format_name: str | None = None) -> Path:
    """Writes all values of the systems, or all values of all clips.

    Args:
        run: The run.
        target: File to write.
        what: ``values`` is one line per system and value, ``clips`` one per system, clip, seed and value, ``metrics``
            the main table as system -> protocol -> value, for ``dvc metrics`` (JSON only).
        format_name: One of ``EXPORT_FORMATS``; the suffix of ``target`` decides when absent.

    Raises:
        ConfigError: for a format that does not exist.
    """
    chosen = format_name or target.suffix.removeprefix(".").lower()
    if chosen not in EXPORT_FORMATS:
        raise ConfigError(
            f"cannot export to {chosen or 'a file without a suffix'!r}", expected=f"one of {', '.join(EXPORT_FORMATS)}"
        )
    if what == "metrics":
        if chosen != "json":
            raise ConfigError("metrics are exported as JSON only", expected=".json", found=f".{chosen}")
        write_json(target, main_values(run))
        return target
    rows = _value_rows(run) if what == "values" else _clip_rows(run)
    names = list(rows[0]) if rows else list(CLIP_COLUMNS)
    if chosen == "csv":
        write_text(target, _csv(names, rows))
    elif chosen == "json":
        write_text(target, json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _parquet(target, names, rows)
    return target


def main_values(run: RunData) -> dict[str, dict[str, dict[str, float]]]:
    """The numbers of the main table: system -> protocol -> key -> value; a number that is missing is absent."""
    primary = {
        (protocol.name, value.key) for protocol in run.record.protocols for value in protocol.values if value.primary
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    for entry in run.record.values:
        known = entry.status == "ok" and entry.value is not None and math.isfinite(entry.value)
        if (entry.protocol, entry.key) in primary and known and entry.value is not None:
            found.setdefault(entry.system, {}).setdefault(entry.protocol, {})[entry.key] = entry.value
    return found


def _value_rows(run: RunData) -> list[dict[str, Any]]:
    from emo_bench.report.text_tables import long_rows

    return long_rows(run)


def _clip_rows(run: RunData) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in CLIP_COLUMNS} for row in run.rows]


def _csv(names: list[str], rows: list[dict[str, Any]]) -> str:
    from emo_core.text import csv_cell

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([csv_cell(row[name]) for name in names] for row in rows)
    return stream.getvalue()


def _parquet(target: Path, names: list[str], rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: [row[name] for row in rows] for name in names})
    with atomic_path(target) as temporary:
        pq.write_table(table, temporary)
