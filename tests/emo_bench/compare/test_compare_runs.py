from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import record_factory
from record_factory import dataclasses

from emo_bench.compare.ground_truth import differing_ground_truth
from emo_bench.compare.markdown import comparison_markdown
from emo_bench.compare.runs import compare_runs, cost_by_clip, match_systems, measure_change
from emo_bench.record.columns import columns_of
from emo_bench.record.rows import ClipRow
from emo_bench.report.export import export_run
from emo_bench.scoring.comparisons import cost_by_clip as scoring_cost
from emo_bench.scoring.comparisons import gather
from emo_core.errors import ConfigError
from emo_metrics.contract import Direction, ValueSpec


def test_equal_runs_are_ties_with_difference_zero() -> None:
    run = record_factory.make_run()
    comparison = compare_runs(run, run, resamples=200)
    assert comparison.differences == ()
    assert {change.verdict for change in comparison.changes} == {"tie"}
    assert all(change.difference == 0.0 for change in comparison.changes)


def test_signs_count_cost_in_every_direction() -> None:
    a, b = record_factory.make_run(failing=0), record_factory.make_run(worse_by=3.0, noise_seed=1, failing=0)
    found = {(c.system_b, c.key): c for c in compare_runs(a, b, resamples=200).changes}
    for key in ("psnr", "lmd", "f-sim", "mean"):
        assert found["emo-synth", key].verdict == "worse"
        assert found["emo-synth", key].difference > 0  # type: ignore[operator]
    back = {(c.system_b, c.key): c for c in compare_runs(b, a, resamples=200).changes}
    assert back["emo-synth", "psnr"].verdict == "better"
    assert back["emo-synth", "psnr"].difference == pytest.approx(-found["emo-synth", "psnr"].difference)  # type: ignore[operator]


def test_runs_on_other_terms_say_so() -> None:
    a = record_factory.make_run(n_clips=10)
    b = record_factory.make_run(n_clips=10, seeds=(0, 1))
    digests = b.record.digests.model_copy(update={"dataset": "e" * 64})
    other = dataclasses.replace(b, record=b.record.model_copy(update={"digests": digests}))
    comparison = compare_runs(a, other, resamples=200)
    assert len(comparison.differences) == 2
    assert "⚠ The data sets differ" in comparison_markdown(comparison)


@pytest.mark.parametrize("what", [{"weights": ()}, {"extractors": ("another@1",)}])
def test_protocols_that_are_not_the_same_are_not_compared(what: dict[str, tuple[str, ...]]) -> None:
    a = record_factory.make_run(n_clips=10, failing=0)
    first, *rest = a.record.protocols
    changed = (first.model_copy(update=what), *rest)
    b = dataclasses.replace(a, record=a.record.model_copy(update={"protocols": changed}))
    comparison = compare_runs(a, b, resamples=200)
    assert first.name not in {change.protocol for change in comparison.changes}
    (sentence,) = comparison.differences
    assert sentence == f"Protocol {first.name} is not the same in both runs (other {next(iter(what))})."


def test_a_change_that_comes_from_the_ground_truth_is_told() -> None:
    """Only what was measured on the real clips moved, and every system looks farther away from it."""
    a = record_factory.make_run(n_clips=10, failing=0)
    place = ("ground-truth", "f-sim")
    rows = tuple(
        dataclasses.replace(row, value=row.value + 5) if (row.system, row.key) == place and row.value else row
        for row in a.rows
    )
    comparison = compare_runs(a, dataclasses.replace(a, rows=rows))
    assert {change.verdict for change in comparison.changes if change.key == "f-sim"} == {"worse"}
    (sentence,) = comparison.differences
    assert "values of f-sim/" in sentence
    assert "in the first run" in sentence
    assert "⚠ The ground truth of both runs is the same" in comparison_markdown(comparison)


@pytest.mark.parametrize(("factor", "told"), [(1.015, True), (0.985, True), (1.0005, False)])
def test_one_moved_value_among_many_clips_is_told(factor: float, told: bool) -> None:
    a = record_factory.make_run(n_clips=400, failing=0)
    moved = ("ground-truth", "clip-123", "f-sim")
    rows = tuple(
        dataclasses.replace(row, value=row.value * factor)
        if (row.system, row.clip, row.key) == moved and row.value
        else row
        for row in a.rows
    )
    assert rows != a.rows
    columns = [column for column in columns_of(a.record) if column.value.key == "f-sim"]
    found = list(differing_ground_truth(a, dataclasses.replace(a, rows=rows), columns))
    assert len(found) == told
    assert all("clip 'clip-123'" in sentence for sentence in found)


