"""A report by groups of clips: a table for each group, the ground truth in it, and the gaps."""

from __future__ import annotations

from pathlib import Path

import pytest

from emo_bench.record.rows import ClipRow
from emo_bench.record.run_data import RunData
from emo_bench.report.content import Material, Table
from emo_bench.report.sections.slices import slice_sections
from emo_bench.report.text_tables import markdown_report
from emo_core.errors import ConfigError

FLICKER = "flicker/luma@1"


@pytest.fixture
def run(tmp_path: Path) -> RunData:
    import record_factory

    from emo_bench.record.schema import ClipEntry, ProtocolEntry, SystemEntry

    made = record_factory.make_run()
    clips = tuple(
        ClipEntry(
            id=f"c{i:02d}", identity=f"p{i:02d}", split="test", status="ok",
            meta={"style": "anime" if i < 4 else "photo"},
        )
        for i in range(24)
    )  # fmt: skip
    systems = tuple(
        SystemEntry(name=name, kind=kind, anchor=anchor, digest="0" * 64, options={})
        for name, kind, anchor in (("ground-truth", "ground_truth", True), ("mine", "videos", False))
    )
    protocol = ProtocolEntry.model_validate(
        {
            **made.record.protocols[0].model_dump(),
            "name": FLICKER,
            "granularity": "clip",
            "status": "ok",
            "values": [
                {"key": "flicker", "label": "Flicker", "direction": "lower", "unit": "", "decimals": 2, "primary": True}
            ],
        }
    )
    rows = tuple(
        ClipRow(
            system=system.name, clip=clip.id, identity=clip.identity, seed=0, protocol=FLICKER, key="flicker",
            value=index % 4 + 5.0 * (system.name == "mine" and clip.meta["style"] == "anime"), status="ok",
        )
        for system in systems
        for index, clip in enumerate(clips)
    )  # fmt: skip
    record = made.record.model_copy(
        update={"clips": clips, "systems": systems, "protocols": (protocol,), "values": (), "comparisons": ()}
    )
    return RunData(record=record, rows=rows)


def test_a_table_for_each_group_and_the_gaps(run: RunData) -> None:
    (section,) = slice_sections(Material(run, by=("meta.style",)))
    photo, anime, gaps = section.tables
    assert (photo.title, anime.title) == ("style: photo (20 clips, 20 people)", "style: anime (4 clips, 4 people)")
    assert [row.label for row in anime.rows] == ["ground-truth", "mine"]
    assert [row.cells[0].value for row in anime.rows] == [1.5, 6.5]
    assert any("Only 4 people" in note for note in anime.notes)
    cells = {row.label: row.cells[0].text for row in gaps.rows}
    assert cells["mine, anime"].startswith("+5.00 [")
    assert cells["ground-truth, anime"].startswith("+0.00 [")
    assert slice_sections(Material(run)) == ()
    with pytest.raises(ConfigError, match=r"meta\.style"):
        slice_sections(Material(run, by=("meta.voice",)))


def test_a_group_of_one_is_one_person(run: RunData) -> None:
    first, *others = run.record.clips
    clips = (first.model_copy(update={"meta": {"style": "sketch"}}), *others)
    alone = RunData(record=run.record.model_copy(update={"clips": clips}), rows=run.rows)
    (section,) = slice_sections(Material(alone, by=("meta.style",)))
    (table,) = (table for table in section.tables if "sketch" in table.title)
    assert table.title == "style: sketch (1 clip, 1 person)"
    assert any("Only 1 person:" in note for note in table.notes)


def test_it_stands_in_markdown(run: RunData) -> None:
    text = markdown_report(Material(run, by=("meta.style",)))
    assert "By meta.style" in text
    assert "Gaps: group minus all other clips" in text
    assert isinstance(slice_sections(Material(run, by=("split",)))[0].tables[0], Table)


def test_gaps_have_true_signs_and_reasons(run: RunData) -> None:
    rows = tuple(row for row in run.rows if row.system == "mine" or row.clip >= "c04")  # no truth of the small group
    (section,) = slice_sections(Material(RunData(record=run.record, rows=rows), by=("meta.style",)))
    cells = {row.label: row.cells[0] for row in section.tables[-1].rows}
    assert cells["mine, photo"].text.startswith("−5.00 [")
    assert cells["ground-truth, anime"].is_missing
    assert cells["ground-truth, anime"].tip
