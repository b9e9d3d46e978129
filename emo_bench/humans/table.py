"""Small CSV files as rows of text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emo_bench.record.limits import MAX_TEXT_BYTES, read_bytes
from emo_core.errors import ConfigError


@dataclass(frozen=True)
class TextTable:
    """A table of text.

    Attributes:
        columns: Names in the file's order.
        rows: One mapping a line.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]

    def has(self, *names: str) -> bool:
        """Whether all of these columns, and ``clip``, are there."""
        return {"clip", *names} <= set(self.columns)


def read_table(path: Path) -> TextTable:
    """Reads a CSV file (UTF-8, comma).

    Raises:
        ConfigError: when it is missing, empty, not UTF-8 or no CSV, when two columns have one name, or a line has too
            few or too many fields.
    """
    if not path.is_file():
        raise ConfigError(f"no file {path}", expected="a CSV file with a header")
    try:
        text = read_bytes(path, MAX_TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text", expected="a CSV file with a header") from None
    try:
        lines = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ConfigError(f"{path} is no CSV file", expected="a CSV file with a header", found=str(error)) from None
    columns = tuple(name.strip() for name in lines[0]) if lines else ()
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise ConfigError(f"{path}: two columns have one name", expected="each name once", found=repr(twice))
    rows = []
    for number, fields in enumerate(lines[1:], start=2):
        if not fields:
            continue
        if len(fields) != len(columns):
            raise ConfigError(
                f"{path}, line {number}: {len(fields)} fields", expected=f"{len(columns)}, as in the header"
            )
        rows.append(dict(zip(columns, fields, strict=True)))
    if not rows:
        raise ConfigError(f"{path} holds no lines", expected="a header and at least one line")
    return TextTable(columns, tuple(rows))
