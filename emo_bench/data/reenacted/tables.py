"""Reads tables (CSV) of portraits or talking clips; paths in them stay below the table's folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from emo_core.errors import DataError


def table_rows(table: Path, *, of: str) -> Iterator[Mapping[str, str]]:
    """The rows of a table with a column ``file``.

    Args:
        table: The CSV file.
        of: What it should be a table of, for the message.

    Raises:
        DataError: when it is missing or lacks the column.
    """
    if not table.is_file():
        raise DataError(f"no table {table}", expected=of)
    with table.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        if "file" not in (rows.fieldnames or ()):
            raise DataError(f"{table} has no column 'file'", found=", ".join(rows.fieldnames or ()))
        yield from rows


def path_below(table: Path, text: str) -> Path:
    """A path of a table, resolved against its folder.

    Raises:
        DataError: when it leaves that folder.
    """
    root = table.parent.resolve()
    path = (root / text).resolve()
    if not path.is_relative_to(root):
        raise DataError(f"the path {text!r} leaves the folder of the table", expected=f"a file below {root}")
    return path
