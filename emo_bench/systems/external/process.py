"""Runs another program within limits: no shell, a process group of its own, its log kept, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emo_bench.systems.external.watchdog import end_elsewhere, kill_all

MARK = "EMO_BENCH_RUN"
"""Environment variable by which processes are found that left the program's process group."""

_POLL_S = 0.05
_GRACE_S = 3.0
_TAIL_BYTES = 16_384

KEPT_VARIABLES = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "SHELL", "TERM"),
    *("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
    *("XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME", "CONDA_EXE", "MAMBA_EXE", "MAMBA_ROOT_PREFIX", "FFMPEG_PATH"),
    *("DOCKER_HOST", "XDG_RUNTIME_DIR", "OMP_NUM_THREADS"),
)
"""What a program inherits of the environment; nothing else, so that no credentials reach it."""


@dataclass(frozen=True, kw_only=True)
class ProcessLimits:
    """What a program may cost.

    Attributes:
        seconds: Wall-clock time.
        memory_bytes: Resident memory of all its processes together (measured on Linux only); None for no limit.
        log_bytes: Size of its log.
    """

    seconds: float
    memory_bytes: int | None = None
    log_bytes: int = 64 << 20


@dataclass(frozen=True, kw_only=True)
class ProcessResult:
    """How a program ended.

    Attributes:
        returncode: Its exit status (negative: the signal that ended it); None when it could not be started.
        stopped_for: Which limit it broke, if any.
        seconds: How long it ran.
        peak_memory: Largest resident memory seen, in bytes; 0 where it cannot be measured.
        error: Why it could not be started.
    """

    returncode: int | None
    stopped_for: Literal["time", "memory", "log"] | None
    seconds: float
    peak_memory: int
    error: str = ""


def clean_environment(extra: Mapping[str, str], *, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of ``KEPT_VARIABLES`` that are set, and ``extra``."""
    source = os.environ if inherited is None else inherited
    return {name: source[name] for name in KEPT_VARIABLES if name in source} | dict(extra)


def run_limited(
    arguments: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: Path,
    limits: ProcessLimits,
    stop: Sequence[str] = (),
) -> ProcessResult:
    """Runs a program to its end or to a limit; when this returns, none of its processes is left.

    Args:
        arguments: Program and arguments; handed to the system as they are, never to a shell.
        cwd: Its working folder.
        environment: All of its environment variables.
        log: File that receives its output and errors.
        limits: What it may cost.
        stop: Program and arguments that end what is no process of the program's own, such as a container; run when the
            program does not end by itself, and also when this process is killed meanwhile.
    """
    mark = secrets.token_hex(12)
    started = time.monotonic()
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                list(arguments),
                cwd=cwd,
                env={**environment, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                close_fds=True,
            )
        except (OSError, ValueError) as error:
            return ProcessResult(returncode=None, stopped_for=None, seconds=0.0, peak_memory=0, error=str(error))
    stopped_for: Literal["time", "memory", "log"] | None = None
    peak = 0
    watchdog: subprocess.Popen[bytes] | None = None
    try:
        watchdog = _start_watchdog(process.pid, mark, stop)
        while process.poll() is None and stopped_for is None:
            peak = max(peak, _resident(process.pid))
            stopped_for = _broken(limits, seconds=time.monotonic() - started, memory=peak, log=log)
            if stopped_for is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
    finally:
        if process.poll() is None:
            end_elsewhere(stop, environment=clean_environment({}))
        _end(process, mark)
        if watchdog is not None:
            _dismiss(watchdog)
    return ProcessResult(
        returncode=process.returncode,
        stopped_for=stopped_for,
        seconds=time.monotonic() - started,
        peak_memory=peak,
    )


def log_tail(log: Path, *, lines: int = 15, characters: int = 1200) -> str:
    """The end of a log as plain text: no control characters, what progress bars overwrote left out."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    kept = [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    shown = ["".join(letter for letter in line if letter.isprintable()).rstrip() for line in kept]
    return "\n".join([line for line in shown if line][-lines:])[-characters:]


def _broken(
    limits: ProcessLimits, *, seconds: float, memory: int, log: Path
) -> Literal["time", "memory", "log"] | None:
    if seconds > limits.seconds:
        return "time"
    if limits.memory_bytes is not None and memory > limits.memory_bytes:
        return "memory"
    return "log" if log.stat().st_size > limits.log_bytes else None


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Asks the group to end, then ends it, and whatever left the group."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    # The leader may be gone while its children live on; their group keeps its number until the last one ends.
    kill_all(process.pid, f"{MARK}={mark}")
    process.wait()


def _start_watchdog(group: int, mark: str, stop: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process that ends the program's group should this process be killed; see ``watchdog.py``."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("watchdog.py")), str(group), f"{MARK}={mark}", *stop],
        env=clean_environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _dismiss(watchdog: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        watchdog.communicate(b".")


def _resident(session: int) -> int:
    """Resident bytes of all processes of a session."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in the second field may hold anything, so count from behind its closing bracket.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total
