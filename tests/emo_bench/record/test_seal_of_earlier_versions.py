"""A seal holds over the fields that a record's file has: later versions may add fields, nobody may change values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import record_factory

from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import damage, plain_digest
from emo_bench.record.store import read_record

LATER = ("group", "group_title")
"""Fields with defaults, as a later version would add them."""


def earlier(folder: Path, **changes: Any) -> Path:
    """A record as a version without those fields wrote it, sealed over what it has."""
    record_factory.write_run(record_factory.make_run(n_clips=2, failing=0), folder, previews=False)
    path = folder / "record.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    for protocol in values["protocols"]:
        for name in LATER:
            del protocol[name]
    left_out = ("timings", "config_given", "overrides")
    sealed = {key: value for key, value in values.items() if key not in left_out}
    sealed["provenance"] = {key: value for key, value in values["provenance"].items() if key != "host"}
    sealed["seal"] = {"files": values["seal"]["files"]}
    values["seal"]["record"] = plain_digest(sealed)
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")
    return path


def test_a_record_without_later_fields_is_whole(tmp_path: Path) -> None:
    record = read_record(earlier(tmp_path))
    assert isinstance(record, RunRecord)
    assert list(damage(record, tmp_path)) == []


@pytest.mark.parametrize("changes", [{"dataset_name": "other"}, {"checks": []}, {"status": "incomplete"}])
def test_a_change_of_it_is_found(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert len(list(damage(read_record(earlier(tmp_path, **changes)), tmp_path))) == 1


def test_a_later_field_that_was_put_in_is_found(tmp_path: Path) -> None:
    path = earlier(tmp_path)
    values = json.loads(path.read_text(encoding="utf-8"))
    values["protocols"][0]["group"] = "other"
    path.write_text(json.dumps(values), encoding="utf-8")
    assert len(list(damage(read_record(path), tmp_path))) == 1
