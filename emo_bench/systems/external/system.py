"""External systems: other people's programs, each run as its authors documented, in a process and folder of its own."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from emo_bench.config.schema import Frozen
from emo_bench.media.types import FrameArray, Video
from emo_bench.systems.external.card import SystemCard, card_folders, find_card, load_card, placeholders_in
from emo_bench.systems.external.doctor import (
    Finding,
    Installation,
    checked_out_commit,
    default_repository,
    examine,
    launcher,
    weights_digest,
)
from emo_bench.systems.external.process import (
    ProcessLimits,
    ProcessResult,
    clean_environment,
    log_tail,
    run_limited,
)
from emo_bench.systems.external.sources import code_digest
from emo_bench.systems.external.workspace import TemporaryFolder
from emo_bench.systems.system import FrameSource, GeneratedClip, GenerationRequest, Program, SystemContext, SystemKind
from emo_core.errors import ConfigError, GenerationError, LimitError

if TYPE_CHECKING:
    from emo_bench.systems.face_boxes import FaceLocator

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
"""Set for every program: a measurement must not depend on what a hub serves today."""


HARMLESS = frozenset({"timeout_s", "memory_gb", "check_face"})
"""Options that decide neither what is started nor where anything is written."""


class ExternalOptions(Frozen):
    """Which card, and where its parts lie on this machine."""

    card: str = Field(description="Name of a card in configs/systems, or path of one relative to the suite file")
    repository: str | None = Field(
        default=None, description="The checkout, relative to the suite file; $EMO_BENCH_SYSTEMS/<card> when absent"
    )
    environment: str | None = Field(default=None, description="Folder of its uv or conda environment")
    python: str | None = Field(
        default=None, description="Interpreter to use instead of the environment's: its name, or path from the suite"
    )
    container_engine: str = Field(default="docker", description="Program that runs containers")
    allow_other_commit: bool = Field(default=False, description="Accept another commit than the card's")
    extra_arguments: tuple[str, ...] = Field(default=(), description="Put behind the card's command")
    timeout_s: float = Field(default=3600.0, gt=0, description="A clip that takes longer fails")
    memory_gb: float | None = Field(default=None, gt=0, description="Resident memory of all its processes")
    check_face: bool = Field(default=False, description="Fail clips that show no face")
    work_folder: str | None = Field(
        default=None, description="Where working folders are made, relative to the suite; plain paths are safest"
    )
    log_folder: str | None = Field(
        default=None, description="Keep the log of every clip here, by system, relative to the suite"
    )


class External(SystemKind):
    """Runs another program for every clip, by its card in ``configs/systems``."""

    options_model: ClassVar[type[Frozen]] = ExternalOptions
    code_version: ClassVar[int] = 2
    uses_seed: ClassVar[bool] = True
    frames: ClassVar[FrameSource] = "compressed"

    def dependencies(self, context: SystemContext) -> Mapping[str, Any]:
        """The card, the commit that is checked out, the digest of the code that lies there, and those of its weights.

        Raises:
            ConfigError: listing what is missing on this machine.
        """
        card, installation = self._card(context), self._installation(context)
        wrong = [finding for finding in examine(card, installation) if finding.level == "error"]
        if wrong:
            raise _missing(card, wrong)
        there = [item for item in card.weights if (installation.repository / item.path).exists()]
        return {
            "card": card.model_dump(mode="json", exclude={"setup", "sources", "notes", "licence", "hardware"}),
            "commit": checked_out_commit(installation.repository),
            # A commit tells nothing of what was edited after it.
            "code": code_digest(
                installation.repository, without=frozenset(installation.repository / item.path for item in there)
            ),
            "weights": {item.path: weights_digest(installation.repository / item.path) for item in there},
        }

    def takes_seed(self, context: SystemContext) -> bool:
        """Whether the card, or an argument behind its command, hands the seed on."""
        more = any("seed" in placeholders_in(argument) for argument in self.options.extra_arguments)
        return more or self._card(context).uses_seed

    def program(self, context: SystemContext) -> Program:
        """What its card starts; nothing is started or asked for here."""
        options = self.options
        path = find_card(options.card, base=context.base)
        chosen = options.model_dump(exclude={"card", *HARMLESS}, exclude_defaults=True)
        parts = [f"card {path}", f"command {' '.join(load_card(path).command)}"]
        parts += [f"{name} {value}" for name, value in chosen.items()]
        own = path.resolve().parent in {folder.resolve() for folder in card_folders(None)} and not chosen
        return Program("; ".join(parts), own=own)

    def load(self, context: SystemContext) -> None:
        """Reads the card and finds the program's environment; the program itself is started for each clip."""
        self._known_card = self._card(context)
        self._place = self._installation(context)
        launch = launcher(self._known_card, self._place)
        if isinstance(launch, Finding):
            raise _missing(self._known_card, [launch])
        self._launch = launch
        self._base, self._weights = context.base, context.weights
        self._locator()  # what it lacks is told before the first clip

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Runs the program in a fresh folder and checks what it left.

        Raises:
            GenerationError: when it crashes, leaves no video, several, or one of the wrong length.
            LimitError: when it takes too long, too much memory or writes too much log.
            DecodeError: when what it left is no readable video.
            NoFaceError: when a face is asked for and there is none.
        """
        from emo_bench.systems.external.output import check_output, find_output
        from emo_bench.systems.external.workspace import prepare

        card = self._known_card
        parent = self._base / self.options.work_folder if self.options.work_folder else None
        space = prepare(card, request, repository=self._place.repository, python=self._launch.python, parent=parent)
        log = space.folder.path / "log.txt"
        container = f"emo-bench-{secrets.token_hex(6)}"
        command = [space.argument(item) for item in (*card.command, *self.options.extra_arguments)]
        variables = {name: space.argument(value) for name, value in card.environment.variables.items()}
        variables = {**OFFLINE, "TMPDIR": str(space.folder.path / "tmp"), **variables}
        started = time.time()
        result = run_limited(
            self._started(card, command, variables, space.folder.path, space.cwd, container),
            cwd=space.cwd,
            environment=clean_environment(variables),
            log=log,
            limits=ProcessLimits(seconds=self.options.timeout_s, memory_bytes=self._memory()),
            stop=self._stop_command(card, container),
        )
        self._keep_log(log, request)
        self._check(result, log)
        try:
            path = find_output(space, card.output, not_before=started)
        except GenerationError as error:
            # Some programs print what went wrong and still end with status 0.
            found = f"{error.found}; {_last_words(log)}"
            raise GenerationError(error.message, expected=error.expected, found=found, fix=error.fix) from None
        output = check_output(path, card.output, request, locate_face=self._locator())
        return GeneratedClip(video=_keeping(output.video, space.folder), audio=request.audio, notes=output.notes)

    def _locator(self) -> FaceLocator | None:
        """A face locator for one clip; None when faces are not asked for."""
        if not self.options.check_face:
            return None
        from emo_bench.systems.face_boxes import face_locator

        return face_locator(self._weights)

    def _card(self, context: SystemContext) -> SystemCard:
        return load_card(find_card(self.options.card, base=context.base))

    def _installation(self, context: SystemContext) -> Installation:
        card, options = self._card(context), self.options
        repository = context.base / options.repository if options.repository else default_repository(card.name)
        return Installation(
            repository=repository.resolve(),
            environment=(context.base / options.environment).absolute() if options.environment else None,
            python=_from(context.base, options.python) if options.python else None,
            container_engine=_from(context.base, options.container_engine),
            allow_other_commit=options.allow_other_commit,
        )

    def _memory(self) -> int | None:
        return int(self.options.memory_gb * (1 << 30)) if self.options.memory_gb else None

    def _started(
        self, card: SystemCard, command: list[str], variables: Mapping[str, str], work: Path, cwd: Path, container: str
    ) -> list[str]:
        if card.environment.kind != "container" or self.options.python is not None:
            return [*self._launch.prefix, *command]
        gpus = ["--gpus", "all"] if card.hardware.cuda else []
        memory = self._memory()  # held by the engine's container, which is no process of ours to measure
        limit = ["--memory", str(memory)] if memory is not None else []
        settings = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
        repository = str(self._place.repository)
        return [
            *(*self._launch.prefix, "run", "--rm", "--name", container, "--network", "none", *gpus, *limit, *settings),
            *("--mount", f"type=bind,source={work},target={work}"),
            *("--mount", f"type=bind,source={repository},target={repository},readonly"),
            *("--workdir", str(cwd), card.environment.name, *command),
        ]

    def _stop_command(self, card: SystemCard, container: str) -> list[str]:
        """Ends the container, which is no child of the engine's client."""
        contained = card.environment.kind == "container" and self.options.python is None
        return [*self._launch.prefix, "kill", container] if contained else []

    def _keep_log(self, log: Path, request: GenerationRequest) -> None:
        if self.options.log_folder is None:
            return
        folder = self._base / self.options.log_folder / request.system  # several systems may name one folder
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, folder / f"{request.clip_id}-{request.seed}.txt")

    def _check(self, result: ProcessResult, log: Path) -> None:
        said = _last_words(log)
        if result.error:
            raise GenerationError("the program could not be started", found=result.error)
        if result.stopped_for is not None:
            limit = {
                "time": f"{self.options.timeout_s:g} s",
                "memory": f"{self.options.memory_gb} GB of memory",
                "log": "64 MiB of log",
            }[result.stopped_for]
            raise LimitError(
                f"the program was stopped: more than {limit}",
                found=f"after {result.seconds:.1f} s; {said}",
                fix="raise 'timeout_s' or 'memory_gb' of this system if that is normal for it",
            )
        if result.returncode != 0:
            raise GenerationError("the program failed", expected="exit status 0", found=f"{result.returncode}; {said}")


