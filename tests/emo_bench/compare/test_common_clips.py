"""The clips and frames that all systems have: what is left, what is taken anew, what is left out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import record_factory

from emo_bench.compare.common_clips import common_clips, on_common_clips
from emo_bench.config.schema import Statistics
from emo_bench.extract.catalogue import load_catalogues, metrics
from emo_bench.record.columns import columns_of
from emo_bench.record.coverage import uneven_coverage
from emo_bench.record.run_data import RunData
from emo_bench.scoring.comparisons import compare_on_clips, gather

FAILING = 2
PAIR = ("emo-synth", "wav2lip-like")


@pytest.fixture(scope="module")
def run() -> RunData:
    """The second system has no face on two clips."""
    return record_factory.make_run(failing=FAILING)


def shown(run: RunData, system: str, key: str) -> tuple[float | None, int]:
    found = next(value for value in run.record.values if (value.system, value.key) == (system, key))
    return found.value, found.n_scored


def test_values_are_taken_over_the_clips_that_all_systems_have(run: RunData) -> None:
    common = on_common_clips(run)
    kept = [f"clip-{number:02d}" for number in range(FAILING, 12)]
    for system in ("emo-synth", "wav2lip-like", "reencoded"):
        numbers = run.clip_means(system, "psnr/rgb@1", "psnr")
        assert shown(common, system, "psnr") == (pytest.approx(np.mean([numbers[clip] for clip in kept])), len(kept))
    assert shown(run, "emo-synth", "psnr")[1] == 12


def test_nothing_is_uneven_afterwards_and_the_record_says_what_was_done(run: RunData) -> None:
    known = [c for c in columns_of(run.record) if c.protocol.name == "psnr/rgb@1"]
    assert uneven_coverage(run.record, known[0])
    common = on_common_clips(run)
    assert not uneven_coverage(common.record, known[0])
    assert "common clips" in common.record.title
    assert any("psnr/rgb@1 is taken over the 10 of 12 clips" in note for note in common.notes)
    pairs = [entry for entry in common.record.comparisons if entry.key == "psnr"]
    assert {entry.n_pairs for entry in pairs} == {12 - FAILING}
    assert {entry.reason for entry in pairs if entry.verdict != "tie"} <= {""}


def test_clips_whose_frames_were_seen_unequally_do_not_count(run: RunData) -> None:
    def share(row):  # type: ignore[no-untyped-def]
        if row.value is None:
            return None
        return 0.85 if (row.system, row.clip) == ("emo-synth", "clip-05") else 1.0

    rows = tuple(dataclasses.replace(row, coverage=share(row)) for row in run.rows)
    columns = [column for column in columns_of(run.record) if column.protocol.name == "psnr/rgb@1"]
    clips = common_clips(dataclasses.replace(run, rows=rows), columns)
    assert clips == {clip.id for clip in run.record.clips} - {"clip-00", "clip-01", "clip-05"}


def test_an_even_run_stays_as_it_is() -> None:
    run = record_factory.make_run(failing=0)
    same = on_common_clips(run)
    assert same.record.values == run.record.values
    assert "nothing is left out" in same.notes[-1]


def test_no_clip_in_common_is_no_value_with_a_reason() -> None:
    run = record_factory.make_run(n_clips=3, failing=3)
    value = next(v for v in on_common_clips(run).record.values if (v.system, v.key) == ("emo-synth", "psnr"))
    assert value.value is None
    assert value.reason


def test_equally_many_clips_that_are_not_the_same_ones_are_uneven() -> None:
    """Either system lacks a clip that the other one has."""
    from emo_bench.report.tables import rank_marks

    load_catalogues()
    run = record_factory.make_run(failing=1)
    psnr = next(column for column in columns_of(run.record) if column.value.key == "psnr")

    def lost(row):  # type: ignore[no-untyped-def]
        gone = (row.system, row.clip) == ("emo-synth", "clip-05")
        return dataclasses.replace(row, value=None, status="no_face") if gone else row

    rows = tuple(map(lost, run.rows))
    values = tuple(
        value.model_copy(update={"n_scored": 11}) if (value.system, value.key) == ("emo-synth", "psnr") else value
        for value in run.record.values
    )
    pair = compare_on_clips(gather(rows, metrics.get("psnr/rgb@1").spec.values[0], "psnr/rgb@1"), PAIR, Statistics())
    assert pair.n_pairs == 10
    record = run.record.model_copy(update={"values": values, "comparisons": (pair,)})
    assert "11/12" in uneven_coverage(record, psnr)
    assert "not the same ones" in uneven_coverage(record, psnr)
    assert rank_marks(record, psnr) == {}
    common = on_common_clips(dataclasses.replace(run, record=record, rows=rows))
    assert {shown(common, system, "psnr")[1] for system in PAIR} == {10}


def test_a_system_of_one_seed_is_ranked_with_one_of_several() -> None:
    run = record_factory.make_run(seeds=(0, 1), failing=0)
    rows = tuple(row for row in run.rows if row.system != PAIR[1] or row.seed == 0)
    values = tuple(
        value.model_copy(update={"n_planned": 12, "n_scored": 12}) if value.system == PAIR[1] else value
        for value in run.record.values
    )
    single = dataclasses.replace(run, record=run.record.model_copy(update={"values": values}), rows=rows)
    columns = {column.value.key: column for column in columns_of(run.record)}
    assert not uneven_coverage(single.record, columns["psnr"])
    assert common_clips(single, [columns["psnr"]]) == {clip.id for clip in run.record.clips}
    # The distance of sets depends on the number of samples.
    assert uneven_coverage(single.record, columns["e-fid"])
