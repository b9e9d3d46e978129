"""What is missing on this machine for an external system, and how to get it."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from emo_bench.systems.external.card import CardWeights, SystemCard, find_card, load_card
from emo_core.hashing import digest_of, sha256_file

SYSTEMS_VARIABLE = "EMO_BENCH_SYSTEMS"
"""Environment variable with the folder that holds one checkout per system."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: 'error' stops a run, 'warning' may explain odd results, 'ok' is in order.
        about: What was looked at.
        found: What was seen.
        fix: What the user can do.
    """

    level: Literal["ok", "warning", "error"]
    about: str
    found: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where the parts of an external system lie on this machine.

    Attributes:
        repository: Its checkout.
        environment: Folder of its uv or conda environment; by default ``.venv`` in the checkout, or found by name.
        python: Interpreter to use instead of the environment's.
        container_engine: Program that runs containers.
        allow_other_commit: Whether another commit than the card's is acceptable.
    """

    repository: Path
    environment: Path | None = None
    python: str | None = None
    container_engine: str = "docker"
    allow_other_commit: bool = False


def default_repository(name: str) -> Path:
    """Where a checkout is expected when nothing else is said: ``$EMO_BENCH_SYSTEMS/<name>`` or the user's data."""
    folder = os.environ.get(SYSTEMS_VARIABLE)
    if folder:
        return Path(folder) / name
    import platformdirs

    return Path(platformdirs.user_data_dir("emo-bench", appauthor=False)) / "systems" / name


def doctor(
    name: str, *, installation: Installation | None = None, base: Path | None = None, verify: bool = True
) -> list[Finding]:
    """Examines one system by the name (or path) of its card.

    Args:
        name: Name of a card, or path of a card's file.
        installation: Where things lie; the default places when absent.
        base: Folder of the suite file, for looking up cards.
        verify: Compare the weights' bytes with their published digests.

    Raises:
        ConfigError: when there is no such card, or it has mistakes.
    """
    card = load_card(find_card(name, base=base))
    return examine(card, installation or Installation(repository=default_repository(card.name)), verify=verify)


def examine(card: SystemCard, installation: Installation, *, verify: bool = True) -> list[Finding]:
    """All findings, in the order in which a user would put things right."""
    return [
        *_repository(card, installation),
        *_weights(card, installation.repository, verify=verify),
        *_environment(card, installation),
        *_machine(card),
        *_licence(card),
    ]


def _repository(card: SystemCard, installation: Installation) -> Iterator[Finding]:
    folder, wanted = installation.repository, card.repository
    place = shlex.quote(str(folder))  # to be pasted into a shell
    get = f"git clone {wanted.url} {place} && git -C {place} checkout {wanted.commit}"
    if not folder.is_dir():
        yield Finding(level="error", about="repository", found=f"no folder {folder}", fix=get)
        return
    commit = checked_out_commit(folder)
    if commit == wanted.commit:
        yield Finding(level="ok", about="repository", found=f"{folder} at commit {commit[:12]}")
    else:
        yield Finding(
            level="warning" if installation.allow_other_commit else "error",
            about="commit",
            found=f"{commit or 'no commit can be read'}; the card was written for {wanted.commit}",
            fix=f"git -C {place} checkout {wanted.commit}, or set allow_other_commit: true",
        )
    if not set(str(folder.resolve())) <= _PLAIN:
        yield Finding(
            level="warning",
            about="repository",
            found=f"its path {str(folder)!r} has spaces or special characters",
            fix="many programs hand paths to a shell of their own; move the checkout to a plain path",
        )


