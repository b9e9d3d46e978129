"""RunRecord, version 1: frozen models whose every field says what it holds.

Everything that differs between two equal runs (times, dates, host) lies in ``timings`` and ``provenance.host``; the
rest of two records of the same suite on the same data is equal byte for byte.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

Status = Literal["ok", "failed", "skipped", "undefined", "not_applicable"]
DirectionName = Literal["higher", "lower", "closer_to_gt"]


class RecordModel(BaseModel):
    """Base: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def spelled_out(self) -> Self:
        """The same with every default given explicitly, as it is read back from a file that was written in full."""
        return type(self).model_validate(self.model_dump())


class IntervalEntry(RecordModel):
    """A confidence interval and how it was made."""

    low: float
    high: float
    level: float = Field(description="For example 0.95")
    method: str = Field(description="For example 'cluster bootstrap by identity, percentile, 2000 resamples'")
    n_units: int = Field(description="Resampled units: identities or groups of clips")


class ValueEntry(RecordModel):
    """One number of one system under one protocol, or the reason why there is none."""

    system: str
    protocol: str
    key: str = Field(description="Which value of the protocol, for example 'lse-c'")
    value: float | None = Field(description="None unless status is 'ok'; never 0 because something is missing")
    status: Status
    reason: str = Field(default="", description="Why there is no value, or a caveat such as 'few samples'")
    interval: IntervalEntry | None = None
    gap_to_ground_truth: float | None = Field(
        default=None, description="|value - ground truth's value|, both over the clips that both have"
    )
    n_planned: int = Field(description="Clips (times seeds) requested by the suite")
    n_scored: int = Field(description="Clips that the value is based on")
    n_identities: int = 0
    frame_coverage: float | None = Field(
        default=None, description="Mean share of frames that the value is based on, over its clips; None when unknown"
    )
    watermark: str = Field(default="", description="Set when N is too small to quote the value without saying so")


class ComparisonEntry(RecordModel):
    """Two systems on the same clips: the paired difference of one value."""

    protocol: str
    key: str
    system_a: str
    system_b: str
    difference: float | None = Field(description="a minus b; for 'closer_to_gt' the difference of distances to GT")
    interval: IntervalEntry | None = None
    p_value: float | None = None
    p_corrected: float | None = None
    probability_a_better: float | None = None
    n_pairs: int
    verdict: Literal["a_better", "b_better", "tie", "undefined"]
    reason: str = ""


class AnchorCheck(RecordModel):
    """Whether a metric ranks two anchors in the required order on this data set."""

    protocol: str
    key: str
    better: str = Field(description="The anchor that must score better")
    worse: str
    verdict: Literal["pass", "fail", "tie", "cannot", "no_value"]
    reason: str = Field(description="The two values, or why the metric cannot distinguish these anchors")


class ValueDescription(RecordModel):
    """What a value means."""

    key: str
    label: str
    direction: DirectionName
    unit: str
    decimals: int
    primary: bool


class WeightsEntry(RecordModel):
    """A file of weights that a number depends on."""

    file: str
    sha256: str
    licence: str
    non_commercial: bool


class ProtocolEntry(RecordModel):
    """A protocol as it was when the numbers were made."""

    name: str
    title: str
    family: Literal["reference", "open", "synth"]
    granularity: Literal["clip", "set"]
    values: tuple[ValueDescription, ...]
    extractors: tuple[str, ...]
    weights: tuple[WeightsEntry, ...]
    source: str
    status: Literal["ok", "unavailable"] = "ok"
    reason: str = Field(default="", description="Why it could not be computed at all, for example missing weights")
    group: str = Field(default="main", description="Short name of the table that its values stand in")
    group_title: str = Field(default="Main results", description="Headline of that table")
    order: int = Field(default=100, description="Place of its columns: smaller first, equal ones as the suite has them")


class SystemEntry(RecordModel):
    """A system as it was run."""

    name: str
    kind: str
    anchor: bool
    digest: str = Field(description="SHA-256 of kind, options, weights and code version")
    options: dict[str, Any]


