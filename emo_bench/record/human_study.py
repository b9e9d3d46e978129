"""The outcome of a human study of a run's clips, kept beside the record: ``studies/<id>.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, FiniteFloat

from emo_bench.config.schema import Frozen
from emo_bench.record.limits import MAX_TEXT_BYTES, read_bytes

STUDIES_FOLDER = "studies"
MAX_STUDIES = 50


class StrengthEntry(Frozen):
    """What raters think of one system."""

    system: str
    value: FiniteFloat = Field(description="Bradley-Terry log odds against the mean system, or the mean opinion")
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    n_votes: int = Field(description="Votes on it")
    won: FiniteFloat | None = Field(default=None, description="Share of its votes that it won, ties half; pairs only")


class PairEntry(Frozen):
    """Two systems against each other."""

    a: str
    b: str
    share_a: FiniteFloat = Field(description="Share of votes for the first, ties half")
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    n_votes: int
    verdict: Literal["a_better", "b_better", "tie", "undefined"]


class QuestionResult(Frozen):
    """The outcome on one question."""

    key: str
    text: str
    n_votes: int
    n_raters: int
    n_clips: int
    agreement: FiniteFloat | None = Field(
        default=None, description="How often a rater agrees with the majority of the others on the same pair"
    )
    alpha: FiniteFloat | None = Field(default=None, description="Krippendorff's alpha: ordinary answers, nominal")
    strengths: tuple[StrengthEntry, ...] = ()
    pairs: tuple[PairEntry, ...] = ()
    status: str = "ok"
    reason: str = ""


class RaterEntry(Frozen):
    """One rater."""

    rater: str
    form: int
    n_votes: int
    complete: bool
    checks_passed: int
    checks: int
    agreement: FiniteFloat | None = Field(default=None, description="With the majority of the others")
    consistency: FiniteFloat | None = Field(default=None, description="On pairs that came twice with sides exchanged")
    excluded: str = Field(default="", description="Why none of these votes count; empty when they do")


class ExclusionEntry(Frozen):
    """Votes that do not count, and why."""

    kind: str
    n_votes: int
    where: str
    reason: str


class StudyResult(Frozen):
    """A scored study."""

    version: Literal[1] = 1
    study: str
    title: str
    kind: Literal["pairs", "rating"]
    run: str
    record: str = Field(default="", description="Digest of the record whose clips were shown, where it is sealed")
    level: float
    questions: tuple[QuestionResult, ...]
    raters: tuple[RaterEntry, ...]
    exclusions: tuple[ExclusionEntry, ...] = ()
    notes: tuple[str, ...] = ()


def read_studies(folder: Path) -> tuple[StudyResult, ...]:
    """All scored studies of a run, by id.

    Raises:
        ValueError: when a file is something else.
    """
    paths = sorted((folder / STUDIES_FOLDER).glob("*.json"))[:MAX_STUDIES]
    return tuple(StudyResult.model_validate_json(read_bytes(path, MAX_TEXT_BYTES)) for path in paths)
