"""A finished run as the reports see it: the record, the rows of its clips, its traces and its previews."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from emo_bench.record.clip_facts import FACTS_FILE, ClipFacts, read_clip_facts
from emo_bench.record.human_study import STUDIES_FOLDER, StudyResult, read_studies
from emo_bench.record.limits import MAX_PREVIEW_BYTES, MAX_TEXT_BYTES, read_bytes, table_rows
from emo_bench.record.rows import CLIPS_FILE, ClipRow, read_rows
from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import SERIES_FILE, damage
from emo_bench.record.set_samples import SAMPLES_FILE, ClipSamples, by_system, read_set_samples
from emo_bench.record.store import read_record, record_path
from emo_bench.record.unit_times import JOURNAL_FILE, UnitTime, read_unit_times
from emo_core.errors import RecordError

UNSEALED = "The record has no digests of its files, so changes of them would go unnoticed."


@dataclass(frozen=True)
class Series:
    """A trace over the frames of a clip (``mouth_opening``, ``yaw``, …) or a curve over lags (``lag:…``).

    Attributes:
        system: Name of the system.
        clip: Id of the clip.
        seed: Seed of the generation.
        name: What was measured.
        fps: Values per second.
        values: The numbers; NaN where a frame has none.
    """

    system: str
    clip: str
    seed: int
    name: str
    fps: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Preview:
    """A watchable copy of a generated clip, or a strip of its frames."""

    clip: str
    system: str
    path: Path


@dataclass(frozen=True)
class RunData:
    """Everything a report may read.

    Attributes:
        folder: Where it came from; None for a record without a folder.
        record: The outcome.
        rows: One row per system, clip, seed, protocol and key; empty when the run kept none.
        series: Traces, possibly none.
        previews: Watchable clips, possibly none.
        strips: Images of frames side by side, possibly none.
        facts: Styles and face boxes of clips, possibly none.
        unit_times: How long clips took to generate, possibly none.
        studies: Human studies of the run's clips, possibly none.
        notes: What could not be read or trusted, in sentences for the reader.
        damage: What is not as the run wrote it, in sentences; they are among the notes.
        unsealed: Whether the files came without the digests that would tell.
    """

    record: RunRecord
    folder: Path | None = None
    rows: tuple[ClipRow, ...] = ()
    series: tuple[Series, ...] = ()
    previews: tuple[Preview, ...] = ()
    strips: tuple[Preview, ...] = ()
    facts: tuple[ClipFacts, ...] = ()
    unit_times: tuple[UnitTime, ...] = ()
    studies: tuple[StudyResult, ...] = ()
    notes: tuple[str, ...] = field(default=())
    damage: tuple[str, ...] = ()
    unsealed: bool = False

    @cached_property
    def samples(self) -> Mapping[tuple[str, str], Mapping[str, ClipSamples]]:
        """(protocol, system) -> ``clip#seed`` -> samples behind values of whole sets; empty when the run kept none."""
        if self.folder is None:
            return {}
        found: tuple[ClipSamples, ...] = _optional(self.folder / SAMPLES_FILE, read_set_samples, [], "")
        return by_system(found)

    @cached_property
    def missing_rows(self) -> str:
        """A sentence when the record has values of clips whose rows are not here; empty when they are."""
        by_clip = {protocol.name for protocol in self.record.protocols if protocol.granularity == "clip"}
        if self.rows or not any(entry.n_scored and entry.protocol in by_clip for entry in self.record.values):
            return ""
        return f"Its values of single clips ({CLIPS_FILE}) are not beside the record: copy the whole folder of the run."

    @cached_property
    def ground_truth(self) -> str | None:
        """Name of the system that plays the real clips, when the run has one."""
        return next((system.name for system in self.record.systems if system.kind == "ground_truth"), None)

    @cached_property
    def identities(self) -> Mapping[str, str]:
        """Clip id -> identity."""
        return {clip.id: clip.identity for clip in self.record.clips}

    @cached_property
    def _rows_by_value(self) -> Mapping[tuple[str, str, str], tuple[ClipRow, ...]]:
        grouped: dict[tuple[str, str, str], list[ClipRow]] = {}
        for row in self.rows:
            grouped.setdefault((row.system, row.protocol, row.key), []).append(row)
        return {key: tuple(rows) for key, rows in grouped.items()}

    def rows_of(self, system: str, protocol: str, key: str) -> tuple[ClipRow, ...]:
        """The rows of one value of one system."""
        return self._rows_by_value.get((system, protocol, key), ())

    def clip_means(self, system: str, protocol: str, key: str) -> dict[str, float]:
        """Clip id -> mean over its seeds, for the clips with a finite value for every seed that they were given."""
        return {clip: math.fsum(found) / len(found) for clip, found in self._by_clip(system, protocol, key).items()}

    def clip_distances(self, system: str, protocol: str, key: str) -> dict[str, float]:
        """Clip id -> distance from the ground truth's value of the same clip, mean over its seeds.

        The distance of each video, not that of the mean of its seeds: else too much and too little would cancel out.
        """
        truth = self.clip_means(self.ground_truth, protocol, key) if self.ground_truth else {}
        return {
            clip: math.fsum(abs(value - truth[clip]) for value in found) / len(found)
            for clip, found in self._by_clip(system, protocol, key).items()
            if clip in truth
        }

    def _by_clip(self, system: str, protocol: str, key: str) -> dict[str, list[float]]:
        """Clip id -> values of its seeds, for the clips with a finite value for every seed that they were given."""
        grouped: dict[str, list[float]] = {}
        broken: set[str] = set()
        for row in self.rows_of(system, protocol, key):
            if row.status != "ok" or row.value is None or not math.isfinite(row.value):
                broken.add(row.clip)
            else:
                grouped.setdefault(row.clip, []).append(row.value)
        return {clip: found for clip, found in grouped.items() if clip not in broken}


