"""Cards of external systems: what a method is, what it needs, and the command line that its authors documented."""

from __future__ import annotations

import re
import string
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from emo_bench.config.load import read_yaml, validate
from emo_bench.config.schema import Frozen, Name
from emo_bench.config.shipped import shipped_folders
from emo_core.errors import ConfigError

PLACEHOLDERS = frozenset(
    {
        *("image", "audio", "video", "output", "output_dir", "work", "repository", "weights", "python"),
        *("seed", "fps", "frames", "seconds"),
    }
)
"""What command templates, file templates and variables may ask for."""

PLACEHOLDER = re.compile(r"\{([A-Za-z_]*)\}")


def placeholders_in(template: str) -> set[str]:
    """Names between braces.

    >>> sorted(placeholders_in("--in={image} {seed}"))
    ['image', 'seed']
    """
    return set(PLACEHOLDER.findall(template))


def _checked_template(template: str) -> str:
    unknown = sorted(placeholders_in(template) - PLACEHOLDERS)
    if unknown:
        raise ValueError(f"unknown placeholder {{{unknown[0]}}}; expected one of {', '.join(sorted(PLACEHOLDERS))}")
    return template


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        raise ValueError(f"expected a relative path that stays inside its folder, found {path!r}")
    return path


class Repository(Frozen):
    """Where the method's code comes from."""

    url: str = Field(pattern=r"^https://", description="Address of the repository")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$", description="The commit that the command line was read from")
    branch: str | None = Field(default=None, description="Its branch, when it is not the default one")


class Licence(Frozen):
    """What may be done with it."""

    code: str = Field(description="Licence of the code, as its repository states it; 'unknown' when it states none")
    weights: str = Field(description="Licence of the weights; 'unknown' when none is stated")
    non_commercial: bool = Field(description="Whether code or weights exclude commercial use")


class Hardware(Frozen):
    """What its authors say it needs."""

    cuda: bool = Field(description="Whether an NVIDIA GPU is needed")
    gpu_memory_gb: float | None = Field(default=None, gt=0, description="Stated need; null when unknown")
    tested_on: str = Field(default="unknown", description="Machines that the authors name")


class CardWeights(Frozen):
    """One file or folder of weights."""

    path: str = Field(description="Where the program looks for it, relative to the repository")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="Null when nobody published it")
    source: str = Field(description="Where its authors offer it")
    required: bool = Field(default=True, description="Whether the documented command needs it")

    _path = field_validator("path")(_inside)


class Environment(Frozen):
    """How the program's own environment is started."""

    kind: Literal["none", "uv", "conda", "container"] = Field(description="'none' uses the given Python as it is")
    name: str = Field(default="", description="conda: name of the environment; container: image")
    python: str = Field(default="", description="Version of Python, as documented")
    programs: tuple[str, ...] = Field(default=(), description="Programs that must be on the PATH")
    variables: dict[str, str] = Field(default_factory=dict, description="Environment variables; may use placeholders")

    @field_validator("variables")
    @classmethod
    def _templates(cls, value: dict[str, str]) -> dict[str, str]:
        for template in value.values():
            _checked_template(template)
        return value


class ImageInput(Frozen):
    """How the portrait is handed over."""

    file: str = Field(default="portrait.png", pattern=r"^[A-Za-z0-9._-]+\.(png|jpg)$", description="Name of the file")
    folder: str | None = Field(default=None, description="Folder under the working copy; a separate folder if absent")
    size: tuple[int, int] | None = Field(default=None, description="Width and height; the portrait's own when absent")

    @field_validator("folder")
    @classmethod
    def _folder(cls, value: str | None) -> str | None:
        return None if value is None else _inside(value)


class AudioInput(Frozen):
    """How the audio is handed over: WAV, mono, 16 bits."""

    file: str = Field(default="speech.wav", pattern=r"^[A-Za-z0-9._-]+\.wav$", description="Name of the file")
    folder: str | None = Field(default=None, description="Folder under the working copy; a separate folder if absent")
    rate: int = Field(default=16000, ge=8000, le=48000, description="Samples per second")

    @field_validator("folder")
    @classmethod
    def _folder(cls, value: str | None) -> str | None:
        return None if value is None else _inside(value)


class VideoInput(Frozen):
    """For methods that speak over a video: what that video is."""

    file: str = Field(default="face.mp4", pattern=r"^[A-Za-z0-9._-]+\.mp4$", description="Name of the file")
    source: Literal["still", "driving"] = Field(
        default="still", description="'still' repeats the portrait, as other systems get no more; 'driving' dubs"
    )


class Inputs(Frozen):
    """What the program is given."""

    image: ImageInput = ImageInput()
    audio: AudioInput = AudioInput()
    video: VideoInput | None = Field(default=None, description="Only for methods that need a video")


class FileTemplate(Frozen):
    """A file that the program wants; placeholders are inserted as quoted JSON unless ``quoted`` is false."""

    path: str = Field(description="Where it is written, relative to the working copy")
    text: str = Field(description="Its content")
    quoted: bool = Field(default=True, description="False inserts values as they are, for plain lists of paths")

    _path = field_validator("path")(_inside)
    _text = field_validator("text")(_checked_template)


