"""Boards never mix terms, hold every system once, and rank what may be ranked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import record_factory

from emo_bench.leaderboard.boards import make_board, make_boards
from emo_bench.leaderboard.collect import Entry, collect
from emo_bench.record.run_data import RunData
from emo_core.errors import RecordError


def entry(run: RunData, place: str = "x") -> Entry:
    return Entry(place, f"{abs(hash(place)):064x}"[:64], run.record)


def run(**changes: Any) -> RunData:
    return record_factory.make_run(**{"failing": 0, **changes})


def changed(item: Entry, edit: Callable[[Any], dict[str, Any]]) -> Entry:
    return Entry(item.place, item.file_sha256, item.record.model_copy(update=edit(item.record)))


def test_one_board_for_each_set_of_terms(records: Path) -> None:
    boards = make_boards(collect(records).entries)
    assert [len(board.lines) for board in boards] == [5, 1]
    assert [len(board.anchors) for board in boards] == [6, 6]
    assert [entry.place for entry in boards[0].entries] == ["a", "b", "c"] or len(boards[0].entries) == 3


def _other_weights(record: Any) -> dict[str, Any]:
    first, *rest = record.protocols
    weights = tuple(item.model_copy(update={"sha256": "cd" * 32}) for item in first.weights)
    return {"protocols": (first.model_copy(update={"weights": weights}), *rest)}


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (_other_weights, "protocols"),
        (lambda record: {"protocols": record.protocols[1:]}, "protocols"),
        (lambda record: {"digests": record.digests.model_copy(update={"dataset": "e" * 64})}, "dataset"),
        (lambda record: {"clips": record.clips[1:]}, "clips"),
        (lambda record: {"config": {**record.config, "seeds": [1]}}, "seeds"),
        (lambda record: {"config": {**record.config, "media": {"fps": 30}}}, "media"),
    ],
)
def test_mixed_terms_are_refused_in_one_table_and_separate_by_themselves(edit: Any, word: str) -> None:
    first, second = entry(run(), "first"), changed(entry(run(name="b"), "second"), edit)
    with pytest.raises(RecordError, match="second cannot stand in one table with first") as caught:
        make_board([first, second])
    assert word in caught.value.found
    assert len(make_boards([first, second])) == 2


def test_systems_of_all_records_are_ranked_together(records: Path) -> None:
    board = make_boards(collect(records).entries)[0]
    names = [line.system.name for line in board.lines]
    for column in board.columns:
        if column.value.key in ("psnr", "lmd"):
            place = dict(zip(names, board.places[column.id], strict=True))
            assert {place[name].rank for name in ("good-a", "good-b", "one")} == {1}
            assert all((place[name].rank or 0) > 1 for name in ("bad-a", "bad-b"))


def test_one_system_in_two_records_stands_once() -> None:
    first, second = (
        entry(run(systems=("s",)), "first"),
        entry(run(systems=("s",), name="again", noise_seed=3), "second"),
    )
    board = make_board([first, second])
    assert [(line.system.name, len(line.also)) for line in board.lines] == [("s", 1)]
    assert board.lines[0].also in (("first",), ("second",))


def test_a_record_that_was_made_again_comes_first() -> None:
    old, new = entry(run(systems=("s",)), "old"), entry(run(systems=("s",), name="again", noise_seed=3), "new")
    again = Entry(new.place, new.file_sha256, new.record, reproduced="exact")
    assert make_board([old, again]).lines[0].entry.place == "new"


def test_a_value_on_fewer_clips_is_shown_and_not_ranked() -> None:
    board = make_board([entry(run(failing=1))])
    column = next(column for column in board.columns if column.value.key == "psnr")
    places = dict(zip([line.system.name for line in board.lines], board.places[column.id], strict=True))
    assert places["wav2lip-like"].rank is None
    assert "11 of 12 clips" in places["wav2lip-like"].reason


def test_a_value_that_is_not_ranked_keeps_no_other_from_its_rank() -> None:
    """Scored on all frames of 11 of 12 clips: the others rest on fewer frames of all clips, and are ranked."""

    def edit(record: Any) -> dict[str, Any]:
        few = {"frame_coverage": 1.0, "n_scored": 11}
        values = (v.model_copy(update=few if v.system == "few" else {"frame_coverage": 0.9}) for v in record.values)
        return {"values": tuple(values)}

    board = make_board([changed(entry(run(systems=("few", "s", "t"))), edit)])
    column = next(column for column in board.columns if column.value.key == "psnr")
    places = dict(zip([line.system.name for line in board.lines], board.places[column.id], strict=True))
    assert "11 of 12 clips" in places["few"].reason
    assert places["s"].rank is not None, places["s"].reason
    assert places["t"].rank is not None, places["t"].reason


def test_a_value_without_a_truth_to_be_close_to_says_so() -> None:
    def edit(record: Any) -> dict[str, Any]:
        return {"values": tuple(v.model_copy(update={"gap_to_ground_truth": None}) for v in record.values)}

    board = make_board([changed(entry(run(systems=("s", "t"))), edit)])
    column = next(column for column in board.columns if column.value.direction == "closer_to_gt")
    assert {place.reason for place in board.places[column.id]} == {
        "its distance to the ground truth is unknown: the run has no real clips"
    }


def test_a_lone_system_has_no_rank() -> None:
    board = make_board([entry(run(systems=("s",)))])
    assert {place.rank for places in board.places.values() for place in places} == {None}


def test_paired_comparisons_of_a_record_decide_between_its_systems() -> None:
    item = entry(run())
    board = make_board([item])
    names = [line.system.name for line in board.lines]
    for paired in item.record.comparisons:
        column = f"{paired.protocol}#{paired.key}"
        if column not in board.places or paired.verdict == "undefined":
            continue
        rank = dict(zip(names, (place.rank for place in board.places[column]), strict=True))
        a, b = rank[paired.system_a], rank[paired.system_b]
        assert a is not None
        assert b is not None
        expected = {"tie": a == b == 1, "a_better": (a, b) == (1, 2), "b_better": (a, b) == (2, 1)}
        assert expected[paired.verdict], paired


def test_real_clips_that_score_differently_are_told() -> None:
    board = make_board([entry(run(), "first"), entry(run(name="b", truth_seed=9), "second")])
    assert any("real clips themselves score differently" in note for note in board.notes)


def test_a_copied_folder_gives_the_same_boards(records: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(records, tmp_path / "copy"))
    first, second = (make_boards(collect(folder).entries) for folder in (records, copy))
    assert [board.terms for board in first] == [board.terms for board in second]
