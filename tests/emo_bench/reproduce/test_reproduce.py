"""A record made again: equal to the bit here, different when tampered with, refused when something is missing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emo_bench.leaderboard.collect import collect
from emo_bench.record.proof import Proof
from emo_bench.record.run_data import RunData, load_run
from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import sealed
from emo_bench.record.store import write_record
from emo_bench.report.export import export_run, main_values
from emo_bench.reproduce import Reproduction, compare_records, open_original, reproduce, reproduction_markdown
from emo_bench.reproduce.rerun import _fresh
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_core.errors import ConfigError, EmoBenchError, ExitCode
from emo_core.hashing import sha256_file


@pytest.fixture(scope="module")
def made(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small set of its own (``set``), a suite and its run (``run``)."""
    folder = tmp_path_factory.mktemp("original")
    manifest = tiny.set(folder / "set")
    systems = [{"name": name, "kind": "videos", "folder": str(folder / "set")} for name in ("one", "two")]
    run_suite(load_suite(tiny.suite(manifest, folder, anchors=["frozen"], systems=systems)))
    return folder


@pytest.fixture(scope="module")
def again(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Reproduction, Path]:
    """The same run made again, and where."""
    folder = tmp_path_factory.mktemp("again") / "fresh"
    return reproduce(made / "run", output=folder, bases=(made,)), folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy of the run's folder that a test may change; its data stays where it was."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def change(folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """Edits ``record.json`` of a folder and seals it again, as a forger would who knows how."""
    values = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    edit(values)
    write_record(folder, sealed(RunRecord.model_validate(values), folder))
    return folder


def with_record(run: RunData, edit: Callable[[dict[str, Any]], None]) -> RunData:
    values = run.record.model_dump(mode="json")
    edit(values)
    return dataclasses.replace(run, record=RunRecord.model_validate(values))


def refusal(found: Reproduction) -> str:
    """The only problem of a reproduction that was refused."""
    assert (found.outcome, found.exit_code, found.agreement) == ("cannot", ExitCode.USAGE, None)
    assert len(found.problems) == 1, found.problems
    return found.problems[0]


def number(values: dict[str, Any], system: str, key: str) -> dict[str, Any]:
    return next(entry for entry in values["values"] if (entry["system"], entry["key"]) == (system, key))


def test_the_same_machine_gives_the_same_bits_without_any_cache(made: Path, again: tuple[Reproduction, Path]) -> None:
    found, folder = again
    assert (found.outcome, found.exit_code, found.problems) == ("exact", ExitCode.OK, ())
    assert found.agreement is not None
    counts = found.agreement.counts
    assert set(counts) >= {"value", "interval", "per clip", "comparison", "clip"}
    assert all(row["exact"] > 0 and row["within"] == row["different"] == 0 for row in counts.values())
    assert counts["per clip"]["exact"] == 4 * 3 * 4  # systems, clips, values
    first, second = (load_run(path).record.timings for path in (made / "run", folder / "run"))
    assert second.units_computed == first.units_computed > 0  # both began with an empty store
    assert (folder / "store").is_dir()
    saved = json.loads((folder / "reproduction.json").read_text(encoding="utf-8"))
    assert (saved["outcome"], saved["exit_code"]) == ("exact", 0)
    text = (folder / "reproduction.md").read_text(encoding="utf-8")
    assert text == reproduction_markdown(found)
    assert "Equal to the bit: tiny" in text
    assert "The same software and machine." in text


