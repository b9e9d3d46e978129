"""The viewer in a real browser: the list, clips in step, frame by frame by keyboard, worst first."""

from __future__ import annotations

from browser import NEEDED, Browser

from emo_bench.viewer.server import Server

pytestmark = NEEDED
READY = "return [...document.querySelectorAll('#stage video')].length === 4 && [...document.querySelectorAll('#stage video')].every(v => v.readyState >= 2)"  # noqa: E501
TIMES = "return [...document.querySelectorAll('#stage video')].map(v => v.currentTime)"
KEY = "document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{}', bubbles: true}}))"


def first_run(browser: Browser, server: Server) -> None:
    browser.resize(1280, 900)
    browser.open(server.url)
    browser.wait("return document.querySelector('a.run-card')")
    browser.run("document.querySelector('a.run-card').click()")
    browser.wait(READY, 60)


def test_from_the_list_to_a_frame(browser: Browser, server: Server) -> None:
    first_run(browser, server)
    browser.run(KEY.format("ArrowRight"))
    browser.run(KEY.format("ArrowRight"))
    browser.wait("return document.getElementById('time').textContent.startsWith('frame 2 of')")
    browser.wait("return [...document.querySelectorAll('#stage video')].every(v => !v.seeking)")
    times = browser.run(TIMES)
    assert all(abs(time - 2.5 / 25) < 0.001 for time in times)
    assert browser.run("return document.querySelectorAll('.tile.audible').length") == 1
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints() == []


def test_worst_clips_come_first_and_arrows_change_the_clip(browser: Browser, server: Server) -> None:
    first_run(browser, server)
    names = browser.run("return [...document.querySelectorAll('#clips button')].map(b => b.dataset.clip)")
    assert sorted(names) == ["0", "1", "2"]
    assert browser.run("return document.querySelector('#clips .on button').dataset.clip") == names[0]
    browser.run(KEY.format("ArrowDown"))
    browser.wait(f"return document.querySelector('#clips .on button').dataset.clip === '{names[1]}'")
    browser.wait(READY, 60)
    browser.run("document.getElementById('anchors').click()")
    assert browser.run("return [...document.querySelectorAll('.tile')].filter(t => t.checkVisibility()).length") == 2
    browser.resize(500, 900)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints() == []


def press(browser: Browser, key: str) -> None:
    keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
    browser.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})


def test_space_presses_what_has_the_focus(browser: Browser, server: Server) -> None:
    first_run(browser, server)
    for name, state in (("anchors", "checked"), ("actual", "getAttribute('aria-pressed') === 'true'")):
        before = browser.run(f"const b = document.getElementById('{name}'); b.focus(); return b.{state}")
        press(browser, " ")
        assert browser.run(f"return document.getElementById('{name}').{state}") != before
    assert not browser.run("return document.querySelector('#deck.playing')")


def test_curves_of_another_clip_are_never_shown(browser: Browser, server: Server) -> None:
    first_run(browser, server)
    browser.run("const f = document.createElement('figure'); f.className = 'curve'; curves.append(f)")
    browser.run(
        "window.real = fetch; window.fetch = (place, options) => String(place).startsWith('curves/')"
        " ? new Promise((_, no) => { window.fail = () => no(new TypeError('gone')); }) : real(place, options);"
    )
    browser.run(KEY.format("ArrowDown"))
    browser.wait("return window.fail")
    assert browser.run("return document.querySelectorAll('.curve').length") == 0
    browser.run("fail()")
    browser.wait("return document.getElementById('curves').textContent.includes('viewer has ended')")


def test_a_video_that_the_browser_cannot_play_is_not_called_lost(browser: Browser, server: Server) -> None:
    first_run(browser, server)
    browser.run("document.querySelector('#stage video').dispatchEvent(new Event('error'))")
    browser.wait("return document.querySelector('#stage .gap')?.textContent.includes('browser cannot play')")
