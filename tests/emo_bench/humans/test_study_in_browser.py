"""A study in a real browser: a simulated rater with a known preference answers, leaves, returns, and is recovered."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import record_factory
from browser import NEEDED, Browser, started

from emo_bench.humans.study.key import Question, StudyKey, read_key
from emo_bench.humans.study.make import StudyPlan, make_study
from emo_bench.humans.study.raters import Rules
from emo_bench.humans.study.score import score_study
from emo_bench.record.run_data import load_run

pytestmark = NEEDED
ORDER = ("ant-x", "bee-x", "cat-x")
"""From best to worst for the simulated rater's eyes; for heads it is the other way round."""

SEE = """
for (const video of document.querySelectorAll('#stage video')) {
  video.muted = true; video.playbackRate = 16; video.play();
}
"""
SEEN = "return document.querySelectorAll('#answers button:not([disabled])').length > 0"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = record_factory.make_run(n_clips=2, systems=ORDER, anchors=("ground_truth",), failing=0)
    folder = record_factory.write_run(run, tmp_path_factory.mktemp("run"))
    questions = (Question(key="lip", text="Whose lips <fit>?"), Question(key="head", text="Whose head is livelier?"))
    plan = StudyPlan(title="A </script> study", questions=questions, n_forms=2, per_form=6, n_checks=1, n_repeats=1)
    target = tmp_path_factory.mktemp("study") / "new"
    make_study(load_run(folder), plan, target, generator=np.random.default_rng(5))
    return target


def answers_for(key: StudyKey, trial: str, form: int) -> dict[str, str]:
    """What the simulated rater thinks of a screen."""
    shown = next(item for item in key.forms[form] if item.id == trial)
    left, right = key.media[shown.left], key.media[shown.right]
    if left.damaged or right.damaged:
        side = "right" if left.damaged else "left"
        return {"lip": side, "head": side}
    better = "left" if ORDER.index(left.system) < ORDER.index(right.system) else "right"
    return {"lip": better, "head": "right" if better == "left" else "left"}


def press(browser: Browser, key: str) -> None:
    keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
    browser.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})


def kept(browser: Browser, key: StudyKey, rater: str) -> dict[str, Any]:
    return json.loads(browser.run(f"return localStorage.getItem('emo-study:{key.study}:{rater}')"))


def begin(browser: Browser, study: Path, query: str) -> None:
    browser.open((study / "page" / "index.html").as_uri() + query)
    browser.run("document.getElementById('begin').click()")


def answer_screens(browser: Browser, key: StudyKey, rater: str, form: int, upto: int) -> None:
    """Answers by keyboard from where the page stands up to a screen."""
    for place in range(kept(browser, key, rater)["at"], upto):
        browser.run(SEE)
        browser.wait(SEEN)
        chosen = answers_for(key, key.forms[form][place].id, form)
        for question in key.questions:
            press(browser, "\ue012" if chosen[question.key] == "left" else "\ue014")
        press(browser, "\ue007")
        browser.wait(f"return JSON.parse(localStorage.getItem('emo-study:{key.study}:{rater}')).at > {place}")


