"""The suite file as frozen, strict models; every key has a meaning, a default and a check."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from emo_core.frozen import Frozen as Frozen

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="Letters, digits, '.', '_', '+' and '-', at most 64")]


_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}|/[0-9]{1,9})?")


def rate_from_text(text: str) -> Fraction:
    """Frames per second from text that anyone may have written: an integer, a fraction or a decimal number.

    Raises:
        ValueError: for anything else; an exponent could ask for a number with a billion digits.

    >>> rate_from_text("30000/1001")
    Fraction(30000, 1001)
    """
    if _RATE.fullmatch(text) is None or Fraction(text.partition("/")[2] or "1") == 0:
        raise ValueError("expected an integer or a fraction such as '25' or '30000/1001'")
    return Fraction(text)


class Dataset(BaseModel):
    """The clips of a suite: a registered kind of data set, and that kind's own options beside it."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    kind: str = Field(description="Registered kind: 'manifest', 'hdtf-synth', or one that a plug-in adds")

    @property
    def options(self) -> dict[str, Any]:
        """The keys beside ``kind``."""
        return dict(self.__pydantic_extra__ or {})


class FrameSize(Frozen):
    """One image size for the ground truth and all systems."""

    width: int = Field(ge=32, le=4096)
    height: int = Field(ge=32, le=4096)


class Media(Frozen):
    """How every video is brought to one frame rate, sample rate and size before anything is measured."""

    fps: str = Field(default="25", description="Exact frames per second, an integer or a fraction such as '30000/1001'")
    sample_rate: Literal[16000] = Field(default=16000, description="Audio samples per second")
    size: FrameSize | None = Field(default=None, description="Frame size in pixels; the source's own when absent")

    @field_validator("fps", mode="before")
    @classmethod
    def _number_is_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("fps")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        rate = rate_from_text(value)
        if not 1 <= rate <= 120:
            raise ValueError("expected between 1 and 120 frames per second")
        return value

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.fps)


class System(BaseModel):
    """A system of the suite: a unique name, a registered kind, and that kind's own options beside them."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    name: Name = Field(description="Row label in tables")
    kind: str = Field(description="Registered kind; `emo-bench ls systems` lists them")
    store: Literal["keep", "features-only"] = Field(
        default="keep",
        description="'features-only' deletes frames once features and previews are made; never changes a number",
    )

    @property
    def options(self) -> dict[str, Any]:
        """The keys beside ``name``, ``kind`` and ``store``."""
        return dict(self.__pydantic_extra__ or {})


class Statistics(Frozen):
    """Intervals and comparisons."""

    level: float = Field(default=0.95, gt=0.5, lt=1.0, description="Confidence level of intervals")
    resamples: int = Field(default=2000, ge=100, le=100_000, description="Bootstrap resamples")
    correction: Literal["holm", "bh"] = Field(default="holm", description="Correction for many comparisons")


class Execution(Frozen):
    """Where and how units of work run; changes no number, but for the rounding of another device or engine."""

    engine: Literal["local", "ray"] = Field(default="local", description="'ray' needs the extra of that name")
    workers: int = Field(default=2, ge=1, le=256, description="Worker processes")
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="Device of the networks")
    inference: Literal["torch", "openvino"] = Field(
        default="torch",
        description="What computes Inception, I3D and LPIPS; 'openvino' needs the extra of that name and device cpu",
    )
    unit_timeout_s: float = Field(default=3600.0, gt=0, description="A unit of work that takes longer is stopped")


class Weights(Frozen):
    """Where networks come from."""

    folders: tuple[str, ...] = Field(
        default=(), description="Folders searched for weight files, relative to the suite file; before the user's cache"
    )
    licence_policy: Literal["any", "no-non-commercial"] = Field(
        default="any", description="'no-non-commercial' refuses weights whose licence forbids commercial use"
    )


class Report(Frozen):
    """What is written at the end of a run."""

    title: str | None = Field(default=None, max_length=200, description="Headline; the suite's name when absent")
    previews: bool = Field(default=True, description="Embed watchable copies of the clips in the HTML page")
    max_preview_clips: int = Field(default=12, ge=0, le=200, description="Clips shown with all systems in the page")


AnchorKind = Literal["reencoded", "frozen", "frozen_reencoded", "shuffled_audio", "shifted_audio", "other_identity"]
ANCHOR_KINDS: tuple[str, ...] = ("ground_truth", *get_args(AnchorKind))
DEFAULT_ANCHORS: tuple[AnchorKind, ...] = ("reencoded", "frozen", "shuffled_audio", "shifted_audio", "other_identity")


REFERENCE_SET = "reference-set"
"""Under this name failures of the reference set's clips stand in records."""

RESERVED_NAMES = frozenset({kind.replace("_", "-") for kind in ANCHOR_KINDS} | {REFERENCE_SET})
"""What no system under test can be called."""


class RunConfig(Frozen):
    """A suite: which clips, which systems, which protocols."""

    version: Literal[1] = Field(default=1, description="Version of this file format")
    name: Name = Field(description="Name of the suite and of the run's folder")
    description: str = Field(default="", description="Free text, shown in the report")
    dataset: Dataset = Field(description="The clips: 'kind' and the keys of that kind")
    reference_set: Dataset | None = Field(
        default=None,
        description="Real clips that set-level protocols (FID, FVD) compare with; the clips' own ground truth when "
        "absent. For wild sets, which have no ground truth",
    )
    media: Media = Media()
    systems: tuple[System, ...] = Field(default=(), description="What is evaluated, in addition to the anchors")
    anchors: tuple[AnchorKind, ...] = Field(
        default=DEFAULT_ANCHORS,
        description="Systems whose place in the table is known in advance; the ground truth is always there",
    )
    metrics: tuple[str, ...] = Field(min_length=1, description="Protocols; `emo-bench ls metrics` lists them")
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, description="One generation of every clip per seed")
    statistics: Statistics = Statistics()
    execution: Execution = Execution()
    weights: Weights = Weights()
    report: Report = Report()
    output: str | None = Field(default=None, description="Folder of the run; 'runs/<name>' when absent")
    store: str = Field(default="runs/.store", description="Folder of clips and features, shared by all runs")

    @field_validator("systems")
    @classmethod
    def _names_are_unique(cls, systems: tuple[System, ...]) -> tuple[System, ...]:
        names = [system.name for system in systems]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two systems are called {name!r}; expected unique names")
            if name in RESERVED_NAMES:
                raise ValueError(f"{name!r} is a reserved name; expected another name for this system")
        return systems

    @field_validator("metrics", "seeds", "anchors")
    @classmethod
    def _nothing_is_repeated(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) != len(values):
            raise ValueError("expected no repeated entries")
        return values

    @field_validator("seeds")
    @classmethod
    def _seeds_fit_into_tables(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if any(not -(2**63) <= seed < 2**63 for seed in seeds):
            raise ValueError("expected integers of at most 64 bits")
        return seeds

    def all_systems(self) -> tuple[System, ...]:
        """Ground truth first, then the other anchors, then the systems of the suite."""
        kinds = ("ground_truth", *self.anchors)
        return tuple(System(name=kind.replace("_", "-"), kind=kind) for kind in kinds) + self.systems