def test_pytorch_may_stand_in_for_an_engine_that_is_not_here(
    copy: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = change(copy, lambda values: values["config"]["execution"].update(inference="openvino"))
    monkeypatch.setattr("emo_bench.engine.loading.find_spec", lambda name: None)
    with pytest.raises(EmoBenchError, match="'openvino' is not installed"):
        reproduce(recorded, output=tmp_path / "as-recorded", bases=(made,))
    found = reproduce(recorded, output=tmp_path / "torch", bases=(made,), inference="torch")
    assert found.outcome == "exact"
    with pytest.raises(EmoBenchError, match="cuda") as told:  # there is none here
        reproduce(recorded, output=tmp_path / "cuda", bases=(made,), device="cuda", inference="openvino")
    assert "runs on the device cpu" in str(told.value)


def test_another_device_is_not_asked_for_an_engine_that_it_does_not_have(copy: Path, made: Path) -> None:
    recorded = change(copy, lambda values: values["config"]["execution"].update(inference="openvino"))
    suite = open_original(load_run(recorded).record, bases=(made,)).suite
    assert suite is not None
    chosen = {
        device: _fresh(suite, made, workers=None, device=device, inference=None).config.execution.inference
        for device in (None, "cpu", "cuda:1")
    }
    assert chosen == {None: "openvino", "cpu": "openvino", "cuda:1": "torch"}


@pytest.mark.parametrize(("installed", "engine"), [(True, "ray"), (False, "local")])
def test_a_run_of_a_cluster_can_be_made_again_without_one(
    made: Path, monkeypatch: pytest.MonkeyPatch, installed: bool, engine: str
) -> None:
    monkeypatch.setattr("emo_bench.reproduce.rerun.find_spec", lambda name: installed or None)
    suite = load_suite(made / "suite.yaml", ["execution.engine=ray"])
    assert _fresh(suite, made, workers=None, device=None, inference=None).config.execution.engine == engine


def test_a_finished_folder_is_not_taken_again(made: Path, again: tuple[Reproduction, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="finished reproduction"):
        reproduce(made / "run", output=again[1])
    (tmp_path / "mine").write_text("kept", encoding="utf-8")
    with pytest.raises(ConfigError, match="not empty"):
        reproduce(made / "run", output=tmp_path)


def test_a_tampered_value_is_found(tiny: Any, copy: Path, tmp_path: Path) -> None:
    def edit(values: dict[str, Any]) -> None:
        number(values, "frozen", "psnr")["value"] += 1.0

    done = tiny.cli("reproduce", change(copy, edit), "-o", tmp_path / "fresh", "--json", "-q", cwd=tmp_path)
    assert done.code == ExitCode.GATE_FAILED, done.err
    assert done.json["outcome"] == "different"
    worst = done.json["agreement"]["differences"]
    assert [(entry["what"], entry["system"], entry["key"], entry["how"]) for entry in worst] == [
        ("value", "frozen", "psnr", "different")
    ]
    assert worst[0]["before"] - worst[0]["after"] == pytest.approx(1.0)
    assert "❌ value | frozen | psnr/rgb&#64;1 psnr |" in (tmp_path / "fresh" / "reproduction.md").read_text("utf-8")


def test_agreement_within_a_tolerance_is_said(made: Path) -> None:
    run = load_run(made / "run")

    def edit(values: dict[str, Any]) -> None:
        number(values, "frozen", "psnr")["value"] *= 1 + 1e-6

    other = with_record(run, edit)
    found = compare_records(run, other, tolerance=1e-3)
    assert (found.exact, found.equal) == (False, True)
    assert [(entry.key, entry.how) for entry in found.differences] == [("psnr", "within")]
    assert found.differences[0].relative == pytest.approx(1e-6, rel=1e-3)
    assert not compare_records(run, other, tolerance=0).equal


def test_numbers_near_zero_are_judged_by_their_last_printed_digit(made: Path) -> None:
    run = load_run(made / "run")

    def at(value: float) -> RunData:
        return with_record(run, lambda values: number(values, "frozen", "flicker").__setitem__("value", value))

    def how(one: float, other: float) -> set[str]:
        return {entry.how for entry in compare_records(at(one), at(other)).differences}

    assert how(0.0, 1e-9) == {"within"}
    assert how(0.0, 0.5) == {"different"}


def test_everything_that_tables_print_of_a_comparison_is_compared(made: Path) -> None:
    run = load_run(made / "run")
    place = next(
        i for i, entry in enumerate(run.record.comparisons) if entry.interval and entry.p_corrected is not None
    )

    def how(change: Callable[[dict[str, Any]], None]) -> list[str]:
        edited = with_record(run, lambda values: change(values["comparisons"][place]))
        return [entry.how for entry in compare_records(run, edited).differences]

    assert how(lambda entry: entry.update(p_corrected=abs(entry["p_corrected"] - 0.2))) == ["different"]
    assert how(lambda entry: entry.update(p_value=entry["p_value"] + 0.0001)) == ["within"]  # one resample of 10,000
    assert how(lambda entry: entry.update(n_pairs=entry["n_pairs"] + 1)) == ["different"]
    assert how(lambda entry: entry["interval"].update(low=entry["interval"]["low"] - 9.0)) == ["different"]
    assert how(lambda entry: entry.update(interval=None)) == ["different", "different"]


def test_per_clip_values_status_and_missing_rows_are_compared(made: Path) -> None:
    run = load_run(made / "run")
    rows = list(run.rows)
    rows[0] = dataclasses.replace(rows[0], value=(rows[0].value or 0.0) + 5.0)
    rows[1] = dataclasses.replace(rows[1], value=None, status="no_face")
    found = compare_records(run, dataclasses.replace(run, rows=tuple(rows[:-1])))
    assert not found.equal
    seen = {(entry.system, entry.clip, entry.key): entry.after for entry in found.differences}
    assert seen == {
        (rows[0].system, rows[0].clip, rows[0].key): rows[0].value,
        (rows[1].system, rows[1].clip, rows[1].key): "no_face",
        (rows[-1].system, rows[-1].clip, rows[-1].key): "absent",
    }
    assert {entry.what for entry in found.differences} == {"per clip"}


def test_a_record_without_rows_says_what_was_not_compared(made: Path) -> None:
    run = load_run(made / "run")
    found = compare_records(dataclasses.replace(run, rows=()), run)
    assert found.exact
    assert "per clip" not in found.counts
    assert "clips.parquet" in found.notes[0]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda values: values["config"].__setitem__("seeds", [7]), "config of the record does not have the digest"),
        (lambda values: values["systems"].append({**values["systems"][0], "name": "x"}), "it lists"),
        (lambda values: values["values"][0].__setitem__("system", "stranger"), "'stranger'"),
        (lambda values: values["systems"][1].__setitem__("digest", "0" * 64), "System 'frozen' is another one"),
        (lambda values: values["digests"].__setitem__("dataset", "0" * 64), "The data set is another one"),
    ],
)
def test_a_record_that_was_changed_is_refused(
    copy: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], None], expected: str
) -> None:
    found = reproduce(change(copy, edit), output=tmp_path / "fresh")
    assert expected in refusal(found)
    assert not (tmp_path / "fresh" / "run").exists()
    assert expected in json.loads((tmp_path / "fresh" / "reproduction.json").read_text("utf-8"))["problems"][0]


