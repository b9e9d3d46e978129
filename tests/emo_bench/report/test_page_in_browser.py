"""The page in a real browser: no console errors, sorting, filtering, players, hostile names as text."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path

import pytest
import record_factory
from browser import NEEDED, Browser

from emo_bench.report import write_joint_report, write_report

pytestmark = NEEDED


@pytest.fixture
def page(browser: Browser, run_folder: Path, tmp_path: Path) -> Browser:
    browser.open(write_report(run_folder, formats=("html",), output=tmp_path, figures=False)[0])
    return browser


def test_the_page_loads_without_complaints_and_keeps_to_its_width(page: Browser) -> None:
    page.wait("return document.querySelectorAll('#stage video').length")
    assert page.complaints() == []
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    assert page.run("return performance.getEntriesByType('resource').every(e => /^(data|blob):/.test(e.name))")


def test_sorting_puts_numbers_in_order_and_gaps_last(page: Browser) -> None:
    script = """
      const table = document.querySelector('table.results');
      const buttons = [...table.querySelectorAll('thead button')];
      const index = buttons.findIndex(b => b.textContent.startsWith('PSNR'));
      buttons[index].click();
      return [...table.tBodies[0].rows].map(row => row.cells[index].dataset.v);
    """
    first, second = page.run(script), page.run(script)
    numbers = [float(value) for value in first if value]
    assert numbers == sorted(numbers, reverse=True)
    assert first[-1] == second[-1] == ""
    assert [value for value in second if value] == [value for value in reversed(first) if value]


def test_filters_hide_lines(page: Browser) -> None:
    shown = "return [...document.querySelectorAll('table.results')[0].tBodies[0].rows].filter(r => !r.hidden).length"
    assert page.run(shown) == 8
    page.run("document.getElementById('anchors').click()")
    assert page.run(shown) == 2
    page.run(
        "const f = document.querySelector('.filter[data-for=rows]');"
        "f.value = 'wav2'; f.dispatchEvent(new Event('input'))"
    )
    assert page.run(shown) == 1


def test_all_players_play_together_with_one_sound(page: Browser) -> None:
    page.wait("return [...document.querySelectorAll('#stage video')].every(v => v.readyState >= 3)")
    page.run("document.getElementById('loop').click(); document.getElementById('play').click()")
    page.wait("return [...document.querySelectorAll('#stage video')].every(v => v.currentTime > 0.3)")
    times = page.run("return [...document.querySelectorAll('#stage video')].map(v => v.currentTime)")
    assert len(times) == 8
    assert max(times) - min(times) < 0.25
    assert page.run("return [...document.querySelectorAll('#stage video')].filter(v => !v.muted).length") == 1
    page.run("document.querySelectorAll('.tile button')[3].click()")
    assert page.run("return [...document.querySelectorAll('#stage video')].findIndex(v => !v.muted)") == 3
    page.run(
        "if (document.querySelector('#deck.playing')) document.getElementById('play').click();"
        "const s = document.getElementById('seek');"
        "s.value = 500; s.dispatchEvent(new Event('input'))"
    )
    page.wait("return [...document.querySelectorAll('#stage video')].every(v => Math.abs(v.currentTime - 1.0) < 0.1)")
    assert page.complaints() == []


def test_a_clip_in_the_table_opens_in_the_players(page: Browser) -> None:
    page.run("document.querySelector('#section-per-clip .clip-link[data-clip=\"clip-01\"]').click()")
    assert page.run("return document.getElementById('clip').value") == "1"


def test_the_theme_can_be_switched(page: Browser) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    before = page.run(colour)
    page.run("document.getElementById('theme').click()")
    assert page.run(colour) != before


def test_a_joint_page_with_speed_and_other_runs_works(browser: Browser, tmp_path: Path) -> None:
    names = ("ground_truth", "frozen")
    run = record_factory.make_run(n_clips=2, systems=("one", "two"), anchors=names, failing=0)
    folder = record_factory.write_run(run, tmp_path / "a")
    line = {"seed": 0, "code": "ok", "reused": 0, "seconds": {"generate": 3.0}}
    journal = [
        {**line, "system": name, "clip": clip.id, "clip_key": name}
        for name in ("one", "two")
        for clip in run.record.clips
    ]
    (folder / "journal.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in journal))
    other = record_factory.make_run(name="b", n_clips=3, systems=("three",), anchors=names, failing=0)
    browser.open(write_joint_report([folder, other], formats=("html",), output=tmp_path / "out", figures=False)[0])
    browser.wait("return document.querySelectorAll('#stage video').length")
    assert browser.run(
        "return document.querySelector('#section-others-2').textContent.includes('another list of clips')"
    )
    assert browser.run("return document.querySelectorAll('#section-speed tbody tr').length") == 2
    browser.run("const s = document.getElementById('speed'); s.value = '0.5'; s.dispatchEvent(new Event('input'))")
    assert browser.run("return [...document.querySelectorAll('#stage video')].every(v => v.playbackRate === 0.5)")
    assert browser.complaints() == []


def test_hostile_names_do_nothing(browser: Browser, tmp_path: Path) -> None:
    names = (*record_factory.HOSTILE, "</script><script>alert(2)</script>", '"><img src=x onerror=alert(3)>')
    run = record_factory.make_run(systems=names, n_clips=2, failing=1)
    browser.open(write_report(record_factory.write_run(run, tmp_path), formats=("html",), figures=False)[0])
    browser.wait("return document.querySelectorAll('#stage .tile').length")
    with pytest.raises(urllib.error.HTTPError):
        browser.call("GET", "/alert/text")
    assert browser.complaints() == []
    text = browser.run("return document.body.textContent")
    assert all(name in text for name in names)