def test_systems_are_matched_by_name_or_when_there_is_one_each() -> None:
    one, other = (record_factory.make_run(n_clips=2, systems=(name,)).record for name in ("old", "new"))
    two = record_factory.make_run(n_clips=2, systems=("new", "more")).record
    assert match_systems(one, other) == [("old", "new")]
    assert match_systems(other, two) == [("new", "new")]
    assert match_systems(one, two) == []


def test_runs_without_anything_in_common_still_print() -> None:
    a, b = record_factory.make_run(n_clips=2), record_factory.make_run(n_clips=2, systems=("x", "y"))
    comparison = compare_runs(a, b)
    assert comparison.only_a == ("emo-synth", "wav2lip-like")
    assert "No system has a value in both runs." in comparison_markdown(comparison)


def test_one_clip_gives_no_verdict_but_a_reason() -> None:
    run = record_factory.make_run(n_clips=1, failing=0)
    changes = compare_runs(run, run).changes
    assert {change.verdict for change in changes} == {"undefined"}
    assert all(change.reason for change in changes)


def test_clips_that_only_one_run_has_are_counted() -> None:
    a, b = record_factory.make_run(failing=0), record_factory.make_run(failing=3)
    change = next(
        c for c in compare_runs(a, b, resamples=200).changes if (c.system_b, c.key) == ("wav2lip-like", "lmd")
    )
    assert change.lost == ("clip-00", "clip-01", "clip-02")
    assert change.n_pairs == 9
    assert "(3 lost)" in comparison_markdown(compare_runs(a, b, resamples=200))


def test_export_writes_the_same_rows_in_every_format(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=2)
    from_json = json.loads(export_run(run, tmp_path / "a.json").read_text())
    from_parquet = pq.read_table(export_run(run, tmp_path / "a.parquet")).to_pylist()
    with export_run(run, tmp_path / "a.csv").open() as stream:
        from_csv = list(csv.DictReader(stream))
    assert from_json == from_parquet
    assert len(from_csv) == len(run.rows)
    assert float(from_csv[3]["value"] or 0) == (from_json[3]["value"] or 0)
    assert export_run(run, tmp_path / "v.csv", what="values").read_text().startswith("system,anchor,protocol")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="xlsx"):
        export_run(record_factory.make_run(n_clips=1), tmp_path / "a.xlsx")


def test_the_distance_to_the_ground_truth_is_that_of_each_video_as_within_a_run() -> None:
    """The mean of two seeds may equal the ground truth's value although neither video does."""
    run = record_factory.make_run(seeds=(0, 1), failing=0)
    truth = {row.clip: row.value or 0.0 for row in run.rows if (row.system, row.key) == ("ground-truth", "f-sim")}

    def moved(row: ClipRow) -> ClipRow:
        """The first seed has one too few, the second two too many."""
        if (row.system, row.key) != ("emo-synth", "f-sim"):
            return row
        return dataclasses.replace(row, value=truth[row.clip] + (-1.0, 2.0)[row.seed])

    # Real clips are measured once.
    rows = tuple(moved(row) for row in run.rows if row.system != "ground-truth" or row.seed == 1)
    run = dataclasses.replace(run, rows=rows)
    column = next(column for column in columns_of(run.record) if column.value.key == "f-sim")
    spec = ValueSpec(key="f-sim", label="", direction=Direction.CLOSER_TO_GT)
    within = scoring_cost(gather(run.rows, spec, column.protocol.name), "emo-synth")
    between = cost_by_clip(run, "emo-synth", column)
    assert within == pytest.approx(between)
    assert list(between.values()) == pytest.approx([1.5] * 12)


def test_what_would_have_been_found_counts_the_correction() -> None:
    """The verdict needs a p that survives Holm's correction over all values, and so does the power."""
    run, other = record_factory.make_run(failing=0), record_factory.make_run(failing=0, noise_seed=1)
    all_values = compare_runs(run, other, resamples=200)
    found = next(change for change in all_values.changes if change.key == "lmd")
    column = next(column for column in columns_of(run.record) if column.value.key == "lmd")
    names = (found.system_a, found.system_b)
    alone = measure_change(run, other, column, names, resamples=200)
    strict = measure_change(run, other, column, names, resamples=200, detectable_alpha=0.05 / len(all_values.changes))
    assert found.detectable == strict.detectable
    assert (found.detectable or 0) > (alone.detectable or 0)


def test_the_words_below_call_nothing_paired_that_is_not() -> None:
    run = record_factory.make_run(failing=0)
    assert "values of whole sets by the intervals of either run" in comparison_markdown(compare_runs(run, run))
    clips = tuple(protocol for protocol in run.record.protocols if protocol.granularity == "clip")
    plain = dataclasses.replace(run, record=run.record.model_copy(update={"protocols": clips}))
    assert "whole sets" not in comparison_markdown(compare_runs(plain, plain))