def test_a_simulated_rater_is_recovered(browser: Browser, study: Path, tmp_path: Path) -> None:
    key = read_key(study)
    browser.call(
        "POST",
        "/goog/cdp/execute",
        {"cmd": "Browser.setDownloadBehavior", "params": {"behavior": "allow", "downloadPath": str(tmp_path)}},
    )
    browser.open((study / "page" / "index.html").as_uri() + "?rater=ann&form=0")
    assert browser.run("return document.querySelectorAll('video').length") == 0  # nothing is loaded before it is needed
    assert (study / "page" / "index.html").stat().st_size < 5_000_000
    for rater, form in (("ann", 0), ("bob", 1)):
        n_screens = len(key.forms[form])
        begin(browser, study, f"?rater={rater}&form={form}")
        assert browser.run("return document.querySelectorAll('#answers button:not([disabled])').length") == 0
        assert browser.run("return document.querySelectorAll('#stage video').length") == 2
        answer_screens(browser, key, rater, form, n_screens // 2)
        begin(browser, study, f"?rater={rater}")  # closed and opened again
        assert browser.run("return document.getElementById('count').textContent").startswith(f"{n_screens // 2 + 1} of")
        answer_screens(browser, key, rater, form, n_screens)
        browser.wait("return !document.getElementById('done').hidden")
        assert browser.run("return document.getElementById('clear').hidden")  # not before the votes are in a file
        browser.run("document.getElementById('save').click()")
        path = tmp_path / f"votes-{key.study}-{rater}.json"
        end = time.monotonic() + 30
        while not path.is_file() and time.monotonic() < end:
            time.sleep(0.1)
        browser.run("document.getElementById('clear').click()")
        assert kept(browser, key, rater)["saved"]  # asked once more, nothing removed yet
        browser.run("document.getElementById('clear').click()")
        assert browser.run(f"return localStorage.getItem('emo-study:{key.study}:{rater}')") is None
        assert json.loads(path.read_text())["complete"]
    assert browser.complaints() == []
    # Clips play sixteen times as fast here, so answers come sooner than a person could give them.
    result = score_study(key, [tmp_path], resamples=100, rules=Rules(fastest_s=0)).result
    lip, head = result.questions
    assert [item.system for item in lip.strengths] == list(ORDER)
    assert [item.system for item in head.strengths] == list(reversed(ORDER))
    assert lip.strengths[0].won == 1.0
    assert all(rater.checks_passed == rater.checks == 1 and not rater.excluded for rater in result.raters)
    assert not result.exclusions


def test_back_and_the_pointer_work_and_phones_are_not_too_narrow(browser: Browser, study: Path) -> None:
    key = read_key(study)
    begin(browser, study, "?rater=kim&form=0")
    browser.run(SEE)
    browser.wait(SEEN)
    browser.run("for (const set of document.querySelectorAll('#answers fieldset')) set.querySelector('button').click()")
    browser.run("document.getElementById('next').click(); document.getElementById('back').click()")
    chosen = browser.run(
        "return [...document.querySelectorAll('#answers [aria-pressed=true]')].map(b => b.textContent)"
    )
    assert chosen == ["A", "A"]
    assert not browser.run("return document.getElementById('next').disabled")
    votes = kept(browser, key, "kim")["answers"][key.forms[0][0].id]
    assert votes["choices"] == {"lip": "left", "head": "left"}
    assert votes["plays"] == [1, 1]
    size = {"width": 400, "height": 820, "deviceScaleFactor": 1, "mobile": True}
    browser.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": size})
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    browser.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})
    assert browser.run("return document.querySelector('h1').textContent") == "A </script> study"
    assert browser.run("return document.querySelector('legend').textContent") == "Whose lips <fit>?"
    assert browser.complaints() == []


def test_a_browser_that_keeps_nothing_shows_the_study_and_says_so(browser: Browser, study: Path) -> None:
    text = re.sub("<meta http-equiv[^>]*>", "", (study / "page" / "index.html").read_text())
    refuse = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no'); }});"
    page = study / "page" / "blocked.html"
    page.write_text(text.replace('"use strict";', f'"use strict";{refuse}', 1))
    try:
        browser.open(page)
        browser.wait("return document.getElementById('rater').value.length === 8")
        browser.run("document.getElementById('begin').click()")
        browser.wait("return !document.getElementById('trial').hidden")
        assert browser.run("return document.getElementById('trouble').checkVisibility()")
        assert not browser.run(LEAVES)  # nothing is answered yet
        see_and_answer(browser)
        assert browser.run(LEAVES)
    finally:
        page.unlink()


LEAVES = "const e = new Event('beforeunload', {cancelable: true}); dispatchEvent(e); return e.defaultPrevented"
"""Whether the browser asks before it leaves the page."""
ANSWER = "for (const set of document.querySelectorAll('#answers fieldset')) set.querySelector('button').click()"


def see_and_answer(browser: Browser) -> None:
    browser.run(SEE)
    browser.wait(SEEN)
    browser.run(ANSWER)


def test_two_windows_of_one_rater_lose_no_answer(browser: Browser, study: Path) -> None:
    key = read_key(study)
    begin(browser, study, "?rater=two&form=0")
    first = browser.call("GET", "/window")
    second = browser.call("POST", "/window/new", {"type": "tab"})["handle"]
    browser.call("POST", "/window", {"handle": second})
    begin(browser, study, "?rater=two")
    for _ in range(2):
        see_and_answer(browser)
        browser.run("document.getElementById('next').click()")
    browser.call("DELETE", "/window")
    browser.call("POST", "/window", {"handle": first})
    see_and_answer(browser)
    assert len(kept(browser, key, "two")["answers"]) == 2
    browser.run("document.getElementById('next').click()")
    assert browser.run("return document.querySelectorAll('#answers [aria-pressed=true]').length") == 2


