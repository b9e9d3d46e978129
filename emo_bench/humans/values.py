"""Values that are held against votes: those of a run, or of any table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emo_bench.humans.table import read_table
from emo_bench.record.run_data import RunData, load_run
from emo_core.errors import ConfigError

Direction = Literal["higher", "lower", "closer_to_gt"]
Reading = Literal["higher", "lower", "closer"]
"""How a number is turned into 'better': more, less, or closer to the ground truth's number of the same clip."""


@dataclass(frozen=True, kw_only=True)
class MeasuredValue:
    """One number of one clip of one system.

    Attributes:
        system: The system.
        clip: Id of the clip; empty for a value of a whole set.
        protocol: ``metric/variant@version``, or the column of a table.
        key: Which value of the protocol; empty for a column of a table.
        label: Its name in tables.
        direction: Which way it improves, as declared.
        value: The number.
    """

    system: str
    clip: str
    protocol: str
    key: str
    label: str
    direction: Direction
    value: float


@dataclass(frozen=True, kw_only=True)
class Measure:
    """All numbers of one value of one protocol.

    Attributes:
        protocol: The protocol.
        key: Which value of it.
        label: Its name in tables.
        direction: Which way it improves, as declared.
        values: (system, clip) -> number; the clip is empty for values of whole sets.
        truth: Clip -> the ground truth's number, possibly none; the clip is empty for values of whole sets.
    """

    protocol: str
    key: str
    label: str
    direction: Direction
    values: Mapping[tuple[str, str], float]
    truth: Mapping[str, float]

    @property
    def of_sets(self) -> bool:
        """Whether there is one number for each system only."""
        return all(clip == "" for _, clip in self.values)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The raw direction, and closeness to the ground truth where its numbers say something."""
        raw: Reading = "lower" if self.direction == "lower" else "higher"
        return (raw, "closer") if self.truth else (raw,)

    @property
    def declared(self) -> Reading:
        """The reading that the protocol's direction asks for."""
        return "closer" if self.direction == "closer_to_gt" else self.direction

    def goodness(self, system: str, clip: str, reading: Reading) -> float:
        """How good the clip is under a reading, more is better; NaN when unknown."""
        value = self.values.get((system, clip if not self.of_sets else ""), math.nan)
        if reading == "closer":
            return -abs(value - self.truth.get(clip if not self.of_sets else "", math.nan))
        return -value if reading == "lower" else value


def measures_of_run(run: RunData) -> tuple[Measure, ...]:
    """Every value of every protocol of a run, per clip where there is one, else of the set."""
    truth = run.ground_truth
    tested = [system.name for system in run.record.systems if not system.anchor]
    set_values = {(item.system, item.protocol, item.key): item.value for item in run.record.values}
    made = []
    for protocol in run.record.protocols:
        for value in protocol.values:
            found: dict[tuple[str, str], float] = {}
            own: Mapping[str, float] = {}
            if protocol.granularity == "clip":
                for name in tested:
                    means = run.clip_means(name, protocol.name, value.key)
                    found |= {(name, clip): number for clip, number in means.items()}
                own = run.clip_means(truth, protocol.name, value.key) if truth else {}
            else:
                known = {name: set_values.get((name, protocol.name, value.key)) for name in tested}
                found = {(name, ""): number for name, number in known.items() if number is not None}
            if not found:
                continue
            # A value that is 0 for the ground truth by definition (a distance to it) has no reading of its own.
            trivial = value.direction == "lower" and all(number == 0 for number in own.values())
            ideal = value.direction == "higher" and len(set(own.values())) == 1
            made.append(
                Measure(
                    protocol=protocol.name,
                    key=value.key,
                    label=value.label,
                    direction=value.direction,
                    values=found,
                    truth={} if trivial or ideal else own,
                )
            )
    return tuple(made)


def measures_of_values(values: tuple[MeasuredValue, ...]) -> tuple[Measure, ...]:
    """Groups single values; systems called ``ground-truth`` or ``gt`` give what 'closer' is measured from."""
    order = list(dict.fromkeys((item.protocol, item.key) for item in values))
    grouped: dict[tuple[str, str], list[MeasuredValue]] = {key: [] for key in order}
    for item in values:
        grouped[item.protocol, item.key].append(item)
    made = []
    for (protocol, key), items in grouped.items():
        truth = {item.clip: item.value for item in items if _is_truth(item.system)}
        found = {(item.system, item.clip): item.value for item in items if not _is_truth(item.system)}
        made.append(
            Measure(
                protocol=protocol,
                key=key,
                label=items[0].label,
                direction=items[0].direction,
                values=found,
                truth=truth,
            )
        )
    return tuple(made)


def _is_truth(system: str) -> bool:
    return system.casefold() in ("ground-truth", "ground_truth", "gt")


def read_measures(path: Path, *, lower: tuple[str, ...] = ()) -> tuple[Measure, ...]:
    """Values from a run folder, its record, or a CSV table with ``system``, ``clip`` and a column for each number.

    Args:
        path: The run or the table.
        lower: Columns of a table of which less is better.

    Raises:
        ConfigError: when a table lacks those columns or one that ``lower`` names, a cell is no number, or a clip of a
            system stands there twice.
        RecordError: when a run cannot be read.
    """
    if path.suffix.lower() != ".csv":
        return measures_of_run(load_run(path))
    table = read_table(path)
    if not table.has("system"):
        raise ConfigError(f"{path} is no table of values", expected="the columns system and clip, and one per number")
    columns = [name for name in table.columns if name not in ("system", "clip")]
    unknown = [name for name in lower if name not in columns]
    if unknown or not columns:
        raise ConfigError(f"{path}: no column {', '.join(unknown) or 'of numbers'}", expected=", ".join(columns))
    values, seen = [], set()
    for line, row in enumerate(table.rows, start=2):
        place = row["system"], row["clip"]
        if place in seen:
            raise ConfigError(
                f"{path}, line {line}: values that stand there already",
                expected="one line for each system and clip",
                found=" / ".join(place),
            )
        seen.add(place)
        for name in columns:
            if row[name] == "":
                continue
            try:
                number = float(row[name])
            except ValueError:
                raise ConfigError(f"{path}, line {line}: {name!r} is no number", found=repr(row[name])) from None
            values.append(
                MeasuredValue(
                    system=row["system"],
                    clip=row["clip"],
                    protocol=name,
                    key="",
                    label=name,
                    direction="lower" if name in lower else "higher",
                    value=number,
                )
            )
    return measures_of_values(tuple(values))
