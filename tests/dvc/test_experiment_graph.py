"""``dvc.yaml`` and its guide: thin stages, nothing trained by default, a fresh clone that ends in the shipped tables.

All in one file, since the clone takes minutes and test files may run in different processes.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emo_bench.runner.suite import load_suite

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guide" / "checkpoint.md"
TABLES = ("table.csv", "values.csv", "table.md", "metrics.json")


@pytest.fixture(scope="module")
def graph() -> dict[str, Any]:
    from ruamel.yaml import YAML

    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    return loaded


def stages(graph: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and body of every stage, repeated ones once for each item, with the item put in."""
    for name, stage in graph["stages"].items():
        if "foreach" not in stage:
            yield name, stage
            continue
        items = stage["foreach"]
        for key, values in items.items() if isinstance(items, dict) else ((item, {}) for item in items):
            text = json.dumps(stage["do"]).replace("${key}", key).replace("${item}", key)
            for field, value in values.items():
                text = text.replace(f"${{item.{field}}}", value)
            assert "${" not in text, text
            yield f"{name}@{key}", json.loads(text)


def paths(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def commands(stage: dict[str, Any]) -> list[str]:
    return stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]


def test_the_stages_go_from_data_to_a_verdict(graph: dict[str, Any]) -> None:
    assert set(graph["stages"]) >= {"data", "train-extractors", "train", "generate", "score", "report", "gate"}
    for name, stage in stages(graph):
        assert stage["desc"], name
        assert stage["deps"], name
        verbs = [command for command in commands(stage) if command.startswith("emo-bench ")]
        assert verbs, name
        assert len(commands(stage)) <= 4, f"{name} is not thin"


def test_what_a_stage_needs_and_reads_exists(graph: dict[str, Any]) -> None:
    outs = {path for _, stage in stages(graph) for path in paths(stage.get("outs", []) + stage.get("metrics", []))}
    for name, stage in stages(graph):
        for path in paths(stage["deps"]):
            assert path in outs or (ROOT / path).exists(), f"{name}: {path}"
        for path in paths(stage.get("params", [])):
            assert (ROOT / path).is_file(), f"{name}: {path}"
            if path.startswith("configs/suites/"):
                load_suite(ROOT / path)


def test_training_is_frozen_and_its_outputs_are_the_shipped_files(graph: dict[str, Any]) -> None:
    training = {name: stage for name, stage in stages(graph) if name.startswith("train")}
    assert {"train-extractors", "train@wav2lip-synth", "train@emo-synth"} == set(training)
    for name, stage in training.items():
        assert stage["frozen"] is True, name
        for out in stage["outs"]:
            path, flags = next(iter(out.items()))
            assert flags == {"cache": False, "persist": True}
            assert (ROOT / path).exists(), f"{name}: dvc repro fails on a frozen stage without its output {path}"
    assert not [
        name for name, stage in stages(graph) if stage.get("frozen") and not name.startswith(("train", "audit"))
    ]


def test_long_outputs_persist_and_small_ones_lie_in_git(graph: dict[str, Any]) -> None:
    for name, stage in stages(graph):
        for out in stage.get("outs", []) + stage.get("metrics", []):
            path, flags = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            if name.startswith(("generate", "score")):
                assert flags == {"persist": True}, name
            if path.startswith("reports/"):
                assert flags == {"cache": False}, name


def test_no_output_has_two_owners(graph: dict[str, Any]) -> None:
    from ruamel.yaml import YAML

    tracked = [out["path"] for out in YAML(typ="safe").load((ROOT / "datasets.dvc").read_text("utf-8"))["outs"]]
    outs = [path for _, stage in stages(graph) for path in paths(stage.get("outs", []) + stage.get("metrics", []))]
    owned = [Path(path) for path in (*tracked, *outs)]
    for index, path in enumerate(owned):
        for other in owned[index + 1 :]:
            assert not path.is_relative_to(other), path
            assert not other.is_relative_to(path), path