class ClipEntry(RecordModel):
    """A clip of the data set after preparation."""

    id: str
    identity: str
    split: str
    status: Literal["ok", "failed"]
    code: str = Field(default="", description="Status word of a failure, for example 'no_audio'")
    reason: str = ""
    ground_truth: bool = Field(default=True, description="False for a portrait with audio, which no video belongs to")
    n_frames: int = 0
    width: int = 0
    height: int = 0
    meta: dict[str, str] = Field(default_factory=dict, description="Plain values of the manifest's meta, as text")
    notes: tuple[str, ...] = Field(default=(), description="What preparation changed, for example '30 -> 25 fps'")


class ReferenceSetEntry(RecordModel):
    """The set of real clips that protocols of whole sets compared with, instead of the clips' own ground truth."""

    name: str
    digest: str
    n_clips: int = Field(description="Clips that could be used")
    n_identities: int
    synthetic: bool
    people: dict[str, str] = Field(default_factory=dict, description="Clip id -> identity")


class NoteEntry(RecordModel):
    """What was corrected, assumed or passed over in the clips of one system, by kind."""

    system: str
    code: str = Field(description="Kind of the note, for example 'coding_order'")
    text: str = Field(description="The sentence of the first of these clips")
    clips: tuple[str, ...] = Field(description="Ids of the clips that the note is about")


class FailureEntry(RecordModel):
    """A unit of work without a result."""

    stage: Literal["prepare", "generate", "extract", "score"]
    system: str
    clip: str
    seed: int
    part: str = Field(default="", description="Extractor or protocol, where one is concerned")
    code: str
    reason: str


class Counts(RecordModel):
    """Clips times systems times seeds."""

    planned: int
    done: int
    failed: int


class Digests(RecordModel):
    """Identities of what went in."""

    config: str
    dataset: str


class GitState(RecordModel):
    """The working tree that the suite ran from, when it is one."""

    commit: str
    dirty: bool


class Provenance(RecordModel):
    """Software that made the numbers."""

    emo_bench: str
    git: GitState | None
    python: str
    packages: dict[str, str]
    device: str
    host: dict[str, str] = Field(default_factory=dict, description="Processor, cores, memory, operating system")


class FileEntry(RecordModel):
    """A file of a run."""

    sha256: str
    bytes: int


class Seal(RecordModel):
    """Digests that bind a record to the files of its run; see ``emo_bench.record.seal``."""

    files: dict[str, FileEntry] = Field(description="File name -> digest; all but the journal, which holds times")
    record: str = Field(description="SHA-256 over the record without timings, host, places and this digest")


class Timings(RecordModel):
    """All that differs between equal runs."""

    started: str = Field(description="UTC, ISO 8601")
    finished: str
    seconds: float
    by_stage: dict[str, float] = Field(default_factory=dict, description="Summed unit seconds, this invocation only")
    units_computed: int = 0
    units_reused: int = 0
    journal: FileEntry | None = Field(default=None, description="The journal of the run")
    seal: str = Field(default="", description="SHA-256 over these timings, the host, the given suite and its places")


class RunRecord(RecordModel):
    """The whole outcome of a run."""

    schema_version: Literal[1] = 1
    status: Literal["complete", "incomplete", "cancelled"]
    name: str
    title: str
    description: str
    config_given: str = Field(description="The suite file as it was read")
    overrides: tuple[str, ...] = ()
    config: dict[str, Any] = Field(description="All values after defaults and overrides")
    digests: Digests
    dataset_name: str
    synthetic: bool = Field(description="True when the clips are not real video; shown wherever a number is")
    reference_set: ReferenceSetEntry | None = None
    systems: tuple[SystemEntry, ...]
    protocols: tuple[ProtocolEntry, ...]
    clips: tuple[ClipEntry, ...]
    values: tuple[ValueEntry, ...]
    comparisons: tuple[ComparisonEntry, ...] = ()
    checks: tuple[AnchorCheck, ...] = ()
    failures: tuple[FailureEntry, ...] = ()
    notes: tuple[NoteEntry, ...] = ()
    counts: Counts
    provenance: Provenance
    timings: Timings
    seal: Seal | None = Field(default=None, description="None in records of versions before the first release")