class PrivateFolder(Frozen):
    """A folder of the repository that each run gets for itself, because the program writes there."""

    path: str = Field(description="Relative to the repository")
    without: tuple[str, ...] = Field(default=(), description="Patterns of files that are left out of the copy")

    _path = field_validator("path")(_inside)


class OutputRule(Frozen):
    """Which file is the result."""

    glob: str = Field(description="Pattern relative to the working copy, or beginning with {output_dir}/ or {output}")
    exclude: tuple[str, ...] = Field(default=(), description="Patterns of file names that are not the result")
    choose: Literal["only", "newest"] = Field(default="only", description="What to do when several files match")
    fps: float | None = Field(default=None, gt=0, le=240, description="Frame rate that it is known to write")
    has_audio: bool = Field(default=True, description="Whether it puts the audio into the file")
    crop: tuple[int, int, int, int] | None = Field(
        default=None, description="Part of the frame that is the result: left, top, right, bottom"
    )
    lead_s: float = Field(
        default=0, ge=0, le=10, description="Seconds at its beginning that come before the audio; they are cut"
    )
    length_tolerance_s: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="Seconds that it may be longer (it is cut) or shorter (last frame is held)",
    )

    @field_validator("glob")
    @classmethod
    def _glob(cls, value: str) -> str:
        if placeholders_in(value) - {"output", "output_dir"}:
            raise ValueError("expected no placeholder but {output} and {output_dir}")
        rest = value.removeprefix("{output_dir}/").removeprefix("{output}")
        if "{" in rest:
            raise ValueError("expected {output} or {output_dir} at the beginning only")
        if rest:
            _inside(rest)
        return value

    @field_validator("crop")
    @classmethod
    def _crop(cls, value: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
        if value is not None and not (0 <= value[0] < value[2] and 0 <= value[1] < value[3]):
            raise ValueError("expected left < right and top < bottom")
        return value


class SystemCard(Frozen):
    """Everything that emo-bench knows about an external system."""

    version: Literal[1] = Field(default=1, description="Version of this file format")
    name: Name = Field(description="Name of the card; its file is called so")
    title: str = Field(description="The method's name as its authors write it")
    paper: str = Field(description="Authors, venue, identifier")
    repository: Repository
    licence: Licence
    hardware: Hardware
    weights: tuple[CardWeights, ...] = Field(default=(), description="Files that the command needs")
    environment: Environment
    setup: tuple[str, ...] = Field(default=(), description="Steps a user takes once, in words and commands")
    inputs: Inputs = Inputs()
    private: tuple[PrivateFolder, ...] = Field(default=(), description="Folders that the program writes to")
    files: tuple[FileTemplate, ...] = Field(default=(), description="Configuration files to write before each run")
    command: tuple[str, ...] = Field(min_length=1, description="The program and its arguments, one item each")
    uses_seed: bool = Field(default=False, description="Whether {seed} reaches the sampler")
    output: OutputRule
    sources: tuple[str, ...] = Field(min_length=1, description="Where these facts were read")
    notes: str = Field(default="", description="What a reader of a table with this system should know")

    @field_validator("command")
    @classmethod
    def _command(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for argument in value:
            _checked_template(argument)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> SystemCard:
        texts = (*self.command, *(file.text for file in self.files), *self.environment.variables.values())
        used = set().union(*(placeholders_in(text) for text in texts))
        if self.uses_seed != ("seed" in used):
            raise ValueError("expected 'uses_seed' to be true exactly when {seed} is used")
        if ("video" in used) != (self.inputs.video is not None):
            raise ValueError("expected 'inputs.video' exactly when {video} is used")
        if self.environment.kind in ("conda", "container") and not self.environment.name:
            raise ValueError(f"expected 'environment.name' for an environment of kind {self.environment.kind!r}")
        return self


def card_folders(base: Path | None = None) -> tuple[Path, ...]:
    """Folders in which cards are looked up by name: beside the suites, then those of the project."""
    beside = () if base is None else (base, base.parent / "systems")
    return tuple(dict.fromkeys((*beside, *shipped_folders("systems"))))


def card_names(base: Path | None = None) -> list[str]:
    """Names of all cards that can be found, in alphabetical order."""
    found = {path.stem for folder in card_folders(base)[-2:] for path in folder.glob("*.yaml")}
    return sorted(found)


def find_card(reference: str, *, base: Path | None = None) -> Path:
    """The file of a card.

    Args:
        reference: A name such as ``sadtalker``, or the path of a YAML file relative to ``base``.
        base: Folder of the suite file.

    Raises:
        ConfigError: when there is none.
    """
    if reference.endswith((".yaml", ".yml")):
        path = (base or Path()) / reference
        if path.is_file():
            return path
        raise ConfigError(f"no card {path}", expected="a YAML file with the card of a system", fix="check 'card'")
    plain = set(reference) <= set(string.ascii_letters + string.digits + "._+-")
    for folder in card_folders(base) if plain else ():
        path = folder / f"{reference}.yaml"
        if path.is_file():
            return path
    known = ", ".join(card_names(base)) or "(none found)"
    raise ConfigError(f"no card for a system called {reference!r}", expected=f"one of: {known}, or a path")


def load_card(path: Path) -> SystemCard:
    """Reads and checks a card.

    Raises:
        ConfigError: with the place of every mistake.
    """
    return validate(SystemCard, read_yaml(path))
