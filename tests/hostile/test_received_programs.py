"""A folder received from elsewhere starts no program and writes nowhere else, unless its user allows it by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emo_bench.cli.main import main
from emo_bench.record.provenance import git_state
from emo_bench.record.seal import config_digest, sealed
from emo_bench.record.store import read_record, write_record
from emo_bench.reproduce import reproduce
from emo_bench.reproduce.original import open_original
from emo_bench.runner.permission import check_programs, refused_programs
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_core.errors import ConfigError

CARD = """\
version: 1
name: evil
title: A program that came with the folder
paper: none
sources: [nowhere]
repository: {{url: "https://example.org/evil", commit: "{commit}"}}
licence: {{code: none, weights: none, non_commercial: false}}
hardware: {{cuda: false}}
environment: {{kind: none}}
command: ["{{python}}", "-c", "open({mark!r}, 'w')"]
output: {{glob: "{{output}}"}}
"""


@pytest.fixture
def received(tiny: Any, tmp_path: Path) -> tuple[Path, Path]:
    """A folder with a suite whose system would run a program beside it, and the file that it would leave."""
    folder = tmp_path / "received"
    manifest = tiny.set(folder / "set", n_clips=2)
    mark = tmp_path / "executed"
    (folder / "repo").mkdir()
    (folder / "evil.yaml").write_text(CARD.format(commit="0" * 40, mark=str(mark)), encoding="utf-8")
    system = {"name": "evil", "kind": "external", "card": "evil.yaml", "repository": "repo", "python": sys.executable,
              "allow_other_commit": True}  # fmt: skip
    suite = tiny.suite(manifest, folder, anchors=[], metrics=["psnr/rgb@1"], systems=[system])
    return suite, mark


def test_run_asks_before_it_starts_a_program_of_the_suites_folder(received: tuple[Path, Path]) -> None:
    suite, mark = received
    with pytest.raises(ConfigError, match="--allow-system evil") as caught:
        run_suite(load_suite(suite))
    assert str(mark) in str(caught.value)  # what would run is shown
    assert not mark.exists()
    assert not (suite.parent / "run").exists()


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_the_command_line_says_how_to_allow_it(
    received: tuple[Path, Path], capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    suite, mark = received
    assert main([verb, "--config", str(suite)]) == 2
    assert "--allow-system evil" in capsys.readouterr().err
    assert main([verb, "--config", str(suite), "--allow-system", "other"]) == 2
    assert "no such system" in capsys.readouterr().err
    assert not mark.exists()


def test_a_name_allows_that_system_alone(received: tuple[Path, Path]) -> None:
    suite = load_suite(received[0])
    check_programs(suite, ["evil"])
    with pytest.raises(ConfigError, match="no such system"):
        check_programs(suite, ["other"])


def test_a_card_of_this_installation_is_known_unless_it_comes_in_a_record(tiny: Any, tmp_path: Path) -> None:
    system = {"name": "S", "kind": "external", "card": "sadtalker"}
    suite = load_suite(tiny.suite(tmp_path / "m.jsonl", tmp_path, systems=[system]))
    assert list(refused_programs(suite, ())) == []
    assert len(list(refused_programs(suite, (), received=True))) == 1
    for option in ({"python": "/bin/sh"}, {"repository": "here"}, {"extra_arguments": ["--x"]}, {"log_folder": "/tmp"}):
        changed = load_suite(tiny.suite(tmp_path / "m.jsonl", tmp_path, systems=[{**system, **option}]))
        assert len(list(refused_programs(changed, ()))) == 1, option
    # A card of the same name beside the suite is another card.
    (tmp_path / "sadtalker.yaml").write_text(CARD.format(commit="0" * 40, mark="x"), encoding="utf-8")
    assert len(list(refused_programs(suite, ()))) == 1


@pytest.fixture
def made(tiny: Any, tmp_path: Path) -> Path:
    """A finished run folder."""
    folder = tmp_path / "made"
    run_suite(load_suite(tiny.suite(tiny.set(folder / "set", n_clips=2), folder, anchors=[], metrics=["psnr/rgb@1"])))
    return folder / "run"


def forge(run: Path, **config: Any) -> None:
    """Changes the config of a record and seals it again, as anyone could."""
    record = read_record(run)
    values = {**record.config, **config}
    digests = record.digests.model_copy(update={"config": config_digest(values)})
    write_record(run, sealed(record.model_copy(update={"config": values, "digests": digests}), run))


def test_reproduce_starts_no_program_of_a_record(received: tuple[Path, Path], made: Path, tmp_path: Path) -> None:
    suite, mark = received
    system = load_suite(suite).config.systems[0].model_dump(mode="json")
    forge(made, systems=[{**system, "card": str(suite.parent / "evil.yaml")}])
    record = read_record(made)
    entry = record.systems[0].model_copy(update={"name": "evil", "kind": "external", "anchor": False})
    write_record(made, sealed(record.model_copy(update={"systems": (*record.systems, entry)}), made))
    found = reproduce(made, output=tmp_path / "again", bases=(suite.parent,))
    assert (found.outcome, found.exit_code) == ("cannot", 2)
    assert "--allow-system evil" in found.problems[0]
    assert not mark.exists()
    allowed = open_original(read_record(made), bases=(suite.parent,), allow_systems=["evil"])
    assert not any("--allow-system" in problem for problem in allowed.problems)


@pytest.mark.parametrize("name", ["../../../x", "/tmp/x", "a\0b", "a\x1b[31mb", ".."])
def test_reproduce_writes_below_its_own_folder_whatever_the_record_is_called(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    work = tmp_path / "a" / "b" / "c"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    record = read_record(made).model_copy(update={"name": name, "status": "incomplete"})
    broken = record.model_copy(update={"digests": record.digests.model_copy(update={"config": "0" * 64})})
    write_record(made, sealed(broken, made))
    before = {path for path in tmp_path.rglob("*") if work not in path.parents}
    assert reproduce(made).outcome == "cannot"
    assert {path for path in tmp_path.rglob("*") if work not in path.parents} == before
    assert len(list((work / "runs" / "reproduced").iterdir())) == 1


def test_reproduce_makes_no_data_set_where_a_record_says(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    record = read_record(made)
    from emo_bench.reproduce.original import _values

    config = {**record.config, "dataset": {"kind": "hdtf-synth", "slice": "mini", "folder": str(target)}}
    assert "folder" not in _values(record.model_copy(update={"config": config}))["dataset"]
    (target / "mini").mkdir()
    (target / "mini" / "manifest.jsonl").write_text("", encoding="utf-8")
    assert _values(record.model_copy(update={"config": config}))["dataset"]["folder"] == str(target)


def test_a_damaged_record_is_not_made_again(made: Path, tmp_path: Path) -> None:
    whole = json.loads((made / "record.json").read_text(encoding="utf-8"))
    whole["title"] = "another"
    (made / "record.json").write_text(json.dumps(whole), encoding="utf-8")
    found = reproduce(made, output=tmp_path / "again")
    assert found.outcome == "cannot"
    assert "changed after it was written" in found.problems[0]


def test_a_repository_around_a_suite_starts_nothing(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "x")
    state = git_state(tmp_path)
    assert state is not None
    assert len(state.commit) == 40
    mark = tmp_path.parent / "started"
    for setting in (("core.fsmonitor", f"touch {mark}"), ("filter.x.clean", f"touch {mark}")):
        git("config", *setting)
        assert git_state(tmp_path) is None
        git("config", "--unset", setting[0])
    assert not mark.exists()


def test_neither_settings_of_a_working_tree_nor_of_a_submodule_start_anything(tmp_path: Path) -> None:
    def git(folder: Path, *arguments: str) -> None:
        command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    mark, own, outer = tmp_path / "started", tmp_path / "own", tmp_path / "outer"
    for folder in (own, outer, outer / "inner"):
        folder.mkdir()
        git(folder, "init", "-q")
        (folder / "file").write_text("x", encoding="utf-8")
        git(folder, "add", "file")
        git(folder, "commit", "-q", "-m", "x")
    git(own, "config", "extensions.worktreeConfig", "true")
    assert git_state(own) is not None
    git(own, "config", "--worktree", "core.fsmonitor", f"touch {mark}")
    assert git_state(own) is None
    (outer / ".gitmodules").write_text('[submodule "inner"]\npath = inner\nurl = ./inner\n', encoding="utf-8")
    git(outer, "add", "inner", ".gitmodules")
    git(outer, "commit", "-q", "-m", "with a submodule")
    git(outer / "inner", "config", "core.fsmonitor", f"touch {mark}")
    state = git_state(outer)
    assert state is not None
    assert not state.dirty
    assert not mark.exists()
