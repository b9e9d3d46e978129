"""A unit that takes too long is stopped with one worker, too, which is this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emo_bench.engine.pool import JobKind, run_jobs


def _sleeper(spec: Any) -> Callable[[float], str]:
    del spec

    def sleep(seconds: float) -> str:
        try:
            for _ in range(int(seconds / 0.01)):
                time.sleep(0.01)
        except Exception:
            return "swallowed"
        return "slept"

    return sleep


def _fail(job: float, code: str, reason: str) -> str:
    del job
    return f"{code}: {reason}"


@pytest.mark.timeout(60)
def test_the_limit_holds_with_one_worker() -> None:
    answers = list(run_jobs(None, [0.02, 30.0, 0.02], JobKind(_sleeper, _fail), workers=1, timeout_s=1.0))  # type: ignore[arg-type]
    assert answers == ["slept", "timeout: took longer than 1 s and was stopped", "slept"]


def test_a_clip_that_hangs_fails_alone(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, third_party: Path
) -> None:
    from emo_bench.runner.run import run_suite
    from emo_bench.runner.suite import load_suite
    from emo_bench.systems.system import systems

    monkeypatch.syspath_prepend(third_party)
    monkeypatch.setitem(systems._targets, "odd_hangs", "odd_systems:Hangs")
    manifest = tiny.set(tmp_path / "set", n_clips=3)
    suite = tiny.suite(
        manifest, tmp_path, anchors=[], metrics=["psnr/rgb@1"], systems=[{"name": "odd", "kind": "odd_hangs"}],
        execution={"workers": 1, "unit_timeout_s": 8.0},
    )  # fmt: skip
    record = run_suite(load_suite(suite))
    assert {(entry.clip, entry.code) for entry in record.failures if entry.stage == "generate"} == {
        ("clip-01", "timeout")
    }
