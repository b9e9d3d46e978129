"""Numbers that papers print: shown in grey beside a run, of unknown protocol, never ranked with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from emo_bench.config.load import read_yaml, validate
from emo_bench.config.schema import Frozen


class PublishedRow(Frozen):
    """A line of a paper's table."""

    system: str = Field(description="Name of the system as the paper writes it")
    values: dict[str, float | None] = Field(description="Column label -> number; null where the paper has a dash")


class PublishedTable(Frozen):
    """A table of a paper."""

    source: str = Field(description="Paper, with its version")
    table: str = Field(description="Which table of it")
    protocol: Literal["unknown"] = Field(default="unknown", description="Papers do not fix theirs")
    note: str = Field(default="", description="What a reader should know")
    rows: tuple[PublishedRow, ...]

    def view(self) -> dict[str, Any]:
        """Labels and lines for display; numbers keep the digits that they were given with."""
        labels = list(dict.fromkeys(label for row in self.rows for label in row.values))
        rows = [
            {"system": row.system, "texts": [_text(row.values.get(label)) for label in labels]} for row in self.rows
        ]
        return {**self.model_dump(exclude={"rows"}), "labels": labels, "rows": rows}


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:g}".replace("-", "−")


def read_published(path: Path) -> PublishedTable:
    """Reads a file of ``configs/published``.

    Raises:
        ConfigError: naming file, line and key of what is wrong.
    """
    return validate(PublishedTable, read_yaml(path))