class ExternalDubbing(External):
    """The same, for cards that speak over the ground-truth video instead of the portrait."""

    needs_driving: ClassVar[bool] = True


def _keeping(video: Video, folder: TemporaryFolder) -> Video:
    """The same video, which keeps the folder that it is read from alive."""

    def pieces() -> Iterator[FrameArray]:
        if not folder.path.is_dir():
            raise GenerationError("the working folder of this clip was deleted while it was read")
        yield from video.open()

    return Video(video.spec, pieces, video.recipe)


def _from(base: Path, program: str) -> str:
    """A program by name as it is, a path from the suite's folder: it is started in a folder of its own."""
    return str((base / program).absolute()) if "/" in program else program


def _last_words(log: Path) -> str:
    tail = log_tail(log)
    return f"its last words: {tail}" if tail else "no output"


def _missing(card: SystemCard, wrong: list[Finding]) -> ConfigError:
    shown = "; ".join(f"{finding.about}: {finding.found}" for finding in wrong[:4])
    more = f" (and {len(wrong) - 4} more)" if len(wrong) > 4 else ""
    return ConfigError(
        f"{card.title} cannot run on this machine",
        expected="its repository, weights and environment",
        found=shown + more,
        fix=f"emo-bench systems doctor {card.name}",
    )
