"""Workflows and the action: pinned, without inputs in shell text, and their commands exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*(ROOT / ".github" / "workflows").glob("*.yml"), ROOT / "action.yml"])


def steps(path: Path) -> Iterator[dict[str, Any]]:
    loaded = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    for part in [loaded["runs"]] if "runs" in loaded else loaded["jobs"].values():
        yield from part["steps"]


def scripts(path: Path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]), step["uses"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_text_of_others_reaches_a_shell(path: Path) -> None:
    assert not [script for script in scripts(path) if "${{" in script]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_scripts_are_bash(path: Path) -> None:
    for script in scripts(path):
        done = subprocess.run([str(shutil.which("bash")), "-n"], input=script, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_verbs_that_are_called_exist(path: Path) -> None:
    from emo_bench.cli.main import app

    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    called = re.findall(r"bin/emo-bench\"? (\w+)", "\n".join(scripts(path)))
    assert set(called) <= known
    assert called or path.name == "ci.yml"


def test_the_action_judges_and_writes_its_comment(tmp_path: Path) -> None:
    """The judging step itself, on two records of this repository: equal ones pass, and the table is in the comment."""
    import os
    import sys

    script = next(step["run"] for step in steps(ROOT / "action.yml") if step.get("id") == "judge")
    here = tmp_path / "here"
    (here / ".venv" / "bin").mkdir(parents=True)
    (here / "configs").symlink_to(ROOT / "configs")
    program = here / ".venv" / "bin" / "emo-bench"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m emo_bench.cli.main "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    record = str(ROOT / "reports" / "accepted" / "checkpoint")
    output = tmp_path / "output"
    environment = {
        **os.environ, "HERE": str(here), "BASELINE": record, "CANDIDATE": record, "RULES": "",
        "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(output),
    }  # fmt: skip
    subprocess.run([str(shutil.which("bash")), "-e", "-c", script], env=environment, check=True, timeout=280)
    assert "exit-code=0" in output.read_text(encoding="utf-8")
    comment = (tmp_path / "emo-bench-verdict" / "comment.md").read_text(encoding="utf-8")
    assert comment.startswith("<!-- emo-bench gate -->\n")
    assert "Table of the candidate" in comment
