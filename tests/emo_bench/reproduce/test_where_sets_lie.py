"""Where a set lies on another machine neither changes what was measured nor says where files are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import record_factory
from tiny_sets import write_tiny_set

from emo_bench.record.proof import Proof, Proved
from emo_bench.record.run_data import RunData, load_run
from emo_bench.record.seal import config_digest
from emo_bench.reproduce import confirmation_of, open_original, reproduce
from emo_bench.reproduce.rerun import _claim
from emo_core.errors import ConfigError
from emo_core.hashing import sha256_file


def made(folder: Path, **config: Any) -> RunData:
    run = record_factory.make_run(n_clips=2, systems=("s",), failing=0)
    record = run.record
    values = {**record.config, **config}
    digests = record.digests.model_copy(update={"config": config_digest(values)})
    started = record.timings.model_copy(update={"started": f"2026-01-01T00:00:00+00:00 {folder.name}"})
    update = {"config": values, "digests": digests, "timings": started}
    changed = RunData(record=record.model_copy(update=update), rows=run.rows)
    return load_run(record_factory.write_run(changed, folder, previews=False))


def test_a_folder_that_cannot_be_taken_is_an_error_of_usage(tmp_path: Path) -> None:
    made(tmp_path / "run")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError, match="is no folder"):
        reproduce(tmp_path / "run", output=tmp_path / "file")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "source.json").write_text("{half", encoding="utf-8")
    with pytest.raises(ConfigError, match="not empty"):
        reproduce(tmp_path / "run", output=tmp_path / "out")


def test_what_could_not_be_made_before_may_be_continued(tmp_path: Path) -> None:
    made(tmp_path / "run")
    digest, folder = sha256_file(tmp_path / "run" / "record.json"), tmp_path / "out"
    assert reproduce(tmp_path / "run", output=folder).outcome == "cannot"
    (folder / "run").mkdir()  # a second try, interrupted
    _claim(folder, digest)
    report = folder / "reproduction.json"
    report.write_text(report.read_text(encoding="utf-8").replace('"cannot"', '"equal"'), encoding="utf-8")
    with pytest.raises(ConfigError, match="finished reproduction"):
        _claim(folder, digest)


def test_a_set_that_is_found_starts_from_the_same_bases_as_a_manifest(tmp_path: Path) -> None:
    write_tiny_set(tmp_path / "suites" / "sets" / "mine", n_clips=1)
    dataset = {"kind": "reenacted", "folder": "sets/mine"}
    record = made(tmp_path / "run", name="x", dataset=dataset, anchors=[], systems=[], metrics=["psnr/rgb@1"]).record
    systems = [system.model_copy(update={"name": "ground-truth"}) for system in record.systems[:1]]
    record = record.model_copy(update={"systems": systems, "values": []})
    found = open_original(record, bases=(tmp_path, tmp_path / "suites"))
    assert found.suite is not None
    assert found.suite.base == tmp_path / "suites"
    assert "does not take the config" not in " ".join(found.problems)


def doubt(before: RunData, after: RunData, folder: Path) -> str:
    file = sha256_file(folder / "record.json")
    named = Proved(file=file, seal="")
    proof = Proof(outcome="exact", tolerance=0, record=named, again=named, emo_bench="1")
    return confirmation_of(proof, before, after, after_file=file).doubt


def test_a_reference_set_in_another_folder_is_the_same_set(tmp_path: Path) -> None:
    sets = [{"kind": "hdtf-synth", "slice": name, "folder": folder} for name, folder in ("ax", "ay", "bx")]
    runs = [made(tmp_path / str(number), reference_set=one) for number, one in enumerate(sets)]
    assert doubt(runs[0], runs[1], tmp_path / "1") == ""
    assert "other settings" in doubt(runs[0], runs[2], tmp_path / "2")


def test_a_record_does_not_say_where_its_reference_set_is_made(tmp_path: Path) -> None:
    elsewhere = {"kind": "hdtf-synth", "slice": "mini", "folder": str(tmp_path / "elsewhere")}
    record = record_factory.make_run(n_clips=2, systems=("s",), failing=0).record
    config = {
        "name": "x",
        "dataset": {"kind": "manifest", "manifest": "none.jsonl"},
        "reference_set": elsewhere,
        "anchors": [],
        "systems": [],
        "metrics": ["psnr/rgb@1"],
    }
    update = {
        "config": config,
        "digests": record.digests.model_copy(update={"config": config_digest(config)}),
        "systems": tuple(system for system in record.systems if system.kind == "ground_truth"),
        "values": (),
    }
    found = open_original(record.model_copy(update=update), bases=[tmp_path])
    assert found.suite is not None, found.problems
    assert getattr(found.suite.config.reference_set, "folder", None) == "data/hdtf-synth"
