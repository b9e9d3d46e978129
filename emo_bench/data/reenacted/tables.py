"""Reads tables (CSV) of portraits or talking clips, whose paths stay below the table's folder, and lists of names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from emo_core.errors import ConfigError, DataError


def table_rows(table: Path, *, of: str) -> Iterator[Mapping[str, str]]:
    """The rows of a table with a column ``file``.

    Args:
        table: The CSV file.
        of: What it should be a table of, for the message.

    Raises:
        DataError: when it is missing, is no table in UTF-8, lacks the column, or a row has no file.
    """
    if not table.is_file():
        raise DataError(f"no table {table}", expected=of)
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if "file" not in (rows.fieldnames or ()):
                raise DataError(f"{table} has no column 'file'", found=", ".join(rows.fieldnames or ()))
            for row in rows:
                if not (row["file"] or "").strip():
                    raise DataError(f"{table}:{rows.line_num}: no file", expected="a path in the column 'file'")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} cannot be read", expected="a table (CSV) in UTF-8", found=str(error)) from None


def names_in(path: Path) -> list[str]:
    """The lines of a text file that are not empty, such as the ids that are left out.

    Raises:
        ConfigError: when it is missing or not in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        expected = "a text file in UTF-8, one name a line"
        raise ConfigError(f"cannot read {path}", expected=expected, found=str(error)) from None
    # Not splitlines(): names may hold U+2028 and the like.
    return [line.strip() for line in text.split("\n") if line.strip()]


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
