"""Every field of a worse candidate's record, rows and samples is changed and sealed again; none of it makes it pass.

Each field gets what the better run has in its place and values that no run writes. The seal is made anew each time, so
that only what follows from what is asked. Changing a value, all its rows and its seal alike is a forgery that only
``reproduce`` finds.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import record_factory

from emo_bench.config.schema import Statistics
from emo_bench.gate import GateRules, Rule, evaluate_gate
from emo_bench.gate.rules import Requirements
from emo_bench.record.run_data import RunData, load_run
from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import sealed
from emo_bench.record.set_samples import SAMPLES_FILE, ClipSamples, write_set_samples
from emo_bench.scoring.values import ScoringRequest, set_metric_values
from emo_core.errors import EmoBenchError

SET = "e-fid/mediapipe-52@1"
RULES = {
    "value per clip": GateRules(resamples=100, rules=(Rule(protocol="lmd/*", primary_only=True),)),
    "distance to the truth": GateRules(resamples=100, rules=(Rule(protocol="f-sim/*", key="f-sim"),)),
    "value of a set": GateRules(resamples=100, rules=(Rule(protocol="e-fid/*", minimum_relative_effect=0.02),)),
}
Place = tuple[Any, ...]


def set_samples(run: RunData, *, worse: float, seed: int) -> list[ClipSamples]:
    """Expressions of each clip; those of the first system lie further from the truth the worse it is."""
    found = []
    for system in run.record.systems:
        rng = np.random.default_rng(99 if system.kind == "ground_truth" else seed)
        shift = 0.0 if system.kind == "ground_truth" else 0.3 + (worse if system.name == "emo-synth" else 0.0)
        for clip in run.record.clips:
            samples = rng.normal(shift, 1.0, (40, 52)).astype(np.float32).astype(np.float64)
            found.append(
                ClipSamples(protocol=SET, system=system.name, clip=clip.id, seed=0, coverage=1.0, samples=samples)
            )
    return found


def with_set_values(run: RunData, found: list[ClipSamples]) -> RunData:
    """The run with the values that its samples give."""
    from emo_bench.extract.catalogue import metric_names, metrics

    assert SET in metric_names()
    sides = {
        system.name: {f"{one.clip}#{one.seed}": one.samples for one in found if one.system == system.name}
        for system in run.record.systems
    }
    values = [entry for entry in run.record.values if entry.protocol != SET]
    for name, side in sides.items():
        request = ScoringRequest(system=name, n_planned=len(side), statistics=Statistics())
        values += set_metric_values(
            metrics.get(SET)(), side, sides["ground-truth"], {}, run.identities, request, coverage=1.0
        )
    rows = tuple(dataclasses.replace(row, coverage=1.0 if row.value is not None else None) for row in run.rows)
    values = [
        entry.model_copy(update={"frame_coverage": 1.0}) if entry.value is not None else entry for entry in values
    ]
    return dataclasses.replace(run, rows=rows, record=run.record.model_copy(update={"values": tuple(values)}))


def written(folder: Path, *, worse_by: float, shift: float, seed: int) -> Path:
    options: dict[str, Any] = {"n_clips": 8, "failing": 0, "systems": ("emo-synth",), "anchors": ("ground_truth",)}
    run = record_factory.make_run(**options, worse_by=worse_by, noise_seed=seed)
    found = set_samples(run, worse=shift, seed=seed)
    run = dataclasses.replace(with_set_values(run, found), series=())
    folder.mkdir()
    write_set_samples(folder, found)
    return record_factory.write_run(run, folder, previews=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("runs")
    good = written(root / "good", worse_by=0.0, shift=0.0, seed=0)
    return good, written(root / "worse", worse_by=6.0, shift=0.5, seed=1)


def outcome(baseline: RunData, folder: Path, record: dict[str, Any], rules: GateRules, *, swap: bool = False) -> str:
    """What the gate says of the folder's files beside another record, which is sealed with them."""
    try:
        changed = sealed(RunRecord.model_validate({**record, "seal": None}), folder)
        (folder / "record.json").write_text(changed.model_dump_json(), encoding="utf-8")
        found = load_run(folder)
        return evaluate_gate(*((found, baseline) if swap else (baseline, found)), rules).outcome
    except (EmoBenchError, ValueError):
        return "unreadable"


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every field; of lists of like things the first two and the last."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*at, key))
    elif isinstance(value, list):
        for index in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from places(value[index], (*at, index))


def inside(value: Any, at: Place) -> Any:
    for key in at:
        value = value[key]
    return value


