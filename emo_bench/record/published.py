"""Tables from papers as data: shown in grey beside measured rows, never ranked with them, never filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FiniteFloat, model_validator

from emo_bench.config.load import read_yaml, validate
from emo_bench.config.schema import Frozen
from emo_bench.config.shipped import shipped_folders
from emo_core.errors import ConfigError

ATLAS = "atlas"
"""Folder of the tables of many papers, and how all of them on a run's data set are asked for."""


class PublishedRow(Frozen):
    """What a paper says of one system.

    Attributes:
        system: Name as the paper writes it.
        values: Column label -> number; null where the paper prints none.
    """

    system: str = Field(min_length=1)
    values: dict[str, FiniteFloat | None] = Field(min_length=1)


class PublishedTable(Frozen):
    """One table of one paper.

    Attributes:
        version: Of this file format.
        source: The paper, with its identifier and version.
        table: Which of its tables.
        dataset: What it was measured on, as far as the paper says.
        protocol: Always 'unknown': papers do not state enough to make their numbers comparable with measured ones.
        stated_protocol: What the paper says of clips, frames, crops and weights; empty when it was not looked up.
        read_from: Which copy of the paper the numbers were read from; empty when from the paper itself.
        note: What a reader must know before comparing.
        rows: In the paper's order; all have the same columns.
    """

    version: Literal[1] = 1
    source: str = Field(min_length=1)
    table: str = Field(min_length=1)
    dataset: str = Field(min_length=1)
    protocol: Literal["unknown"] = "unknown"
    stated_protocol: str = ""
    read_from: str = ""
    note: str = ""
    rows: tuple[PublishedRow, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rectangular(self) -> PublishedTable:
        names = [row.system for row in self.rows]
        if len(set(names)) != len(names):
            raise ValueError("expected each system once")
        for row in self.rows:
            if tuple(row.values) != self.columns:
                raise ValueError(f"expected the columns {', '.join(self.columns)} in every row; see {row.system!r}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Column labels in the paper's order."""
        return tuple(self.rows[0].values)

    def value(self, system: str, column: str) -> float | None:
        """The printed number; None when the paper prints none, or has no such row or column."""
        return next((row.values.get(column) for row in self.rows if row.system == system), None)

    def view(self) -> dict[str, Any]:
        """Labels and lines as text for display; a column shows as many decimals as the paper printed in it."""
        decimals = {label: max(_decimals(row.values[label]) for row in self.rows) for label in self.columns}
        rows = [
            {"system": row.system, "texts": [_text(row.values[label], decimals[label]) for label in self.columns]}
            for row in self.rows
        ]
        return {**self.model_dump(exclude={"rows"}), "labels": list(self.columns), "rows": rows}


def _decimals(value: float | None) -> int:
    return 0 if value is None else len(f"{value:.10g}".partition(".")[2])


def _text(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}".replace("-", "−")


def published_folders(base: Path | None = None) -> tuple[Path, ...]:
    """Where tables are looked for: beside the suites, then those of the project."""
    beside = () if base is None else (base.parent / "published",)
    return tuple(dict.fromkeys((*beside, *shipped_folders("published"))))


def load_published(path: Path) -> PublishedTable:
    """Reads one table.

    Raises:
        ConfigError: with the place of every mistake.
    """
    return validate(PublishedTable, read_yaml(path))


def published_tables(base: Path | None = None) -> dict[str, PublishedTable]:
    """All tables that can be found, by file name without ending.

    Raises:
        ConfigError: when one of them has mistakes.
    """
    found: dict[str, PublishedTable] = {}
    for folder in published_folders(base):
        for path in sorted(folder.glob("*.yaml")):
            found.setdefault(path.stem, load_published(path))
    return found


def atlas_tables(base: Path | None = None) -> dict[str, PublishedTable]:
    """The atlas: tables of many papers, by ``atlas/NAME``; reports show them only where they are asked for.

    Raises:
        ConfigError: when one of them has mistakes.
    """
    found: dict[str, PublishedTable] = {}
    for folder in published_folders(base):
        for path in sorted((folder / ATLAS).glob("*.yaml")):
            found.setdefault(f"{ATLAS}/{path.stem}", load_published(path))
    return found


def find_published(name: str, *, base: Path | None = None) -> PublishedTable:
    """One table by name.

    Raises:
        ConfigError: when there is none of that name.
    """
    tables = {**published_tables(base), **atlas_tables(base)}
    if name not in tables:
        raise ConfigError(f"no published table {name!r}", expected=f"one of: {', '.join(tables) or '(none found)'}")
    return tables[name]
