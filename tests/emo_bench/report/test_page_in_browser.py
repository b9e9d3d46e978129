"""The page in a real browser: no console errors, sorting, filtering, players, hostile names as text."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
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


def test_controls_that_the_browser_brings_back_are_applied(page: Browser) -> None:
    page.run(
        "document.getElementById('anchors').checked = false; document.getElementById('intervals').checked = false;"
        "document.querySelector('.panel-pick').selectedIndex = 1; dispatchEvent(new Event('pageshow'))"
    )
    assert page.run("return [...document.querySelectorAll('table.results tr.anchor')].every(row => row.hidden)")
    assert page.run("return document.body.classList.contains('no-ci')")
    assert page.run("return [...document.querySelectorAll('.panel')].findIndex(panel => !panel.hidden)") == 1


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


@pytest.fixture
def printed(browser: Browser) -> Iterator[Browser]:
    emulate(browser, "print")
    yield browser
    emulate(browser, "")


def emulate(browser: Browser, media: str) -> None:
    browser.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"media": media}})


def test_print_is_light_and_holds_whole_tables(printed: Browser, tmp_path: Path) -> None:
    run = record_factory.make_run(systems=("one", "two", "three", "four"), n_clips=6)
    folder = record_factory.write_run(run, tmp_path, previews=False)
    printed.open(write_report(folder, formats=("html",), figures=False)[0])
    printed.run("document.documentElement.dataset.theme = 'dark'")
    assert printed.run("return getComputedStyle(document.body).color") == "rgb(23, 24, 28)"
    cut = "return [...document.querySelectorAll('.scroll')].filter(s => s.scrollHeight > s.clientHeight + 1).length"
    assert printed.run(cut) == 0
    assert printed.run("return document.querySelectorAll('.scroll.tall').length") > 0
    # Chromium leaves buttons out of the heads that it repeats on further pages.
    assert printed.run("return getComputedStyle(document.querySelector('thead button')).display") == "contents"


def test_names_that_differ_at_their_end_are_shown_whole(browser: Browser, tmp_path: Path) -> None:
    names = [f"a-system-with-a-rather-long-name-{number}" for number in range(3)]
    run = record_factory.make_run(systems=names, n_clips=2, failing=0)
    browser.open(write_report(record_factory.write_run(run, tmp_path), formats=("html",), figures=False)[0])
    browser.wait("return document.querySelectorAll('#stage .tile').length")
    for width in (1280, 500):
        browser.resize(width, 900)
        cut = browser.run(
            "return [...document.querySelectorAll('tbody th .nm, td.name bdi, .verdict, .tile figcaption span')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible')"
            ".map(e => e.textContent)"
        )
        assert cut == []
    browser.resize(1400, 1000)


def test_the_head_of_a_long_table_stays_in_view(browser: Browser, tmp_path: Path) -> None:
    run = record_factory.make_run(systems=[f"system-{number:02d}" for number in range(12)], n_clips=3, failing=0)
    folder = record_factory.write_run(run, tmp_path, previews=False)
    browser.open(write_report(folder, formats=("html",), figures=False)[0])
    browser.resize(1280, 800)
    browser.run("const s = document.querySelector('.results').closest('.scroll'); s.scrollTop = s.scrollHeight")
    browser.run(
        "document.querySelector('.results tbody tr:last-child').scrollIntoView({block: 'nearest', behavior: 'instant'})"
    )
    top = browser.run("return document.querySelector('.results thead th').getBoundingClientRect().top")
    assert 0 <= top < browser.run("return innerHeight")
    browser.resize(1400, 1000)


def test_a_video_that_cannot_be_played_says_so(page: Browser) -> None:
    page.wait("return document.querySelectorAll('#stage video').length === 8")
    page.run("document.querySelector('#stage video').dispatchEvent(new Event('error'))")
    assert "cannot play" in page.run("return document.querySelector('#stage .gap').textContent")
    assert page.run("return document.querySelectorAll('.tile.audible').length") == 1


def test_steps_go_from_middle_to_middle_of_frames_and_the_heard_system_stays(page: Browser) -> None:
    page.wait("return [...document.querySelectorAll('#stage video')].every(v => v.readyState >= 3)")
    for button, frame in (("forth", 1), ("forth", 2), ("back", 1)):
        page.run(f"document.getElementById('{button}').click()")
        page.wait("return [...document.querySelectorAll('#stage video')].every(v => !v.seeking)")
        at = page.run("return document.querySelector('#stage video').currentTime")
        assert at == pytest.approx((frame + 0.5) / 25, abs=1e-3)
    page.run("document.querySelectorAll('.tile button')[3].click(); document.getElementById('next').click()")
    heard = "return document.querySelector('.tile.audible span').textContent"
    assert page.run(heard) == "shuffled-audio"


def test_a_longer_video_is_played_to_its_end(browser: Browser, tmp_path: Path) -> None:
    run = record_factory.make_run(systems=("one",), anchors=("ground_truth",), n_clips=1, failing=0)
    folder = record_factory.write_run(run, tmp_path)
    record_factory.tiny_video(folder / "previews" / "0001.mp4", hue=0, n_frames=75)
    browser.open(write_report(folder, formats=("html",), figures=False)[0])
    browser.wait("return [...document.querySelectorAll('#stage video')].every(v => v.readyState >= 3)")
    browser.run("document.getElementById('loop').click(); document.getElementById('play').click()")
    browser.wait("return !document.querySelector('#deck.playing')")
    assert (
        browser.run("return Math.max(...[...document.querySelectorAll('#stage video')].map(v => v.currentTime))") > 2.9
    )
