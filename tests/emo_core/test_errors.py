"""What of an error goes into records, which others read."""

from __future__ import annotations

from pathlib import Path

import pytest

from emo_core.errors import EmoBenchError, one_line, without_home


@pytest.mark.parametrize(
    ("home", "text", "shown"),
    [
        ("/home/alice", "no /home/alice/net.pt in /home/alice/.cache: /home/alice", "no ~/net.pt in ~/.cache: ~"),
        ("/home/alice", "no /home/alice2/net.pt, /mnt/home/alice/x", "no /home/alice2/net.pt, /mnt/home/alice/x"),
        ("/home/alice", 'File "/home/alice/run.py", line 3', 'File "~/run.py", line 3'),
        ("/home/alice/", "in /home/alice/a", "in ~/a"),
        ("/", "no /net.pt", "no /net.pt"),
    ],
)
def test_the_home_folder_is_not_told(monkeypatch: pytest.MonkeyPatch, home: str, text: str, shown: str) -> None:
    monkeypatch.setenv("HOME", home)
    assert without_home(text) == shown
    assert one_line(EmoBenchError("failed", found=text)) == f"failed; found:    {shown}"


def test_without_a_home_the_text_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    assert without_home("/home/alice") == "/home/alice"
