"""What the user sees: nothing, plain lines, or bars; and never a stranger's escape sequences."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from emo_core.progress import Bars, Plain, Silent, display
from emo_core.text import printable


@given(st.text())
def test_nothing_printable_can_steer_a_terminal(text: str) -> None:
    shown = printable(text)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


def test_escapes_are_made_visible() -> None:
    assert printable("a\x1b]0;title\x07\r\u202e\x9b\udcff") == r"a\x1b]0;title\x07\r\u202e\x9b\udcff"


def test_plain_lines_come_about_every_tenth() -> None:
    stream = io.StringIO()
    with Plain(stream) as shown:
        shown.stage("work", 200)
        for _ in range(200):
            shown.step("a clip")
        shown.say("bad \x1b[2J")
        shown.stage("nothing", 0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "work: 200"
    assert len(lines) == 1 + 10 + 1 + 1
    assert lines[10].startswith("work: 200/200, 0 s, about 0 s left")
    assert lines[11] == "bad \\x1b[2J"


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Bars()
    shown.stage("work", 2)
    for name in ("a [dQw4w9WgXcQ].mp4", "a[/b].mp4"):  # before it is shown by a thread that would hang
        shown.step(name)
        text = shown._progress.tasks[-1].fields["text"]
        assert Text.from_markup(f"[dim]{text}").plain == name


def test_the_display_fits_where_stderr_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    with display(quiet=True) as shown:
        assert isinstance(shown, Silent)
    with display() as shown:
        assert isinstance(shown, Plain)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with display() as shown:
        assert isinstance(shown, Bars)
        shown.stage("work", 2)
        shown.step("clip \x1b[31m")
        shown.say("a line")
        shown.step()
