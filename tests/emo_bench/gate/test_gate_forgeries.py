"""No record that a run could not have written passes the gate, and none that was made on other terms."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import record_factory

from emo_bench.gate import GateRules, Rule, evaluate_gate
from emo_bench.gate.rules import Requirements
from emo_bench.record.run_data import RunData, load_run
from emo_bench.record.schema import ClipEntry, FailureEntry, RunRecord, ValueEntry

NO_SAMPLES = Requirements(recomputed=False)
"""The values of sets that the factory makes up rest on no samples; ``test_gate_mutations`` has real ones."""

RULES = GateRules(resamples=200, require=NO_SAMPLES, rules=(Rule(protocol="*", primary_only=True),))
Forgery = Callable[[RunData], RunData]


@pytest.fixture(scope="module")
def baseline() -> RunData:
    return record_factory.make_run(n_clips=10, failing=0)


def record_with(run: RunData, **changes: Any) -> RunData:
    return dataclasses.replace(run, record=run.record.model_copy(update=changes))


def values_with(change: Callable[[ValueEntry], ValueEntry], *, key: str = "f-sim") -> Forgery:
    def forge(run: RunData) -> RunData:
        return record_with(
            run,
            values=tuple(
                change(entry) if (entry.system, entry.key) == ("emo-synth", key) else entry
                for entry in run.record.values
            ),
        )

    return forge


def interval_with(**changes: Any) -> Forgery:
    def change(entry: ValueEntry) -> ValueEntry:
        assert entry.interval is not None
        return entry.model_copy(update={"interval": entry.interval.model_copy(update=changes)})

    return values_with(change, key="e-fid")


def rows_with(change: Callable[[record_factory.ClipRow], Any]) -> Forgery:
    def forge(run: RunData) -> RunData:
        first = next(row for row in run.rows if (row.system, row.key) == ("emo-synth", "f-sim"))
        made = change(first)
        kept = tuple(row for row in run.rows if row is not first)
        return dataclasses.replace(run, rows=(*kept, *(made if isinstance(made, tuple) else (made,))))

    return forge


def clips_with(**changes: Any) -> Forgery:
    return lambda run: record_with(
        run, clips=(ClipEntry(**{**run.record.clips[0].model_dump(), **changes}), *run.record.clips[1:])
    )


def config_with(**changes: Any) -> Forgery:
    return lambda run: record_with(run, config={**run.record.config, **changes})


def protocols_with(**changes: Any) -> Forgery:
    return lambda run: record_with(
        run, protocols=tuple(protocol.model_copy(update=changes) for protocol in run.record.protocols)
    )


FAILURE = FailureEntry(stage="generate", system="emo-synth", clip="clip-00", seed=0, code="system_error", reason="x")

FORGERIES: dict[str, Forgery] = {
    "a value that its rows do not give": values_with(lambda entry: entry.model_copy(update={"value": -40.0})),
    "a value a little better than its rows": values_with(
        lambda entry: entry.model_copy(update={"value": (entry.value or 0) * 1.001})
    ),
    "a value over more clips than there are": values_with(
        lambda entry: entry.model_copy(update={"n_scored": 11, "n_planned": 11})
    ),
    "more scored than planned": values_with(lambda entry: entry.model_copy(update={"n_planned": 1}), key="e-fid"),
    "more planned than clips": values_with(
        lambda entry: entry.model_copy(update={"n_planned": 99, "n_scored": 99}), key="e-fid"
    ),
    "a value and a failure": values_with(lambda entry: entry.model_copy(update={"status": "failed"}), key="e-fid"),
    "level 0": interval_with(level=0.0),
    "level 1": interval_with(level=1.0),
    "level 2": interval_with(level=2.0),
    "level NaN": interval_with(level=math.nan),
    "ends turned round": interval_with(low=9.0, high=-9.0),
    "an infinite end": interval_with(high=math.inf),
    "an end that is none": interval_with(low=math.nan),
    "no units": interval_with(n_units=0),
    "more units than clips": interval_with(n_units=1000),
    "a row twice": rows_with(lambda row: (row, row)),
    "a second, better row": rows_with(lambda row: (row, dataclasses.replace(row, value=99.0))),
    "a row of an unknown seed": rows_with(lambda row: (row, dataclasses.replace(row, seed=7, value=99.0))),
    "a row of an unknown clip": rows_with(lambda row: (row, dataclasses.replace(row, clip="clip-99"))),
    "a row of an unknown system": rows_with(lambda row: (row, dataclasses.replace(row, system="x"))),
    "a row of an unknown value": rows_with(lambda row: (row, dataclasses.replace(row, key="x"))),
    "a row of another person": rows_with(lambda row: dataclasses.replace(row, identity="person-09")),
    "a value twice": lambda run: record_with(run, values=(*run.record.values, run.record.values[0])),
    "a clip twice": lambda run: record_with(run, clips=(*run.record.clips, run.record.clips[0])),
    "a system twice": lambda run: record_with(run, systems=(*run.record.systems, run.record.systems[-1])),
    "a protocol twice": lambda run: record_with(run, protocols=(*run.record.protocols, run.record.protocols[0])),
    "no seeds": lambda run: record_with(run, config={"statistics": {}}),
    "an empty config": lambda run: record_with(run, config={}),
    "seeds that are none": config_with(seeds="0"),
    "a failed clip in a complete run": clips_with(status="failed", code="decode_error"),
    "a failed unit in a complete run": lambda run: record_with(run, failures=(FAILURE,)),
    "values of an unknown system": lambda run: record_with(
        run, values=(*run.record.values, run.record.values[0].model_copy(update={"system": "x"}))
    ),
}

OTHER_TERMS: dict[str, Forgery] = {
    "a smaller picture by the media rules": config_with(media={"size": {"width": 64, "height": 64}}),
    "another rate by the media rules": config_with(media={"fps": "12"}),
    "a smaller prepared picture": clips_with(width=64, height=64),
    "a shorter prepared clip": clips_with(n_frames=10),
    "another person": clips_with(identity="person-05"),
    "other extractors": protocols_with(extractors=("face/other@1",)),
    "other seeds": config_with(seeds=[0, 1]),
    "another clip": lambda run: record_with(
        run, clips=(*run.record.clips, run.record.clips[0].model_copy(update={"id": "more"}))
    ),
}


def refused(a: RunData, b: RunData) -> str:
    verdict = evaluate_gate(a, b, RULES)
    assert verdict.exit_code == 2, verdict.outcome
    return "\n".join([*verdict.problems, *(rule.reason for rule in verdict.rules)])


def test_what_is_changed_passes_otherwise(baseline: RunData) -> None:
    assert evaluate_gate(baseline, baseline, RULES).outcome == "pass"


@pytest.mark.parametrize("case", FORGERIES)
def test_a_record_that_no_run_wrote_is_refused_on_either_side(baseline: RunData, case: str) -> None:
    forged = FORGERIES[case](baseline)
    assert "candidate" in refused(baseline, forged)
    # Beside a forged baseline a candidate may have lost values, which is a verdict; it never passes.
    assert evaluate_gate(forged, baseline, RULES).outcome != "pass"


@pytest.mark.parametrize("case", OTHER_TERMS)
def test_runs_on_other_terms_are_refused(baseline: RunData, case: str) -> None:
    other = OTHER_TERMS[case](baseline)
    assert refused(baseline, other)
    assert refused(other, baseline)


def test_default_media_rules_may_be_left_out(baseline: RunData) -> None:
    spelt = config_with(media={"fps": "25", "sample_rate": 16000, "size": None})(baseline)
    assert evaluate_gate(baseline, spelt, RULES).outcome == "pass"


def test_lost_coverage_is_worse_even_when_the_value_is_better(baseline: RunData) -> None:
    def lose(run: RunData) -> RunData:
        rows = tuple(
            dataclasses.replace(row, value=None, status="no_face")
            if (row.system, row.key, row.clip) == ("emo-synth", "f-sim", "clip-03")
            else row
            for row in run.rows
        )
        kept = [row.value for row in rows if (row.system, row.key) == ("emo-synth", "f-sim") and row.value is not None]
        better = values_with(lambda entry: entry.model_copy(update={"value": math.fsum(kept) / 9, "n_scored": 9}))
        return better(dataclasses.replace(run, rows=rows))

    verdict = evaluate_gate(baseline, lose(baseline), RULES)
    assert (verdict.outcome, verdict.exit_code) == ("fail", 1)
    assert "lost" in {rule.outcome for rule in verdict.rules}


def test_frames_lost_behind_an_equal_value_are_worse(baseline: RunData) -> None:
    def covered(run: RunData, share: float) -> RunData:
        of_sets = {protocol.name for protocol in run.record.protocols if protocol.granularity == "set"}
        values = tuple(
            entry.model_copy(update={"frame_coverage": share})
            if entry.value is not None and entry.protocol not in of_sets
            else entry
            for entry in run.record.values
        )
        rows = tuple(dataclasses.replace(row, coverage=share) for row in run.rows)
        return record_with(dataclasses.replace(run, rows=rows), values=values)

    whole = covered(baseline, 1.0)
    assert evaluate_gate(whole, covered(baseline, 0.995), RULES).outcome == "pass"
    for candidate in (covered(baseline, 0.9), baseline):
        verdict = evaluate_gate(whole, candidate, RULES)
        assert (verdict.outcome, verdict.exit_code) == ("fail", 1)
    lenient = RULES.model_copy(update={"coverage_loss": 0.2})
    assert evaluate_gate(whole, covered(baseline, 0.9), lenient).outcome == "pass"


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1 << (position % 8)
    path.write_bytes(bytes(data))


@pytest.fixture
def folders(baseline: RunData, tmp_path: Path) -> tuple[Path, Path]:
    return tuple(record_factory.write_run(baseline, tmp_path / name, previews=False) for name in ("a", "b"))  # type: ignore[return-value]


def test_a_written_run_passes_against_itself(folders: tuple[Path, Path]) -> None:
    assert evaluate_gate(load_run(folders[0]), load_run(folders[1]), RULES).outcome == "pass"


@pytest.mark.parametrize("file", ["clips.parquet", "series.parquet"])
def test_a_flipped_bit_in_a_file_is_refused(folders: tuple[Path, Path], file: str) -> None:
    for position in (5, 99, 2017, 30011):
        record_factory.write_run(record_factory.make_run(n_clips=10, failing=0), folders[1], previews=False)
        flip(folders[1] / file, position)
        assert file in refused(load_run(folders[0]), load_run(folders[1]))


def test_a_changed_word_in_the_record_is_refused(folders: tuple[Path, Path]) -> None:
    path = folders[1] / "record.json"
    whole = json.loads(path.read_text(encoding="utf-8"))

    def change(part: Any, key: Any) -> None:
        part[key] = {str: "x", int: 7, float: 0.5, bool: True}.get(type(part[key]), "x")

    for section, key in ((whole, "title"), (whole["timings"], "seconds"), (whole["provenance"]["host"], "cores"),
                         (whole["provenance"], "emo_bench"), (whole["values"][3], "watermark"),
                         (whole["config"], "seeds"), (whole["seal"]["files"]["clips.parquet"], "bytes")):  # fmt: skip
        before = section[key]
        change(section, key)
        path.write_text(json.dumps(whole), encoding="utf-8")
        section[key] = before
        run = load_run(folders[1])
        assert run.damage, key
        assert set(run.damage) <= set(run.notes)
        assert refused(load_run(folders[0]), run)


def test_files_of_another_run_are_refused(folders: tuple[Path, Path]) -> None:
    other = record_factory.write_run(
        record_factory.make_run(n_clips=10, failing=0, noise_seed=4), folders[0].parent / "c", previews=False
    )
    (folders[1] / "clips.parquet").write_bytes((other / "clips.parquet").read_bytes())
    assert "clips.parquet is not the file that the record lists" in refused(load_run(folders[0]), load_run(folders[1]))


def test_a_file_that_the_record_does_not_list_is_refused(folders: tuple[Path, Path]) -> None:
    (folders[1] / "journal.jsonl").write_text("{}\n", encoding="utf-8")
    assert "does not list it" in refused(load_run(folders[0]), load_run(folders[1]))


def test_a_record_without_a_seal_is_refused_unless_the_rules_say_otherwise(folders: tuple[Path, Path]) -> None:
    path = folders[1] / "record.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**whole, "seal": None}), encoding="utf-8")
    assert "no digests" in refused(load_run(folders[0]), load_run(folders[1]))
    lenient = RULES.model_copy(update={"require": Requirements(sealed=False, recomputed=False)})
    assert evaluate_gate(load_run(folders[0]), load_run(folders[1]), lenient).outcome == "pass"


def test_a_name_in_the_seal_never_leads_out_of_the_folder(folders: tuple[Path, Path]) -> None:
    record = RunRecord.model_validate_json((folders[1] / "record.json").read_text(encoding="utf-8"))
    assert record.seal is not None
    entry = next(iter(record.seal.files.values()))
    for name in ("../a/clips.parquet", "/etc/passwd", "a\x1bb"):
        seal = record.seal.model_copy(update={"files": {name: entry}})
        (folders[1] / "record.json").write_text(
            record.model_copy(update={"seal": seal}).model_dump_json(), encoding="utf-8"
        )
        assert any("not the name of a file" in sentence for sentence in load_run(folders[1]).damage)
