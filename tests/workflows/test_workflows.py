"""Workflows and the action: pinned, without inputs in shell text, and their commands exist."""

from __future__ import annotations

import json
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


def prepared(tmp_path: Path, program: str) -> dict[str, str]:
    """The environment of the action's steps, with a program in place of emo-bench."""
    import os

    here = tmp_path / "here"
    (here / ".venv" / "bin").mkdir(parents=True)
    (here / "configs").symlink_to(ROOT / "configs")
    (here / ".venv" / "bin" / "emo-bench").write_text(f"#!/bin/bash\n{program}\n", encoding="utf-8")
    (here / ".venv" / "bin" / "emo-bench").chmod(0o755)
    return {
        **os.environ, "HERE": str(here), "BASELINE": "a", "CANDIDATE": "b", "RULES": "",
        "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output"),
    }  # fmt: skip


def run_step(name: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As GitHub runs steps whose shell is bash."""
    script = next(step["run"] for step in steps(ROOT / "action.yml") if step["name"] == name)
    command = [str(shutil.which("bash")), "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_verdict_of_an_earlier_use_is_not_shown_again(tmp_path: Path) -> None:
    environment = prepared(tmp_path, "exit 2")
    out = tmp_path / "emo-bench-verdict"
    out.mkdir()
    for name in ("verdict.md", "table.md"):
        (out / name).write_text("passed\n", encoding="utf-8")
    assert run_step("Judge", environment).returncode == 0
    assert "exit-code=2" in (tmp_path / "output").read_text(encoding="utf-8")
    comment = (out / "comment.md").read_text(encoding="utf-8")
    assert "cannot be judged" in comment
    assert "passed" not in comment


def test_gates_with_names_have_folders_and_comments_of_their_own(tmp_path: Path) -> None:
    environment = prepared(tmp_path, "exit 0")
    for name in ("", "lips", "whole-set.2"):
        assert run_step("Judge", {**environment, "NAME": name}).returncode == 0
    firsts = [path.read_text(encoding="utf-8").splitlines()[0] for path in sorted(tmp_path.glob("emo-*/comment.md"))]
    assert firsts == [f"<!-- emo-bench gate{name} -->" for name in ("", " lips", " whole-set.2")]
    refused = run_step("Judge", {**environment, "NAME": 'a" --'})
    assert (refused.returncode, "::error::name" in refused.stdout) == (2, True)


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq, which finds comments as gh does")
def test_the_comment_of_another_gate_is_not_taken(tmp_path: Path) -> None:
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    bodies = [{"id": 1, "body": "<!-- emo-bench gate -->\n"}, {"id": 2, "body": "<!-- emo-bench gate lips -->\n"}]
    (tmp_path / "comments.json").write_text(json.dumps(bodies), encoding="utf-8")
    gh.write_text(
        f'#!/bin/bash\necho "$*" >> {tmp_path}/calls\n'
        f'[[ "$*" == *--paginate* ]] && exec jq "${{@: -1}}" {tmp_path}/comments.json\nexit 0\n',
        encoding="utf-8",
    )
    gh.chmod(0o755)
    environment = prepared(tmp_path, "exit 0")
    environment |= {"PATH": f"{gh.parent}:{environment['PATH']}", "GITHUB_REPOSITORY": "a/b", "NUMBER": "1"}
    for name in ("", "lips", "other"):
        run_step("Comment", {**environment, "NAME": name, "COMMENT": str(tmp_path / "comment.md")})
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert [line.split()[3] if "PATCH" in line else "new" for line in calls if "--paginate" not in line] == [
        "repos/a/b/issues/comments/1",
        "repos/a/b/issues/comments/2",
        "new",
    ]


@pytest.mark.parametrize("lines", [10, 3000])
def test_a_long_comment_is_cut_between_lines_and_closed(tmp_path: Path, lines: int) -> None:
    program = (
        'while [ $# -gt 0 ]; do [ "$1" = --output ] && out="$2"; shift; done; mkdir -p "$out"\n'
        f'echo verdict > "$out/verdict.md"; for i in $(seq {lines})\n'
        'do echo "| row $i | ✅ ✅ ✅ |"; done > "$out/table.md"'
    )
    assert run_step("Judge", prepared(tmp_path, program)).returncode == 0
    comment = (tmp_path / "emo-bench-verdict" / "comment.md").read_text(encoding="utf-8")  # no half letter
    assert len(comment.encode()) < 65_536
    assert comment.count("<details>") == comment.count("</details>") == 1
    assert comment.endswith("\n</details>\n")
    assert [line for line in comment.splitlines() if line.startswith("| row") and not line.endswith("✅ |")] == []
    assert ("cut off" in comment) == (lines == 3000)


@pytest.mark.parametrize("listing", ["exit 1", "seq 100000", "true"])
def test_a_comment_that_cannot_be_written_stops_nothing(tmp_path: Path, listing: str) -> None:
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(
        f'#!/bin/bash\necho "$*" >> {tmp_path}/calls\n[[ "$*" == *--paginate* ]] || exit 1\n{listing}\n',
        encoding="utf-8",
    )
    gh.chmod(0o755)
    environment = prepared(tmp_path, "exit 0")
    environment |= {"PATH": f"{gh.parent}:{environment['PATH']}", "GITHUB_REPOSITORY": "a/b", "NUMBER": "1"}
    done = run_step("Comment", {**environment, "COMMENT": str(tmp_path / "comment.md")})
    assert (done.returncode, "::warning::" in done.stdout) == (0, True), done.stderr
    calls = (tmp_path / "calls").read_text(encoding="utf-8")
    assert ("comments/1 " in calls) == (listing == "seq 100000")
    assert ("pr comment" in calls) == (listing == "true")


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
