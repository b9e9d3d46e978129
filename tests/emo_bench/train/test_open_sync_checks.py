"""The checks of the open sync network: which clips a list of names keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from emo_bench.data.reenacted.drivers import DriverClip
from emo_bench.train import open_sync_checks


def test_names_with_spaces_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One name a line, as for ``leave_out``, which is often the same file."""
    rows = (("a", "Anna Maria"), ("b 1", "Eve"), ("c", "Anna"))
    clips = [
        DriverClip(id=name, video=Path("v"), audio=None, tracks=None, person=person, licence="")
        for name, person in rows
    ]
    asked: list[DriverClip] = []
    monkeypatch.setattr(open_sync_checks, "read_drivers", lambda path: clips)
    monkeypatch.setattr(open_sync_checks, "SyncOpen", lambda options: None)
    monkeypatch.setattr(open_sync_checks, "pieces_of", lambda kept, *_, **__: asked.extend(kept) or iter(()))
    (tmp_path / "only.txt").write_text("Anna Maria\nb 1\n", encoding="utf-8-sig")
    open_sync_checks.main(["set/table.csv", "--only", str(tmp_path / "only.txt")])
    assert [clip.id for clip in asked] == ["a", "b 1"]
    assert "| set | 0 |" in capsys.readouterr().out