def changes(record: dict[str, Any], better: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Records that differ in one field."""
    for at in places(record):
        here = inside(record, at)
        wanted: list[Any] = [None, 0, "x", [], {}]
        with contextlib.suppress(KeyError, IndexError, TypeError):
            wanted.insert(0, inside(better, at))
        if isinstance(here, bool):
            wanted.append(not here)
        elif isinstance(here, (int, float)):
            wanted += [here * 0.5, here * 2, -here, 1e9, here + 1]
        elif isinstance(here, list) and here:
            wanted += [here[:-1], [*here, here[0]]]
        for value in wanted:
            if value != here or type(value) is not type(here):
                changed = copy.deepcopy(record)
                inside(changed, at[:-1])[at[-1]] = value
                yield at, changed


def records(folders: tuple[Path, Path]) -> list[dict[str, Any]]:
    return [json.loads((folder / "record.json").read_text(encoding="utf-8")) for folder in folders]


@pytest.mark.parametrize("kind", RULES)
def test_without_changes_the_worse_run_fails_and_the_good_one_passes(folders: tuple[Path, Path], kind: str) -> None:
    good, worse = map(load_run, folders)
    assert evaluate_gate(good, worse, RULES[kind]).outcome == "fail"
    assert evaluate_gate(good, good, RULES[kind]).outcome == "pass"


@pytest.mark.parametrize("kind", [*RULES])
@pytest.mark.parametrize(
    "every", [pytest.param(64, id="some"), pytest.param(1, id="all", marks=[pytest.mark.slow, pytest.mark.fuzz])]
)
def test_no_field_of_a_record_makes_a_worse_run_pass(
    folders: tuple[Path, Path], tmp_path: Path, kind: str, every: int
) -> None:
    baseline, (better, worse) = load_run(folders[0]), records(folders)
    for path in folders[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    counts: Counter[str] = Counter()
    passed = []
    for number, (at, record) in enumerate(changes(worse, better)):
        if number % every == 0:
            said = outcome(baseline, tmp_path, record, RULES[kind])
            counts[said] += 1
            passed += [at] if said == "pass" else []
    assert passed == []
    assert counts["fail"] > 0
    assert counts["invalid"] > 0


@pytest.mark.parametrize("kind", [*RULES])
@pytest.mark.parametrize(
    "every", [pytest.param(64, id="some"), pytest.param(1, id="all", marks=[pytest.mark.slow, pytest.mark.fuzz])]
)
def test_no_field_of_a_baseline_makes_a_worse_run_pass(
    folders: tuple[Path, Path], tmp_path: Path, kind: str, every: int
) -> None:
    candidate, (better, worse) = load_run(folders[1]), records(folders)
    for path in folders[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    passed = [
        at
        for number, (at, record) in enumerate(changes(better, worse))
        if number % every == 0 and outcome(candidate, tmp_path, record, RULES[kind], swap=True) == "pass"
    ]
    assert passed == []


@pytest.mark.parametrize("file", ["clips.parquet", SAMPLES_FILE])
def test_no_column_of_a_file_makes_a_worse_run_pass(folders: tuple[Path, Path], tmp_path: Path, file: str) -> None:
    import pyarrow.parquet as pq

    baseline, (_, record) = load_run(folders[0]), records(folders)
    for path in folders[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tables = [pq.read_table(folder / file) for folder in folders]
    tried = 0
    for name in tables[0].column_names:
        index = tables[1].column_names.index(name)
        for changed in (
            tables[1].set_column(index, name, tables[0][name].slice(0, tables[1].num_rows)),
            tables[1].remove_column(index),
            tables[1].set_column(index, name, tables[1][name].take(list(range(tables[1].num_rows))[::-1])),
        ):
            if changed.equals(tables[1]):
                continue
            pq.write_table(changed, tmp_path / file)
            kinds = RULES if file == "clips.parquet" else {"value of a set": RULES["value of a set"]}
            for kind, rules in kinds.items():
                tried += 1
                assert outcome(baseline, tmp_path, record, rules) != "pass", (name, kind)
    assert tried > 10
    for changed in (tables[1].slice(0, tables[1].num_rows - 1), tables[1].slice(0, 0), tables[0]):
        pq.write_table(changed, tmp_path / file)
        judged = RULES["value per clip" if file == "clips.parquet" else "value of a set"]
        assert outcome(baseline, tmp_path, record, judged) != "pass"
    (tmp_path / file).unlink()
    assert outcome(baseline, tmp_path, record, judged) != "pass"


def test_a_value_without_samples_is_unverified_and_refused_unless_allowed(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    good, record = folders[0], records(folders)[0]
    (tmp_path / "clips.parquet").write_bytes((good / "clips.parquet").read_bytes())
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")  # the samples were not copied along
    rules = RULES["value of a set"]
    verdict = evaluate_gate(load_run(good), load_run(tmp_path), rules)
    assert verdict.exit_code == 2
    assert "cannot be recomputed" in verdict.rules[0].reason
    lenient = rules.model_copy(update={"require": Requirements(recomputed=False)})
    assert evaluate_gate(load_run(good), load_run(tmp_path), lenient).outcome == "pass"
