"""Shipped findings stand in the pages of their protocols, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from emo_bench.humans.pages import BEGIN, page_paragraphs, update_pages
from emo_bench.humans.result import Estimate, Finding, QuestionEntry, ValidityResult, shipped_findings

PAGES = Path(__file__).resolve().parents[3] / "docs" / "protocols"


def test_every_page_says_what_the_findings_say() -> None:
    wanted = page_paragraphs(shipped_findings())
    for path in PAGES.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        if path.stem in wanted:
            assert wanted[path.stem] in text, f"python -m emo_bench.humans.pages {PAGES}"
        else:
            assert BEGIN not in text


def test_findings_name_their_source_and_how_they_were_made() -> None:
    names = [result.name for result in shipped_findings()]
    assert len(set(names)) == len(names)
    for result in shipped_findings():
        assert "arXiv" in result.source
        assert "validate-humans" in result.note


@pytest.mark.parametrize("declared", [True, False])
def test_a_paragraph_is_written_replaced_and_taken_away(declared: bool, tmp_path: Path) -> None:
    nothing = Estimate(value=None, status="not_applicable")
    finding = Finding(
        question="head",
        protocol="head-velocity/mediapipe@1",
        key="velocity",
        label="Head velocity",
        reading="closer",
        declared=declared,
        agreement=Estimate(value=0.834, low=0.72, high=0.92, n=60, n_units=10),
        overall=nothing,
        within=nothing,
        between=nothing,
        n_systems=4,
    )
    entry = QuestionEntry(
        question="head", kind="pairs", n_items=60, n_clips=10, n_units=10, n_votes=900, n_raters=0, n_tied=0,
        ceiling=Estimate(value=0.87),
    )  # fmt: skip
    result = ValidityResult(
        name="TEST", source="here", level=0.95, resamples=100, questions=(entry,), findings=(finding,)
    )
    page = tmp_path / "head-velocity-mediapipe.md"
    page.write_text("# Head\n\nText.\n")
    assert update_pages(tmp_path, [result]) == [page]
    once = page.read_text()
    assert "`velocity`, TEST: head 0.83 [0.72, 0.92] of 0.87" in once
    assert update_pages(tmp_path, [result]) == []
    update_pages(tmp_path, [])
    assert page.read_text() == "# Head\n\nText.\n"
