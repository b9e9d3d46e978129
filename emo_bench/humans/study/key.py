"""The key of a study: what its blinded page does not say. It stays with whoever runs the study."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from emo_bench.config.schema import Frozen
from emo_bench.record.limits import MAX_TEXT_BYTES, read_bytes
from emo_core.errors import ConfigError

KEY_FILE = "study-key.json"
SCALE = (1, 2, 3, 4, 5)


class Question(Frozen):
    """What raters are asked."""

    key: str = Field(pattern=r"^[a-z0-9_-]{1,32}$")
    text: str = Field(min_length=1, max_length=300)


class Media(Frozen):
    """A file of the page."""

    system: str
    clip: str
    damaged: bool = Field(default=False, description="Frozen and blurred, for attention checks")


class Trial(Frozen):
    """One screen of a form."""

    id: str
    left: str = Field(description="File on the left, or the only one")
    right: str = Field(default="", description="File on the right; empty when one clip is rated")
    check: bool = Field(default=False, description="Whether the answer is known: the file that is not damaged")
    repeats: bool = Field(default=False, description="Whether the form showed it before with sides exchanged")


class StudyKey(Frozen):
    """Everything that is needed to score the votes."""

    version: Literal[1] = 1
    study: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Id that the page and all its exports carry")
    title: str
    kind: Literal["pairs", "rating"]
    ties: bool = Field(description="Whether 'no difference' could be chosen")
    questions: tuple[Question, ...] = Field(min_length=1)
    run: str = Field(description="Name of the run")
    record: str = Field(default="", description="Digest of the run's record, where it is sealed")
    systems: tuple[str, ...]
    identities: dict[str, str] = Field(description="Clip -> person; the unit of resampling")
    media: dict[str, Media]
    forms: tuple[tuple[Trial, ...], ...]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for trial in (trial for form in self.forms for trial in form):
            shown = (trial.left, trial.right) if self.kind == "pairs" else (trial.left,)
            if unknown := [name for name in shown if name not in self.media]:
                raise ValueError(f"screen {trial.id!r} shows {unknown[0]!r}, which is none of the media")
        return self


def read_key(path: Path) -> StudyKey:
    """Reads a key.

    Raises:
        ConfigError: when it is missing or something else.
    """
    if path.is_dir():
        path = path / KEY_FILE
    if not path.is_file():
        raise ConfigError(f"no key {path}", expected="study-key.json, as 'study make' wrote it")
    try:
        return StudyKey.model_validate_json(read_bytes(path, MAX_TEXT_BYTES))
    except ValueError as error:
        found = " ".join(str(error).split())[:300]
        raise ConfigError(f"{path} is no key of a study", expected="as 'study make' wrote it", found=found) from None
