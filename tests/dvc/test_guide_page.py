"""``docs/guide/checkpoint.md``: every command runs as written, in order, and does what the page says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guide" / "checkpoint.md"


def blocks() -> dict[str, list[str]]:
    """Title of each section -> its commands."""
    found: dict[str, list[str]] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        scripts = re.findall(r"^```sh\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
        if scripts:
            found[section.splitlines()[0]] = scripts
    return found


def test_the_page_has_commands_that_a_shell_understands() -> None:
    scripts = [script for section in blocks().values() for script in section]
    assert len(scripts) >= 8
    for script in scripts:
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(6000)
def test_the_commands_run_as_written(clone: Any) -> None:
    outputs = {title: [clone.sh(script).stdout for script in scripts] for title, scripts in blocks().items()}

    def said(start: str) -> str:
        return "\n".join(next(texts for title, texts in outputs.items() if title.startswith(start)))

    assert "Data and pipelines are up to date." in said("1.")
    bad = json.loads(clone.read("runs/new/verdict/verdict.json"))
    assert (bad["outcome"], bad["exit_code"]) == ("fail", 1)
    assert "exit code 1" in said("4.")
    assert "Running stage 'generate@wav2lip-synth'" in said("5.")
    assert "Running stage 'generate@frozen'" not in said("5.")
    assert "wav2lip-synth" in said("5.")  # metrics diff names what changed
    assert (clone.folder / "runs/new/plots/index.html").is_file()
    verdict = json.loads(clone.read("reports/checkpoint/verdict/verdict.json"))
    assert verdict["outcome"] == "pass"
    assert clone.sh("git ls-remote --heads origin new-checkpoint").stdout.strip()
    assert "feather" in said("7.")
    assert "fewer-resamples" in said("7.")
    assert clone.sh("git status --short --untracked-files=no").stdout == ""
    again = json.loads(clone.read("runs/new/again/reproduction.json"))
    assert again["outcome"] == "exact", again["problems"]
