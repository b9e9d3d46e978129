"""The rules of the regression gate: which values are judged, and how much worse is too much."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field

from emo_bench.config.load import read_yaml, validate
from emo_bench.config.schema import Frozen
from emo_bench.config.shipped import shipped_folders
from emo_bench.extract.catalogue import metric_names, metrics
from emo_bench.record.columns import Column

Severity = Literal["fail", "warn", "ignore"]


class Requirements(Frozen):
    """What must be equal before anything is judged."""

    same_dataset: bool = Field(default=True, description="Refuse runs on other clips")
    same_seeds: bool = Field(default=True, description="Refuse runs with other seeds of generation")
    same_media: bool = Field(default=True, description="Refuse other media rules, or clips of another size or length")
    sealed: bool = Field(default=True, description="Refuse records without digests of their files")
    recomputed: bool = Field(
        default=True, description="Refuse values of whole sets that cannot be recomputed from samples beside the record"
    )
    complete: bool = Field(default=True, description="Refuse runs that were cancelled or lack a clip or value")


class SystemPair(Frozen):
    """A system of the baseline and the one of the candidate that is judged against it."""

    baseline: str = Field(description="Name in the baseline's record")
    candidate: str = Field(description="Name in the candidate's record")


class Rule(Frozen):
    """How much worse some values may become."""

    protocol: str = Field(description="Name of a protocol; '*' stands for anything, as in 'f-sim/*'")
    key: str = Field(default="*", description="Which values of the protocol; '*' stands for anything")
    primary_only: bool = Field(default=False, description="Only values of the main table")
    minimum_effect: float = Field(default=0.0, ge=0, description="Smaller changes are let through, in the value's unit")
    minimum_relative_effect: float = Field(default=0.0, ge=0, description="The same, as a part of the baseline's value")
    severity: Severity = Field(default="fail", description="'warn' reports without failing, 'ignore' does not judge")
    required: bool = Field(default=False, description="Refuse when no run could compute the protocol")
    must_detect: float | None = Field(
        default=None, gt=0, description="Refuse when so large a change would probably stay unseen with this many clips"
    )

    def fits(self, column: Column) -> bool:
        """Whether this rule is about the value."""
        named = fnmatchcase(column.protocol.name, self.protocol) and fnmatchcase(column.value.key, self.key)
        return named and (column.value.primary or not self.primary_only)

    def threshold(self, baseline: float | None) -> float:
        """Smallest change that counts, in the value's unit."""
        return max(self.minimum_effect, self.minimum_relative_effect * abs(baseline or 0.0))


class GateRules(Frozen):
    """A file of ``configs/gates``."""

    version: Literal[1] = Field(default=1, description="Version of this file format")
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="Chance of any false alarm over all rules")
    resamples: int = Field(default=2000, ge=100, le=100_000, description="Bootstrap resamples")
    coverage_loss: float = Field(
        default=0.01, ge=0, le=1, description="Share of frames that a value may lose before that counts as worse"
    )
    require: Requirements = Requirements()
    systems: tuple[SystemPair, ...] = Field(
        default=(), description="Which systems are compared; those of the same name when absent"
    )
    rules: tuple[Rule, ...] = Field(min_length=1, description="The first that fits a value judges it")

    def rule_for(self, column: Column) -> Rule | None:
        """The first rule that fits, unless it says 'ignore'."""
        rule = next((rule for rule in self.rules if rule.fits(column)), None)
        return None if rule is None or rule.severity == "ignore" else rule


def fits_nothing_known(rule: Rule, columns: Iterable[Column]) -> bool:
    """Whether a rule is about none of the columns and of no value of any protocol of this installation.

    Such a rule lets everything through; most often its name is misspelt.
    """
    if any(rule.fits(column) for column in columns):
        return False
    names = [name for name in metric_names() if fnmatchcase(name, rule.protocol)]
    return not any(
        fnmatchcase(value.key, rule.key) and (value.primary or not rule.primary_only)
        for name in names
        for value in metrics.get(name).spec.values
    )


def default_rules() -> Path:
    """The rules where none are named: ``configs/gates/default.yaml`` of the current folder, else those that ship."""
    *others, last = (folder / "default.yaml" for folder in (Path("configs") / "gates", *shipped_folders("gates")))
    return next((path for path in others if path.is_file()), last)


def read_rules(path: Path) -> GateRules:
    """Reads and checks a file of rules.

    Raises:
        ConfigError: naming file, line and key of what is wrong.
    """
    return validate(GateRules, read_yaml(path))
