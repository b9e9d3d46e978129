"""Programs are kept within limits, and nothing of them is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emo_bench.systems.external.process import (
    ProcessLimits,
    ProcessResult,
    clean_environment,
    log_tail,
    run_limited,
)


def run(tmp_path: Path, code: str, *arguments: str, **limits: float) -> ProcessResult:
    return run_limited(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        environment=clean_environment({}),
        log=tmp_path / "log",
        limits=ProcessLimits(**{"seconds": 30.0, **limits}),  # type: ignore[arg-type]
    )


def gone(pid: int) -> bool:
    for _ in range(60):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":  # ended, only not yet collected by the container's first process
            return True
        time.sleep(0.05)
    return False


def test_arguments_arrive_as_they_are(tmp_path: Path) -> None:
    nasty = ["a b", "it's", '"quoted"', "$(touch pwned)", "; touch pwned", "`touch pwned`", "*", "-rf", "{image}"]
    result = run(tmp_path, "import sys; print(sys.argv[1:])", *nasty)
    assert result.returncode == 0
    assert repr(nasty) in (tmp_path / "log").read_text(encoding="utf-8")
    assert not (tmp_path / "pwned").exists()


def test_a_crash_is_reported_with_its_last_words(tmp_path: Path) -> None:
    result = run(tmp_path, "import sys; print('step 1\\rstep 2'); sys.exit('CUDA \\x1b[31mout of memory')")
    assert result.returncode == 1
    tail = log_tail(tmp_path / "log")
    assert "out of memory" in tail
    assert "\x1b" not in tail
    assert "step 1" not in tail


def test_a_hanging_program_ends_with_all_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "away = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "print(child.pid, away.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    started = time.monotonic()
    result = run(tmp_path, code, seconds=4.0)
    assert result.stopped_for == "time"
    assert time.monotonic() - started < 25
    pids = (tmp_path / "log").read_text(encoding="utf-8").split()
    assert len(pids) == 2
    assert all(gone(int(pid)) for pid in pids)


def test_children_that_outlive_a_finished_program_end_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
    )
    assert run(tmp_path, code).returncode == 0
    assert gone(int((tmp_path / "log").read_text(encoding="utf-8")))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is measured on Linux only")
def test_memory_and_log_are_limited(tmp_path: Path) -> None:
    hungry = "import time; data = bytearray(300 << 20); data[::4096] = b'x' * len(data[::4096]); time.sleep(30)"
    assert run(tmp_path, hungry, memory_bytes=150 << 20).stopped_for == "memory"
    chatty = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    assert run(tmp_path, chatty, log_bytes=1 << 20).stopped_for == "log"


def test_a_missing_program_is_no_crash(tmp_path: Path) -> None:
    result = run_limited(
        ["/no/such/program"], cwd=tmp_path, environment={}, log=tmp_path / "log", limits=ProcessLimits(seconds=5)
    )
    assert result.returncode is None
    assert "No such file" in result.error


def test_a_program_that_cannot_be_watched_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    started: list[int] = []
    begin = subprocess.Popen

    def noting(*arguments: Any, **options: Any) -> Any:
        process = begin(*arguments, **options)
        started.append(process.pid)
        return process

    monkeypatch.setattr("emo_bench.systems.external.process.subprocess.Popen", noting)
    monkeypatch.setattr("emo_bench.systems.external.process._start_watchdog", refuse)
    with pytest.raises(BlockingIOError):
        run(tmp_path, "import time; time.sleep(300)")
    assert gone(started[0])


def test_no_credentials_are_handed_over() -> None:
    inherited = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "HF_TOKEN": "y", "PYTHONPATH": "z", "HOME": "/h"}
    kept = clean_environment({"OWN": "1"}, inherited=inherited)
    assert kept == {"PATH": "/bin", "HOME": "/h", "OWN": "1"}
    assert "PYTHONPATH" not in clean_environment({}, inherited=dict(os.environ))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed on Linux only")
def test_a_killed_owner_leaves_no_program_behind(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    # The program leaves its group for a child of its own, as launchers do.
    program = (
        "import os, pathlib, subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True);"
        f"part = pathlib.Path({str(note)!r} + '.part'); part.write_text(f'{{os.getpid()}} {{child.pid}}');"
        f"part.rename({str(note)!r}); time.sleep(300)"
    )
    owner = (
        "import sys; from pathlib import Path;"
        "from emo_bench.systems.external.process import ProcessLimits, run_limited;"
        f"run_limited([sys.executable, '-c', {program!r}], cwd=Path({str(tmp_path)!r}), environment={{}},"
        f" log=Path({str(tmp_path / 'log')!r}), limits=ProcessLimits(seconds=300))"
    )
    process = subprocess.Popen([sys.executable, "-c", owner])
    assert _becomes(note.exists), "the program did not start"
    started = [int(pid) for pid in note.read_text().split()]
    assert all(_alive(pid) for pid in started)
    process.kill()
    process.wait()
    assert _becomes(lambda: not any(_alive(pid) for pid in started))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed on Linux only")
@pytest.mark.parametrize("how", ["kill", "interrupt", "limit"])
def test_what_a_daemon_runs_for_the_program_is_stopped_with_it(tmp_path: Path, how: str) -> None:
    """A container is no child of the program that started it: its engine has to be asked."""
    begun, stopped = tmp_path / "begun", tmp_path / "stopped"
    program = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(300)"
    stop = [sys.executable, "-c", f"import pathlib; pathlib.Path({str(stopped)!r}).touch()"]
    seconds = 4 if how == "limit" else 300
    owner = (
        # Who is started in the background by a shell ignores the signal, and so would those started by it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pathlib import Path;"
        "from emo_bench.systems.external.process import ProcessLimits, run_limited;"
        f"run_limited([{sys.executable!r}, '-c', {program!r}], cwd=Path({str(tmp_path)!r}), environment={{}},"
        f" log=Path({str(tmp_path / 'log')!r}), limits=ProcessLimits(seconds={seconds}), stop={stop!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", owner], stderr=subprocess.DEVNULL)
    assert _becomes(begun.exists), "the program did not start"
    assert not stopped.exists()
    if how != "limit":
        process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGINT)
    process.wait(timeout=60)
    assert _becomes(stopped.exists)


def test_nothing_is_asked_to_stop_after_a_program_that_ended(tmp_path: Path) -> None:
    stop = [sys.executable, "-c", f"import pathlib; pathlib.Path({str(tmp_path / 'stopped')!r}).touch()"]
    result = run_limited(
        [sys.executable, "-c", ""],
        cwd=tmp_path,
        environment={},
        log=tmp_path / "log",
        limits=ProcessLimits(seconds=30),
        stop=stop,
    )
    assert result.returncode == 0
    assert not (tmp_path / "stopped").exists()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _becomes(condition: Callable[[], bool], *, seconds: float = 60.0) -> bool:
    """Waits until the condition holds; False when it does not come to hold in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False