def test_plots_name_columns_that_the_shipped_tables_have(graph: dict[str, Any]) -> None:
    import csv

    drawn = 0
    for plot in graph["plots"]:
        if isinstance(plot, str):  # a picture
            continue
        name, options = next(iter(plot.items()))
        for table, column in options["y"].items():
            with (ROOT / table).open(encoding="utf-8") as stream:
                header = next(csv.reader(stream))
            assert column in header, f"{name}: {table}"
            assert options["x"] in header, f"{name}: {table}"
            drawn += 1
    assert drawn >= 2


@pytest.mark.parametrize("suite", ["quickstart", "checkpoint"])
def test_shipped_metrics_are_finite_numbers_of_every_system(suite: str) -> None:
    metrics = json.loads((ROOT / "reports" / suite / "metrics.json").read_text(encoding="utf-8"))
    config = load_suite(ROOT / "configs" / "suites" / f"{suite}.yaml").config
    assert set(metrics) == {system.name for system in config.all_systems()}
    numbers = list(leaves(metrics))
    assert len(numbers) > 30
    assert all(math.isfinite(value) for value in numbers)


def leaves(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    else:
        yield value


def flat(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{name}/{key}")
    else:
        yield name, value


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_fresh_clone_ends_in_the_shipped_tables(clone: Any) -> None:
    ran = [line.split("'")[1] for line in clone.first[0].stdout.splitlines() if line.startswith("Running stage")]
    assert {"data", "score@quickstart", "report@quickstart", "audit", "gate"} <= set(ran)
    assert not [name for name in ran if name.startswith("train")]
    # Between processors the last digits of single precision differ; on one machine nothing does (see below).
    for suite in ("quickstart", "checkpoint"):
        shipped = dict(flat(json.loads((ROOT / f"reports/{suite}/metrics.json").read_text(encoding="utf-8"))))
        made = dict(flat(json.loads(clone.read(f"reports/{suite}/metrics.json"))))
        assert made == pytest.approx(shipped, rel=1e-3, abs=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_second_repro_does_nothing(clone: Any) -> None:
    assert "Data and pipelines are up to date." in clone.sh("dvc repro").stdout


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_table_is_that_of_a_plain_run(clone: Any, tmp_path: Path) -> None:
    """To the bit, with a store of its own."""
    run = quickstart_of_this_commit()
    if run is None:
        clone.sh(
            "emo-bench run --config configs/suites/quickstart.yaml --quiet --output runs/plain"
            " --set store=runs/plain-store --set report.previews=false"
        )
        run = clone.folder / "runs" / "plain"
    clone.sh(
        f"emo-bench report {run} --format csv --format md --output {tmp_path}"
        f" && emo-bench export {run} {tmp_path}/metrics.json --what metrics"
    )
    for file in TABLES:
        assert timeless((tmp_path / file).read_bytes()) == timeless(clone.read(f"reports/quickstart/{file}")), file


def quickstart_of_this_commit() -> Path | None:
    """The run of ``make quickstart`` in this checkout, when it was made by the code that the clone has."""
    run = ROOT / "runs" / "quickstart"
    if not (run / "record.json").is_file():
        return None
    git = json.loads((run / "record.json").read_text(encoding="utf-8"))["provenance"]["git"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return run if git is not None and git["commit"] == head.strip() and not git["dirty"] else None


def timeless(table: bytes) -> bytes:
    """Without the section of seconds before the last paragraph: in the graph the clips come from the store."""
    head, found, tail = table.partition(b"\n## Speed\n")
    return head + tail[tail.rfind(b"\n\n") + 1 :] if found else table


def test_nothing_of_a_run_enters_git() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    for path, ignored in (("runs/dvc/quickstart/record.json", 0), ("reports/quickstart/table.csv", 1), ("dvc.lock", 1)):
        done = subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT, check=False)
        assert done.returncode == ignored, path


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