def test_weights_of_another_version_are_refused(made: Path) -> None:
    run = load_run(made / "run")
    protocol = run.record.protocols[0].model_copy(
        update={"weights": ({"file": "sfd_face.pth", "sha256": "0" * 64, "licence": "x", "non_commercial": False},)}
    )
    record = RunRecord.model_validate(
        {**run.record.model_dump(mode="json"), "protocols": [protocol.model_dump(mode="json")]}
    )
    found = open_original(record, bases=(Path(),))
    assert [problem.split(" used ")[0] for problem in found.problems] == [f"Protocol {protocol.name}"]


def test_data_that_is_missing_or_other_is_refused(tiny: Any, made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    manifest = tiny.set(folder / "set")
    suite = load_suite(tiny.suite(manifest, folder, anchors=["frozen"], metrics=["psnr/rgb@1"]))
    run_suite(suite)
    clip = folder / "set" / "clip-01.mkv"
    whole = clip.read_bytes()

    clip.write_bytes(whole[:-1] + b"x")
    assert "clip 'clip-01' is not the file of the manifest" in refusal(reproduce(folder / "run", output=tmp_path / "a"))
    clip.unlink()
    assert "clip 'clip-01' is missing" in refusal(reproduce(folder / "run", output=tmp_path / "b"))
    clip.write_bytes(whole)
    tiny.set(folder / "set", n_clips=2)
    assert "The data set is another one" in refusal(reproduce(folder / "run", output=tmp_path / "c"))
    manifest.unlink()
    assert "The data set cannot be opened: no manifest" in refusal(reproduce(folder / "run", output=tmp_path / "d"))
    done = tiny.cli("reproduce", folder / "run", "-o", tmp_path / "e", cwd=tmp_path)
    assert done.code == ExitCode.USAGE
    assert "Cannot be made again" in done.out


def test_relative_paths_start_from_the_given_base(tiny: Any, tmp_path: Path) -> None:
    project = tmp_path / "project"
    manifest = tiny.set(project / "set", n_clips=2)
    path = tiny.suite(
        manifest, project / "suites", anchors=["frozen"], metrics=["psnr/rgb@1"],
        dataset={"kind": "manifest", "manifest": "../set/manifest.jsonl"},
    )  # fmt: skip
    run_suite(load_suite(path))
    run = project / "suites" / "run"
    assert "no manifest" in refusal(reproduce(run, output=tmp_path / "lost"))
    assert reproduce(run, output=tmp_path / "found", bases=(project / "suites",)).outcome == "exact"


def test_no_record_is_an_error_of_usage(tiny: Any, tmp_path: Path) -> None:
    done = tiny.cli("reproduce", tmp_path, cwd=tmp_path)
    assert done.code == ExitCode.USAGE
    assert "no run record" in done.err


def test_the_main_table_as_metrics_leaves_out_what_is_missing(made: Path, tmp_path: Path) -> None:
    run = load_run(made / "run")
    whole = main_values(run)
    assert set(whole) == {"ground-truth", "frozen", "one", "two"}
    assert whole["frozen"]["psnr/rgb@1"].keys() == {"psnr"}

    def lose(values: dict[str, Any]) -> None:
        number(values, "frozen", "psnr").update(value=None, status="failed")

    assert "psnr/rgb@1" not in main_values(with_record(run, lose))["frozen"]
    file = export_run(run, tmp_path / "metrics.json", what="metrics")
    assert json.loads(file.read_text(encoding="utf-8")) == whole
    with pytest.raises(ConfigError, match="JSON only"):
        export_run(run, tmp_path / "metrics.csv", what="metrics")


@pytest.fixture
def shelf(made: Path, again: tuple[Reproduction, Path], tmp_path: Path) -> Path:
    """A folder of records: the run, and the folder in which it was made again (without its store)."""
    shutil.copytree(made / "run", tmp_path / "shelf" / "run")
    shutil.copytree(again[1], tmp_path / "shelf" / "again", ignore=shutil.ignore_patterns("store"))
    return tmp_path / "shelf"


def badge(shelf: Path) -> tuple[str, str]:
    """The badge of the only record that counts, and why a proof shows nothing."""
    found = collect(shelf)
    assert [entry.place for entry in found.entries] == ["run"]
    assert all(item.why == "proof" for item in found.exclusions)
    return found.entries[0].reproduced, " ".join(item.reason for item in found.exclusions)


def change_proof(shelf: Path, **changes: Any) -> None:
    """Edits a proof and seals it again, as a forger would who knows how."""
    path = shelf / "again" / "proof.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    proof = Proof.model_validate({**values, **changes})
    path.write_text(json.dumps({**proof.model_dump(mode="json"), "seal": proof.own_digest()}), encoding="utf-8")


def test_a_record_that_was_made_again_has_the_badge(shelf: Path) -> None:
    assert badge(shelf) == ("exact", "")


def test_a_proof_without_its_run_is_no_proof(shelf: Path) -> None:
    shutil.rmtree(shelf / "again" / "run")
    how, why = badge(shelf)
    assert (how, "is missing" in why) == ("", True)


def test_a_proof_whose_run_lacks_its_rows_is_no_proof(shelf: Path) -> None:
    (shelf / "again" / "run" / "clips.parquet").unlink()
    how, why = badge(shelf)
    assert (how, "clips.parquet" in why) == ("", True)


def test_the_record_itself_is_no_second_run(shelf: Path) -> None:
    shutil.rmtree(shelf / "again" / "run")
    shutil.copytree(shelf / "run", shelf / "again" / "run")
    proved = Proof.model_validate_json((shelf / "again" / "proof.json").read_bytes()).record
    change_proof(shelf, again=proved.model_dump())
    how, why = badge(shelf)
    assert (how, "not a second run" in why) == ("", True)


def test_other_numbers_under_a_good_word_are_found(shelf: Path) -> None:
    def edit(values: dict[str, Any]) -> None:
        number(values, "frozen", "psnr")["value"] += 1.0

    change(shelf / "again" / "run", edit)
    again = shelf / "again" / "run" / "record.json"
    change_proof(shelf, again={"file": sha256_file(again), "seal": ""}, outcome="exact")
    how, why = badge(shelf)
    assert (how, "1 numbers" in why) == ("", True)


def test_runs_that_agree_within_the_tolerance_are_not_called_exact(shelf: Path) -> None:
    def edit(values: dict[str, Any]) -> None:
        number(values, "frozen", "psnr")["value"] *= 1 + 1e-5

    change(shelf / "again" / "run", edit)
    again = shelf / "again" / "run" / "record.json"
    change_proof(shelf, again={"file": sha256_file(again), "seal": ""}, outcome="exact")
    assert badge(shelf) == ("equal", "")


def test_other_systems_or_settings_are_no_second_run(shelf: Path) -> None:
    def other_weights(values: dict[str, Any]) -> None:
        values["systems"][-1]["digest"] = "f" * 64

    def other_settings(values: dict[str, Any]) -> None:
        values["config"]["statistics"]["resamples"] = 7

    for edit, word in ((other_weights, "other systems"), (other_settings, "other settings")):
        folder = Path(shutil.copytree(shelf, shelf.with_name(edit.__name__)))
        change(folder / "again" / "run", edit)
        change_proof(folder, again={"file": sha256_file(folder / "again" / "run" / "record.json"), "seal": ""})
        values = json.loads((folder / "again" / "run" / "record.json").read_text(encoding="utf-8"))
        how, why = badge(folder)
        assert how == "", values["config"]
        assert word in why or "config of the record" in why


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"tolerance": 0.5}, "tolerance"),
        ({"record": {"file": "0" * 64, "seal": "0" * 64}}, "not among those"),
        ({"again": {"file": "0" * 64, "seal": "0" * 64}}, "not the one that it names"),
    ],
)
def test_forged_proofs_show_nothing(shelf: Path, changes: dict[str, Any], word: str) -> None:
    change_proof(shelf, **changes)
    how, why = badge(shelf)
    assert (how, word in why) == ("", True), why


def test_a_proof_that_was_edited_is_told(shelf: Path) -> None:
    path = shelf / "again" / "proof.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"exact"', '"equal"'), encoding="utf-8")
    assert "changed after it was written" in badge(shelf)[1]
    path.write_text('{"schema_version": 2}', encoding="utf-8")
    assert "not a proof of this version" in badge(shelf)[1]


def test_a_reproduction_that_differs_leaves_no_proof(tiny: Any, copy: Path, tmp_path: Path) -> None:
    def edit(values: dict[str, Any]) -> None:
        number(values, "frozen", "psnr")["value"] += 1.0

    done = tiny.cli("reproduce", change(copy, edit), "-o", tmp_path / "fresh", "-q", cwd=tmp_path)
    assert done.code == ExitCode.GATE_FAILED, done.err
    assert not (tmp_path / "fresh" / "proof.json").exists()