def load_run(path: Path) -> RunData:
    """Reads a run folder, or the ``record.json`` within one.

    A missing or unreadable file beside the record costs what it would have shown and leaves a note; only the record
    itself must be there.

    Raises:
        RecordError: when the record is missing, damaged, or of another version.
    """
    folder = record_path(path).parent
    record = read_record(path)
    damaged = tuple(damage(record, folder))
    notes = [*damaged, *([UNSEALED] if record.seal is None else [])]
    return RunData(
        record=record,
        folder=folder,
        rows=_optional(folder / CLIPS_FILE, read_rows, notes, "per-clip values"),
        series=_optional(folder / SERIES_FILE, _series, notes, ""),
        previews=_optional(folder / "previews" / "index.json", _previews, notes, ""),
        strips=_optional(folder / "previews" / "frames.json", _previews, notes, ""),
        facts=_optional(folder / FACTS_FILE, read_clip_facts, notes, ""),
        unit_times=_optional(folder / JOURNAL_FILE, read_unit_times, notes, ""),
        studies=_studies(folder, record, notes),
        notes=tuple(notes),
        damage=damaged,
        unsealed=record.seal is None,
    )


def _optional(path: Path, read: Any, notes: list[str], loss: str) -> Any:
    if not path.is_file():
        if loss:
            notes.append(f"{path.name} is missing, so there are no {loss}.")
        return ()
    try:
        return tuple(read(path))
    except RecordError as error:
        notes.append(f"{path.name} is left out: more than {error.expected.removeprefix('at most ')}.")
        return ()
    except Exception as error:  # whatever is wrong with an extra file, the record is worth showing
        notes.append(f"{path.name} cannot be read ({type(error).__name__}), so what it holds is left out.")
        return ()


def _studies(folder: Path, record: RunRecord, notes: list[str]) -> tuple[StudyResult, ...]:
    try:
        found = read_studies(folder)
    except (ValueError, RecordError, OSError) as error:
        notes.append(f"{STUDIES_FOLDER} cannot be read ({type(error).__name__}), so human studies are left out.")
        return ()
    seal = record.seal.record if record.seal is not None else ""
    # A suite that runs again in its folder may show other clips than raters have seen.
    other = [study for study in found if study.record not in ("", seal)]
    notes += [f"The human study {study.study} is left out: it was made from another record." for study in other]
    return tuple(study for study in found if study not in other)


def _series(path: Path) -> Iterator[Series]:
    columns = ("system", "clip", "seed", "name", "fps", "values")
    for system, clip, seed, name, fps, values in table_rows(path, columns, texts=("system", "clip", "name")):
        numbers = tuple(math.nan if value is None else float(value) for value in values)
        yield Series(system=system, clip=clip, seed=seed, name=name, fps=float(fps), values=numbers)


def _previews(path: Path) -> Iterator[Preview]:
    root = path.parent.resolve()
    for entry in json.loads(read_bytes(path, MAX_TEXT_BYTES)):
        place = (path.parent / entry["file"]).resolve()
        # An index never points outside its own folder.
        if place.is_relative_to(root) and place.is_file() and place.stat().st_size <= MAX_PREVIEW_BYTES:
            yield Preview(clip=str(entry["clip"]), system=str(entry["system"]), path=place)
