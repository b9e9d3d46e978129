"""Every command, protocol and file that the documentation names is there, with the options that it is shown with."""

from __future__ import annotations

import re
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from emo_metrics.registered import EXTRACTORS, METRICS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").rglob("*.md")])
PAGES = [page for page in PAGES if page.name != "CHANGELOG.md"]
TOOL = re.compile(r"(?:\.venv/bin/)?emo-bench ((?:(?!emo-bench )[^`|#;])*)")
SCRIPT = re.compile(r"(?<![\w/.-])python (-m [a-z_.]+|[a-z_/]+\.py)((?:(?!python )[^`|#;&)])*)")
PROTOCOL = re.compile(r"(?<![\w/.-])[a-z0-9]+(?:-[a-z0-9]+)*/[a-z0-9]+(?:-[a-z0-9]+)*@[0-9.]*[0-9]")
CONFIG = re.compile(r"(?<![\w/.-])configs/[\w./-]+\.(?:yaml|json|txt)")
EXAMPLES = {"head-tilt/mediapipe@1", "configs/suites/my-suite.yaml"}
"""What a reader is shown how to write."""
OTHERS = ("cProfile", "dvc", "pip", "ray")
"""Modules of other packages."""


def text_of(page: Path) -> str:
    """The page with continued lines joined."""
    return page.read_text(encoding="utf-8").replace("\\\n", " ")


def pieces(page: Path) -> list[str]:
    """Lines of a page, and its code spans, which may go over the end of a line."""
    text = text_of(page)
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [*text.splitlines(), *(span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", outside))]


def words(command: str) -> list[str]:
    """The words of a command; dots of a sentence and of something left out are no part of it."""
    try:
        found = shlex.split(command)
    except ValueError:
        found = command.split()
    return [word.rstrip(".,:)…") for word in found]


@cache
def tool() -> Any:
    """``emo-bench`` with its commands."""
    import typer

    from emo_bench.cli.main import app

    return typer.main.get_command(app)


def fault_of(given: list[str]) -> str | None:
    """What is wrong with the words behind ``emo-bench``; None when they begin no command of it, as in a sentence."""
    command = tool()
    if not given or given[0] not in getattr(command, "commands", {}):
        return None
    path: list[str] = []
    while given and given[0] in getattr(command, "commands", {}):
        command = command.commands[given[0]]
        path.append(given[0])
        given = given[1:]
    if hasattr(command, "commands") and given and not given[0].startswith("-"):
        return f"{' '.join(path)} has no command {given[0]}"
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    for word in given:
        name = word.partition("=")[0]
        if re.fullmatch(r"--?[a-z][a-z-]*", name) and name not in known | {"--help"}:
            return f"{' '.join(path)} has no option {name}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_exist(page: Path) -> None:
    shown = {command for piece in pieces(page) for command in TOOL.findall(piece)}
    assert not [(command, fault) for command in shown if (fault := fault_of(words(command)))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_and_their_options_exist(page: Path) -> None:
    faults = []
    for what, rest in {found for piece in pieces(page) for found in SCRIPT.findall(piece)}:
        name = what.removeprefix("-m ")
        if name.partition(".")[0] in OTHERS or (what.startswith("-m") and not (ROOT / name.partition(".")[0]).exists()):
            continue
        path = ROOT / (name if name.endswith(".py") else name.replace(".", "/") + ".py")
        path = path if path.is_file() else path.with_suffix("") / "__main__.py"
        source = path.read_text(encoding="utf-8") if path.is_file() else ""
        beside = (
            path.with_name(f"{other}.py") for other in re.findall(r"^from (\w+) import", source, flags=re.MULTILINE)
        )
        source += "".join(other.read_text(encoding="utf-8") for other in beside if other.is_file())
        options = {word.partition("=")[0] for word in words(rest) if re.match(r"--[a-z]", word)}
        lacking = {
            name for name in options if f'"{name}"' not in source and f'"{name.replace("--no-", "--")}"' not in source
        }
        faults += [f"{what} {name}" for name in lacking] if source else [what]
    assert not faults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_protocols_and_configurations_exist(page: Path) -> None:
    text = text_of(page)
    unknown = {name for name in PROTOCOL.findall(text) if name not in {*METRICS, *EXTRACTORS}}
    assert not (unknown | {name for name in CONFIG.findall(text) if not (ROOT / name).exists()}) - EXAMPLES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_damages_of_audits_exist_at_their_levels(page: Path) -> None:
    from emo_bench.audit.distortions import chosen_corruptions

    for command in {command for piece in pieces(page) for command in TOOL.findall(piece)}:
        given = words(command)
        if given[:1] == ["audit"]:
            chosen = {option: [b for a, b in pairwise(given) if a == option] for option in ("-d", "-l")}
            chosen_corruptions(chosen["-d"], chosen["-l"])


def test_a_wrong_command_is_noticed() -> None:
    assert fault_of(["data", "prepare", "hdtf", "--raw", "X"]) is None
    assert fault_of(["data", "prepare", "hdtf", "--rau", "X"]) == "data prepare hdtf has no option --rau"
    assert fault_of(["data", "prepair"]) == "data has no command prepair"
    assert fault_of(["decodes", "media"]) is None