def checked_out_commit(folder: Path) -> str | None:
    """The commit of a checkout, read from its files, without running anything in it.

    Returns:
        40 hexadecimal digits, or None when the folder is no checkout.
    """
    git = folder / ".git"
    try:
        if git.is_file():
            git = (folder / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if head.startswith("ref:"):
            head = _resolve(git, head.removeprefix("ref:").strip())
    except (OSError, UnicodeDecodeError):
        return None
    return head if len(head) == 40 and set(head) <= set("0123456789abcdef") else None


def _resolve(git: Path, reference: str) -> str:
    common = git / "commondir"
    folders = [git, (git / common.read_text(encoding="utf-8").strip()).resolve()] if common.is_file() else [git]
    for folder in folders:
        loose, packed = folder / reference, folder / "packed-refs"
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
        for line in packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else ():
            digest, _, name = line.partition(" ")
            if name == reference:
                return digest
    return ""


def _weights(card: SystemCard, repository: Path, *, verify: bool) -> Iterator[Finding]:
    for item in card.weights:
        path = repository / item.path
        about = f"weights {item.path}"
        if not path.exists():
            level: Literal["warning", "error"] = "error" if item.required else "warning"
            yield Finding(level=level, about=about, found="missing", fix=f"get it from {item.source}")
        elif path.is_dir() and not any(path.iterdir()):
            yield Finding(level="error", about=about, found="an empty folder", fix=f"get it from {item.source}")
        elif item.sha256 is None or path.is_dir():
            yield Finding(level="ok", about=about, found="there; no digest is published, so it cannot be checked")
        elif not verify:
            yield Finding(level="ok", about=about, found="there; not compared with its digest")
        else:
            yield _compared(item, path)


def _compared(item: CardWeights, path: Path) -> Finding:
    found = file_digest(path)
    about = f"weights {item.path}"
    if found == item.sha256:
        return Finding(level="ok", about=about, found="there, with the published digest")
    return Finding(
        level="error",
        about=about,
        found=f"SHA-256 {found} instead of {item.sha256}",
        fix=f"delete it and get it again from {item.source}",
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file; computed once per process while size and time stay the same."""
    status = path.stat()
    return _digest(str(path), status.st_size, status.st_mtime_ns)


def weights_digest(path: Path) -> str:
    """SHA-256 of a file of weights, or over the names and digests of all files below a folder of them.

    Hidden ones are left out: there downloaders note when they did their work.
    """
    if path.is_file():
        return file_digest(path)
    return digest_of({file.relative_to(path).as_posix(): file_digest(file) for file in _files_below(path)})


def _files_below(folder: Path) -> Iterator[Path]:
    for name, inner, names in os.walk(folder, followlinks=True):
        place = Path(name)
        inner[:] = [part for part in inner if not part.startswith(".")]
        if place.resolve() in {above.resolve() for above in place.parents}:  # a link that leads round in a circle
            inner.clear()
            continue
        yield from (place / file for file in names if not file.startswith(".") and (place / file).is_file())


@cache
def _digest(path: str, size: int, modified_ns: int) -> str:
    del size, modified_ns
    return sha256_file(Path(path))


def _environment(card: SystemCard, installation: Installation) -> Iterator[Finding]:
    launch = launcher(card, installation)
    if isinstance(launch, Finding):
        yield launch
    else:
        yield Finding(level="ok", about="environment", found=" ".join(launch.prefix) or launch.python)
    path = os.environ.get("PATH", "")
    ffmpeg = os.environ.get("FFMPEG_PATH")
    search = path + (os.pathsep + ffmpeg if ffmpeg else "")
    for program in card.environment.programs if card.environment.kind != "container" else ():
        # conda environments bring programs of their own, which only the environment itself can see.
        if shutil.which(program, path=search) is None:
            level: Literal["warning", "error"] = "warning" if card.environment.kind == "conda" else "error"
            yield Finding(level=level, about=program, found="not on the PATH", fix=f"install {program}")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How the program's interpreter is started.

    Attributes:
        prefix: Arguments in front of the command, for example ``conda run``.
        python: What ``{python}`` stands for.
    """

    prefix: tuple[str, ...]
    python: str


def launcher(card: SystemCard, installation: Installation) -> Launch | Finding:
    """How to start the system's environment, or what is missing for it."""
    kind = card.environment.kind
    setup = "; ".join(card.setup[:3]) or "see the repository"
    if installation.python is not None:
        found = shutil.which(installation.python)
        if found is None:
            return Finding(level="error", about="python", found=f"no program {installation.python}", fix=setup)
        return Launch(prefix=(), python=found)
    if kind == "container":
        engine = shutil.which(installation.container_engine)
        if engine is None:
            return Finding(
                level="error",
                about="container engine",
                found=f"no program {installation.container_engine}",
                fix="install Docker or Podman, or set container_engine",
            )
        return Launch(prefix=(engine,), python="python")
    if kind == "none":
        found = shutil.which("python3")
        return Launch(prefix=(), python=found) if found else Finding(level="error", about="python", found="no python3")
    folder = installation.environment or (installation.repository / ".venv" if kind == "uv" else None)
    if folder is not None:
        python = folder / "bin" / "python"
        if not python.exists():
            return Finding(level="error", about="environment", found=f"no {python}", fix=setup)
        return Launch(prefix=(), python=str(python))
    conda = os.environ.get("CONDA_EXE") or shutil.which("conda") or shutil.which("mamba") or shutil.which("micromamba")
    if conda is None or not Path(conda).is_file():
        return Finding(
            level="error",
            about="conda",
            found="no conda, mamba or micromamba",
            fix="install one of them, or set 'environment' to the folder of any environment that holds the packages",
        )
    if not any((root / "envs" / card.environment.name).is_dir() for root in _conda_roots(Path(conda), os.environ)):
        return Finding(
            level="error", about="environment", found=f"no conda environment {card.environment.name}", fix=setup
        )
    return Launch(prefix=(conda, "run", "--no-capture-output", "-n", card.environment.name), python="python")


def _conda_roots(conda: Path, variables: Mapping[str, str]) -> list[Path]:
    roots = [Path(variables["MAMBA_ROOT_PREFIX"])] if "MAMBA_ROOT_PREFIX" in variables else []
    return [*roots, conda.resolve().parents[1], Path.home() / ".conda"]


def _machine(card: SystemCard) -> Iterator[Finding]:
    if not card.hardware.cuda:
        return
    need = f"{card.hardware.gpu_memory_gb:g} GB stated" if card.hardware.gpu_memory_gb else "memory need not stated"
    if shutil.which("nvidia-smi") is None and not Path("/dev/nvidia0").exists():
        yield Finding(
            level="warning",
            about="GPU",
            found=f"no NVIDIA driver is seen; the authors name a GPU ({need}; tested on: {card.hardware.tested_on})",
            fix="run this system on a machine with one",
        )
    else:
        yield Finding(level="ok", about="GPU", found=f"an NVIDIA driver is there ({need})")


def _licence(card: SystemCard) -> Iterator[Finding]:
    found = f"code: {card.licence.code}; weights: {card.licence.weights}"
    if card.licence.non_commercial:
        yield Finding(level="warning", about="licence", found=f"non-commercial use only ({found})")
    else:
        yield Finding(level="ok", about="licence", found=found)
