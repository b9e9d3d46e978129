"""The outcome of holding values against votes, as data that is written, shipped and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, FiniteFloat

from emo_bench.config.schema import Frozen
from emo_bench.config.shipped import shipped_folders
from emo_bench.record.limits import MAX_TEXT_BYTES, read_bytes
from emo_core.atomic import write_bytes
from emo_core.errors import ConfigError


class Estimate(Frozen):
    """A number with its interval, or why there is none."""

    value: FiniteFloat | None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    n: int = Field(default=0, description="Items behind it: pairs or clips")
    n_units: int = Field(default=0, description="Independent units that the interval resamples")
    status: str = Field(default="ok", description="Why there is no number")
    reason: str = ""


class QuestionEntry(Frozen):
    """What was asked, and how far raters agree."""

    question: str
    kind: Literal["pairs", "scores"]
    n_items: int = Field(description="Pairs or clips")
    n_clips: int = Field(description="Source clips")
    n_units: int = Field(description="Independent units among them, such as portraits; intervals resample these")
    n_votes: float
    n_raters: int = Field(description="0 when single raters are not known")
    n_tied: int = Field(description="Pairs on which raters are tied; they are left out")
    ceiling: Estimate = Field(description="How far a rater agrees with the others: what a metric can be held to")


class Finding(Frozen):
    """How far one value agrees with people on one question."""

    question: str
    protocol: str
    key: str
    label: str
    reading: Literal["higher", "lower", "closer"] = Field(
        description="Better is more, less, or closer to the ground truth's value of the same clip"
    )
    declared: bool = Field(description="Whether the protocol's own direction asks for this reading")
    agreement: Estimate = Field(description="Share of pairs in which it prefers what most raters prefer")
    overall: Estimate = Field(description="Rank correlation over all clips of all systems")
    within: Estimate = Field(description="Mean rank correlation within systems")
    between: Estimate = Field(description="Rank correlation of the systems' means")
    n_systems: int

    @property
    def headline(self) -> Estimate:
        """Pair agreement where there are pairs, else the rank correlation over all clips."""
        return self.overall if self.agreement.status == "not_applicable" else self.agreement


class ValidityResult(Frozen):
    """All findings on one collection of votes."""

    version: Literal[1] = 1
    name: str
    source: str
    note: str = ""
    level: float
    resamples: int
    questions: tuple[QuestionEntry, ...]
    findings: tuple[Finding, ...]
    without_values: tuple[str, ...] = Field(default=(), description="SYSTEM/CLIP that people judged and no value has")

    def question(self, name: str) -> QuestionEntry:
        """The entry of a question."""
        return next(entry for entry in self.questions if entry.question == name)


def write_validity(result: ValidityResult, path: Path) -> None:
    """Writes it as JSON, equal results as equal bytes."""
    write_bytes(path, (result.model_dump_json(indent=1) + "\n").encode())


def read_validity(path: Path) -> ValidityResult:
    """Reads what ``write_validity`` wrote.

    Raises:
        ConfigError: when it is something else.
    """
    try:
        return ValidityResult.model_validate_json(read_bytes(path, MAX_TEXT_BYTES))
    except ValueError as error:
        raise ConfigError(f"{path} holds no validity result", found=str(error).splitlines()[0]) from None


def shipped_findings() -> tuple[ValidityResult, ...]:
    """The results that come with emo-bench, by file name."""
    folder = next((place for place in shipped_folders("validity") if place.is_dir()), None)
    return () if folder is None else tuple(read_validity(path) for path in sorted(folder.glob("*.json")))
