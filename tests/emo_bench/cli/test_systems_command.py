"""``emo-bench systems``: what can be asked, and what the answers hold."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emo_bench.cli.main import app
from emo_bench.systems.external.card import card_names, find_card, load_card
from emo_core.errors import ConfigError, ExitCode


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["systems", *arguments], standalone_mode=False)


def levels(result: Result, name: str) -> dict[str, str]:
    assert result.exception is None, result.output
    return {finding["about"]: finding["level"] for finding in json.loads(result.output)[name]}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like SadTalker's checkout at the card's commit, without weights."""
    folder = tmp_path / "SadTalker"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text(load_card(find_card("sadtalker")).repository.commit + "\n")
    return folder


def environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return folder


def test_every_card_is_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMO_BENCH_SYSTEMS", str(tmp_path))
    (tmp_path / "sadtalker").mkdir()
    rows = {row["name"]: row for row in json.loads(ask("ls", "--json").output)}
    assert list(rows) == card_names()
    assert {name for name, row in rows.items() if row["checkout"]} == {"sadtalker"}
    assert rows["sadtalker"]["repository"].startswith("https://")
    assert rows["sadtalker"]["folder"] == str(tmp_path / "sadtalker")
    text = ask("ls").output
    assert all(name in text for name in card_names())
    assert text.splitlines()[0].startswith("NAME")


def test_the_checkout_can_lie_anywhere(checkout: Path) -> None:
    found = levels(ask("doctor", "sadtalker", "--repository", str(checkout), "--json"), "sadtalker")
    assert found["repository"] == "ok"
    missing = levels(ask("doctor", "sadtalker", "--repository", str(checkout / "no"), "--json"), "sadtalker")
    assert missing["repository"] == "error"


def test_the_environment_can_lie_anywhere(checkout: Path, tmp_path: Path) -> None:
    place = ["doctor", "sadtalker", "--json", "--repository", str(checkout)]
    found = levels(ask(*place, "--environment", str(environment(tmp_path / "env"))), "sadtalker")
    assert found["environment"] == "ok"
    assert levels(ask(*place, "--environment", str(tmp_path / "no")), "sadtalker")["environment"] == "error"


def test_an_interpreter_can_be_named(checkout: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "env") / "bin" / "python"
    place = ["doctor", "sadtalker", "--json", "--repository", str(checkout)]
    assert levels(ask(*place, "--python", str(python)), "sadtalker")["environment"] == "ok"
    assert levels(ask(*place, "--python", "no-such-python"), "sadtalker")["python"] == "error"


def test_another_commit_is_a_warning_when_it_is_allowed(checkout: Path) -> None:
    (checkout / ".git" / "HEAD").write_text("0" * 40)
    place = ["doctor", "sadtalker", "--json", "--repository", str(checkout)]
    assert levels(ask(*place), "sadtalker")["commit"] == "error"
    assert levels(ask(*place, "--allow-other-commit"), "sadtalker")["commit"] == "warning"


def test_what_is_missing_decides_the_exit_status(checkout: Path) -> None:
    done = CliRunner().invoke(app, ["systems", "doctor", "sadtalker", "--repository", str(checkout)])
    assert "missing" in done.output
    assert ask("doctor", "sadtalker", "--repository", str(checkout)).return_value == ExitCode.INCOMPLETE


def test_one_place_cannot_hold_two_systems(checkout: Path) -> None:
    done = ask("doctor", "sadtalker", "dreamtalk", "--repository", str(checkout))
    assert isinstance(done.exception, ConfigError)
    assert "one system" in str(done.exception)


def test_an_unknown_system_names_the_known_ones() -> None:
    done = ask("doctor", "no-such-system")
    assert isinstance(done.exception, ConfigError)
    assert "sadtalker" in str(done.exception.expected)


def test_names_that_steer_a_terminal_are_made_visible(tmp_path: Path) -> None:
    done = ask("doctor", "sadtalker", "--repository", str(tmp_path / "a\x1b[31mred"))
    assert "\x1b" not in done.output
