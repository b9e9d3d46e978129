"""Numbers that papers print: shown in grey beside a run, of unknown protocol, never ranked with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from emo_bench.config.load import read_yaml, validate
from emo_bench.config.schema import Frozen
from emo_bench.report.tables import format_number


class PublishedRow(Frozen):
    """A line of a paper's table."""

    system: str = Field(description="Name of the system as the paper writes it")
    values: dict[str, float | None] = Field(description="Column label -> number; null where the paper has a dash")


class PublishedTable(Frozen):
    """A table of a paper."""

    version: Literal[1] = Field(default=1, description="Version of this file format")
    source: str = Field(description="Paper, with its version")
    table: str = Field(description="Which table of it")
    dataset: str = Field(default="", description="Data that the paper measured on")
    protocol: Literal["unknown"] = Field(default="unknown", description="Papers do not fix theirs")
    note: str = Field(default="", description="What a reader should know")
    rows: tuple[PublishedRow, ...]

    def view(self) -> dict[str, Any]:
        """Labels and lines for display; a column has the digits of its most precise number."""
        labels = list(dict.fromkeys(label for row in self.rows for label in row.values))
        digits = {label: max((_decimals(row.values.get(label)) for row in self.rows), default=0) for label in labels}
        rows = [
            {"system": row.system, "texts": [_text(row.values.get(label), digits[label]) for label in labels]}
            for row in self.rows
        ]
        return {**self.model_dump(exclude={"rows"}), "labels": labels, "rows": rows}


def _decimals(value: float | None) -> int:
    text = "" if value is None else f"{value:.10g}"
    return len(text.partition(".")[2])


def _text(value: float | None, digits: int) -> str:
    return "–" if value is None else format_number(value, digits)


def read_published(path: Path) -> PublishedTable:
    """Reads a file of ``configs/published``.

    Raises:
        ConfigError: naming file, line and key of what is wrong.
    """
    return validate(PublishedTable, read_yaml(path))
