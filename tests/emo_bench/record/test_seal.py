"""Seals: any change of what a file holds breaks them, optional fields that later versions add do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import record_factory
from pydantic import Field, create_model

from emo_bench.record import schema
from emo_bench.record.run_data import load_run
from emo_bench.record.schema import ClipEntry, RunRecord
from emo_bench.record.seal import damage, sealed
from emo_bench.record.store import read_record, write_record
from emo_core.errors import RecordError

ACCEPTED = Path(__file__).resolve().parents[3] / "reports" / "accepted" / "checkpoint"


@pytest.fixture(scope="module")
def sealed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed")
    run = record_factory.make_run(n_clips=2, anchors=("ground_truth",))
    write_record(folder, sealed(run.record, folder))
    return folder


def leaves(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Places of all values that hold no others, empty ones included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [leaf for key, item in inner for leaf in leaves(item, (*place, key))]
    yield from found or [place]


def another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value * (1 + 2**-40) if value else 5e-324
        case str():
            return value + "x"
        case None:
            return 0.5
        case []:
            return ["x"]
        case _:
            return {"x": "y"}


def is_refused(raw: Any, folder: Path) -> bool:
    """Whether a record is unreadable, damaged or unsealed."""
    (folder / "record.json").write_text(json.dumps(raw), encoding="utf-8")
    try:
        record = read_record(folder)
    except RecordError:
        return True
    return record.seal is None or any(damage(record, folder))


def test_every_changed_or_removed_value_breaks_the_seal(sealed_folder: Path, tmp_path: Path) -> None:
    raw = json.loads((sealed_folder / "record.json").read_text(encoding="utf-8"))
    assert not is_refused(raw, tmp_path)
    seen: set[tuple[str, ...]] = set()
    for place in leaves(raw):
        kind = tuple(key for key in place if isinstance(key, str))
        if kind in seen:  # one of many alike, such as the clips
            continue
        seen.add(kind)
        holder = raw
        for key in place[:-1]:
            holder = holder[key]
        kept = holder[place[-1]]
        holder[place[-1]] = another(kept)
        assert is_refused(raw, tmp_path), ("changed", place)
        if isinstance(holder, dict):
            del holder[place[-1]]
            # Without an empty list or object it reads the same.
            assert is_refused(raw, tmp_path) or kept in ([], {}), ("removed", place)
        holder[place[-1]] = kept
    assert len(seen) > 100
    assert not is_refused({key: raw[key] for key in reversed(raw)}, tmp_path)


def test_unknown_repeated_and_foreign_values_are_refused(sealed_folder: Path, tmp_path: Path) -> None:
    text = (sealed_folder / "record.json").read_text(encoding="utf-8")
    raw = json.loads(text)
    for holder in (raw, raw["clips"][0], raw["timings"], raw["seal"], raw["provenance"], raw["values"][0]):
        holder["extra"] = 1
        assert is_refused(raw, tmp_path)
        del holder["extra"]
    raw["config"]["extra"] = 1
    assert is_refused(raw, tmp_path)
    del raw["config"]["extra"]
    raw["counts"]["done"] = str(raw["counts"]["done"])  # a text where a number belongs
    assert is_refused(raw, tmp_path)
    repeated = text.replace('"name"', '"name": "first", "name"', 1)
    (tmp_path / "record.json").write_text(repeated, encoding="utf-8")
    with pytest.raises(RecordError, match="twice"):
        read_record(tmp_path)


def test_optional_fields_of_later_versions_leave_a_seal_valid(
    sealed_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = create_model("ClipEntry", __base__=ClipEntry, mood=(str, "calm"))
    later = create_model(
        "RunRecord",
        __base__=RunRecord,
        clips=(tuple[clip, ...], ...),
        weather=(dict[str, str], Field(default_factory=dict)),
        timings=(create_model("Timings", __base__=schema.Timings, energy=(float | None, None)), ...),
    )
    monkeypatch.setattr("emo_bench.record.store.RunRecord", later)
    record = read_record(sealed_folder)
    assert (record.weather, record.clips[0].mood, record.timings.energy) == ({}, "calm", None)
    assert list(damage(record, sealed_folder)) == []
    raw = json.loads((sealed_folder / "record.json").read_text(encoding="utf-8"))
    assert is_refused({**raw, "weather": {"sky": "blue"}}, tmp_path)
    assert is_refused({**raw, "weather": {}}, tmp_path), "a later version would have sealed it"
    write_record(tmp_path, sealed(record, tmp_path))
    assert list(damage(read_record(tmp_path), tmp_path)) == []


def test_the_accepted_record_is_as_it_was_written() -> None:
    run = load_run(ACCEPTED)
    assert (run.damage, run.unsealed) == ((), False)