def test_the_keyboard_does_what_has_the_focus_and_a_held_key_answers_once(browser: Browser, study: Path) -> None:
    key = read_key(study)
    begin(browser, study, "?rater=keys&form=0")
    browser.run(SEE)
    browser.wait(SEEN)
    browser.run(
        "const down = (repeat) => document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', repeat}));"
        "down(false); down(true); down(true);"
    )
    assert kept(browser, key, "keys")["answers"][key.forms[0][0].id]["choices"] == {"lip": "left"}
    press(browser, "\ue014")
    browser.run("document.getElementById('pause').focus()")
    press(browser, "\ue007")
    assert kept(browser, key, "keys")["saved"]
    assert kept(browser, key, "keys")["at"] == 0
    browser.run("window.played = 0; const v = document.querySelector('#stage video'); v.play = async () => played++;")
    browser.run("const v = document.querySelector('#stage video'); v.pause(); v.closest('.clip').focus()")
    press(browser, " ")
    assert browser.run("return played") == 1
    browser.run("const next = document.getElementById('next'); next.focus(); next.click()")
    browser.run(SEE)
    browser.wait(SEEN)
    press(browser, "\ue012")
    assert kept(browser, key, "keys")["answers"][key.forms[0][1].id]["choices"] == {"lip": "left"}


def test_half_answered_screens_are_not_counted_as_answered(browser: Browser, study: Path) -> None:
    begin(browser, study, "?rater=half&form=0")
    see_and_answer(browser)
    browser.run("document.getElementById('next').click()")
    browser.run(SEE)
    browser.wait(SEEN)
    press(browser, "\ue012")
    browser.open((study / "page" / "index.html").as_uri() + "?rater=ha lf")
    assert "1 of 8 screens" in browser.run("return document.getElementById('again').textContent")


def test_each_rater_is_asked_before_answers_are_removed(browser: Browser, study: Path) -> None:
    key = read_key(study)
    begin(browser, study, "?rater=ask&form=0")
    browser.run(
        f"const state = JSON.parse(localStorage.getItem('emo-study:{key.study}:ask'));"
        f"state.at = {len(key.forms[0])}; state.saved = true;"
        f"for (const rater of ['ask', 'ask2'])"
        f"  localStorage.setItem('emo-study:{key.study}:' + rater, JSON.stringify({{...state, rater}}));"
    )
    browser.open((study / "page" / "index.html").as_uri() + "?rater=ask")
    remove = "document.getElementById('clear').click();"
    browser.run(f"document.getElementById('begin').click(); {remove} {remove}")
    browser.run(f"document.getElementById('rater').value = 'ask2'; document.getElementById('begin').click(); {remove}")
    assert kept(browser, key, "ask2")["saved"]


def test_a_clip_that_cannot_be_played_is_told_and_can_be_tried_again(browser: Browser, study: Path) -> None:
    key = read_key(study)
    name = key.forms[0][0].left
    clip, away = study / "page" / "media" / f"{name}.mp4", study / "away.mp4"
    clip.rename(away)
    try:
        begin(browser, study, "?rater=bad&form=0")
        browser.wait("return document.querySelectorAll('.clip.broken').length === 1")
    finally:
        away.rename(clip)
    browser.run("document.querySelector('.clip.broken').click()")
    browser.wait("return document.querySelector('#stage video').currentTime > 0.1")
    assert browser.run("return document.querySelectorAll('.clip.broken').length") == 0


def test_a_clip_of_which_only_the_sound_can_be_played_counts_as_unseen(browser: Browser, study: Path) -> None:
    key = read_key(study)
    name = key.forms[0][0].left
    clip, away = study / "page" / "media" / f"{name}.mp4", study / "away.mp4"
    clip.rename(away)
    with av.open(str(away)) as source, av.open(str(clip), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    try:
        begin(browser, study, "?rater=deaf&form=0")
        browser.wait("return document.querySelectorAll('.clip.broken').length === 1")
        see_and_answer(browser)
        browser.wait("return document.querySelector('#stage video').ended")
    finally:
        away.replace(clip)
    browser.run(ANSWER)
    assert kept(browser, key, "deaf")["answers"][key.forms[0][0].id]["plays"] == [0, 1]
