"""The paper's tables are there as data, whole and labelled as not comparable."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from emo_bench.record.published import (
    PublishedTable,
    atlas_tables,
    find_published,
    load_published,
    published_tables,
)
from emo_core.errors import ConfigError


def test_all_tables_of_the_paper_are_there() -> None:
    tables = published_tables()
    assert {"emo-table1-hdtf", "emo-table1-internet", "emo-table2-speed", "emo-user-study"} <= set(tables)
    for table in tables.values():
        assert table.protocol == "unknown"
        assert "2402.17485" in table.source


@pytest.mark.parametrize(
    ("name", "system", "column", "value"),
    [
        ("emo-table1-hdtf", "EMO", "FVD", 67.66),
        ("emo-table1-hdtf", "Wav2Lip", "SyncNet", 5.79),
        ("emo-table1-hdtf", "GT", "FID", None),
        ("emo-table1-internet", "DreamTalk", "E-FID", 3.548),
        ("emo-table2-speed", "EMO speed 0.7", "Velocity variance", 0.454),
        ("emo-user-study", "MakeItTalk", "Lip sync", 1.66),
    ],
)
def test_values_are_those_of_the_paper(name: str, system: str, column: str, value: float | None) -> None:
    assert find_published(name).value(system, column) == value


def test_view_keeps_the_papers_order_and_dashes() -> None:
    view = find_published("emo-table1-hdtf").view()
    assert view["labels"] == ["FID", "SyncNet", "F-SIM", "FVD", "E-FID"]
    assert view["rows"][4] == {"system": "GT", "texts": ["–", "7.30", "77.44", "–", "–"]}
    assert view["dataset"] == "HDTF"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "fid/pytorch-fid@1"}, "protocol"),
        ({"rows": []}, "rows"),
        ({"rows": [{"system": "a", "values": {"x": 1.0}}, {"system": "b", "values": {"y": 1.0}}]}, "columns"),
        ({"rows": [{"system": "a", "values": {"x": 1.0}}] * 2}, "each system once"),
        ({"rows": [{"system": "a", "values": {"x": "good"}}]}, "x"),
        ({"sauce": "typo"}, "did you mean 'source'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    good = {"source": "s", "table": "t", "dataset": "d", "rows": [{"system": "a", "values": {"x": 1.0}}]}
    path = tmp_path / "t.yaml"
    path.write_text(json.dumps({**good, **change}), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_published(path)


def test_a_missing_table_is_named() -> None:
    with pytest.raises(ConfigError, match="emo-table1-hdtf"):
        find_published("emo-table3")
    assert isinstance(find_published("emo-user-study"), PublishedTable)


def test_the_atlas_holds_tables_of_twenty_papers_with_source_and_stated_protocol() -> None:
    tables = {**published_tables(), **atlas_tables()}
    papers = {re.split(r" v\d|,? supplement", table.source)[0] for table in tables.values()}
    assert len(papers) >= 20
    for name, table in atlas_tables().items():
        assert name.startswith("atlas/")
        assert table.stated_protocol, name
        assert table.read_from, name
        assert re.search(r"arXiv \d{4}\.\d{5}|CVPR|README", table.source), name
        assert find_published(name) == table


def test_the_page_of_one_system_prints_the_numbers_of_the_atlas() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "published.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.endswith(" |")]
    shown = 0
    for name, table in atlas_tables().items():
        assert f"`{name}`" in page
        value = table.value("EchoMimic", "FID")
        if value is not None and table.dataset in ("HDTF", "CelebV-HQ"):
            shown += 1
            identifier = re.search(r"arXiv (\d{4}\.\d{5})", table.source)
            assert identifier is not None
            assert any(identifier[1] in line and f"| {table.dataset} | {value:.2f} |" in line for line in lines), (
                table.source
            )
    assert shown == 11
