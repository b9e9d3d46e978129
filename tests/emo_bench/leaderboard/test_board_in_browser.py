"""The site in a real browser, opened from disk: no complaints, no overflow, sorting, filters, links."""

from __future__ import annotations

from pathlib import Path

import pytest
import record_factory
from browser import NEEDED, Browser

from emo_bench.leaderboard import build_site

pytestmark = NEEDED
SHOWN = """
  return [...document.querySelector('table.results').tBodies[0].rows]
    .filter(row => row.checkVisibility()).map(row => row.querySelector('bdi').textContent);
"""


@pytest.fixture(scope="module")
def site(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build_site(records, folder)
    return folder


@pytest.mark.parametrize("width", [1280, 500])
def test_all_pages_load_without_complaints_and_keep_to_their_width(browser: Browser, site: Path, width: int) -> None:
    browser.resize(width, 900)
    for page in (site / "index.html", *sorted(site.glob("boards/*.html")), *sorted(site.glob("records/*.html"))[:1]):
        browser.open(page)
        browser.wait("return document.readyState === 'complete'")
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), page
        assert browser.run("return getComputedStyle(document.querySelector('.bar')).position") == "sticky"
        assert browser.complaints() == []


def test_a_click_leads_from_the_first_page_to_a_board_and_a_record(browser: Browser, site: Path) -> None:
    browser.open(site / "index.html")
    browser.run("document.querySelector('a.board').click()")
    browser.wait("return document.querySelector('table.results')")
    browser.run("document.querySelector('table.results a.nm').click()")
    browser.wait("return document.querySelector('#checklist')")
    assert "not recorded" in browser.run("return document.querySelector('#checklist').textContent")


def test_sorting_and_filters(browser: Browser, site: Path) -> None:
    browser.resize(1280, 900)
    browser.open(max(site.glob("boards/*.html"), key=lambda path: path.stat().st_size))
    assert len(browser.run(SHOWN)) == 5 + 6
    browser.run("document.getElementById('anchors').click()")
    everyone = browser.run(SHOWN)
    assert sorted(everyone) == ["bad-a", "bad-b", "good-a", "good-b", "one"]
    browser.run(
        "const heads = [...document.querySelectorAll('table.results thead button')];"
        "heads.find(head => head.textContent.startsWith('PSNR')).click()"
    )
    assert set(browser.run(SHOWN)[-2:]) == {"bad-a", "bad-b"}
    browser.run(
        "const filter = document.querySelector('.filter'); filter.value = 'good';"
        "filter.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert sorted(browser.run(SHOWN)) == ["good-a", "good-b"]
    browser.run("document.getElementById('only-reproduced').click()")
    assert browser.run(SHOWN) == []
    browser.run("document.getElementById('only-reproduced').checked = false; dispatchEvent(new Event('pageshow'))")
    assert sorted(browser.run(SHOWN)) == ["good-a", "good-b"]


def test_hostile_names_do_nothing(browser: Browser, tmp_path: Path) -> None:
    names = (
        *record_factory.HOSTILE,
        "</script><script>document.title='owned'</script>",
        '"><img src=x onerror=alert(3)>',
    )
    run = record_factory.make_run(systems=names, failing=0)
    record_factory.write_run(run, tmp_path / "in" / "r", previews=False)
    build_site(tmp_path / "in", tmp_path / "out")
    for page in (tmp_path / "out").rglob("*.html"):
        browser.open(page)
        browser.wait("return document.readyState === 'complete'")
        assert browser.run("return document.title") != "owned"
        assert browser.complaints() == []


def test_ties_of_leaders_with_long_names_are_shown(browser: Browser, tmp_path: Path) -> None:
    names = [f"a-system-with-a-rather-long-name-for-a-card-{number}" for number in range(3)]
    run = record_factory.make_run(systems=names, n_clips=6, failing=0)
    record_factory.write_run(run, tmp_path / "in" / "r", previews=False)
    build_site(tmp_path / "in", tmp_path / "out")
    for width in (1280, 500):
        browser.resize(width, 900)
        browser.open(tmp_path / "out" / "index.html")
        hidden = browser.run(
            "const ties = [...document.querySelectorAll('.leaders em')];"
            "return ties.length ? ties.filter(t => t.getBoundingClientRect().right >"
            " t.closest('.leaders').getBoundingClientRect().right).length : 'no ties'"
        )
        assert hidden == 0
