"""Work in several processes ends, whatever becomes of them; each case is a script, since its workers import it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import os, signal, sys, time
from emo_core.processes import results_of

def work(job):
    if job == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "wrong":
        raise ValueError("this job is wrong")
    if job == "slow":
        time.sleep(60)
    return job * 2

if {guard}:
    print(sorted(results_of(work, {jobs!r}, workers=2)))
"""


def _ran(tmp_path: Path, jobs: list[object], *, guard: str = '__name__ == "__main__"') -> tuple[int, str, str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(jobs=jobs, guard=guard), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_every_job_is_done(tmp_path: Path) -> None:
    assert _ran(tmp_path, [1, 2, 3, 4, 5])[:2] == (0, "[2, 4, 6, 8, 10]\n")


def test_a_killed_worker_ends_the_work_with_an_error(tmp_path: Path) -> None:
    code, _, told = _ran(tmp_path, [1, "killed", 3])
    assert code == 1
    assert "WorkerDiedError: a worker process ended before its work was done" in told


def test_what_a_job_raises_is_raised_and_the_others_do_not_go_on(tmp_path: Path) -> None:
    begun = time.monotonic()
    code, _, told = _ran(tmp_path, ["slow", "wrong", "slow"])
    assert code == 1
    assert "ValueError: this job is wrong" in told
    assert time.monotonic() - begun < 40


def test_a_script_without_a_guard_ends_and_says_what_to_do(tmp_path: Path) -> None:
    code, _, told = _ran(tmp_path, [1, 2, 3], guard="True")
    assert code == 1
    assert 'put the call below `if __name__ == "__main__":`' in told
