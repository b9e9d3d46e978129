"""What a finished run prints of its clips."""

from __future__ import annotations

from pathlib import Path

import pytest
import record_factory

from emo_bench.cli.outcome import print_outcome
from emo_bench.record.schema import NoteEntry


def test_the_most_telling_notes_are_printed_and_the_rest_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record_factory.make_run(n_clips=5)
    ids = tuple(clip.id for clip in run.record.clips)
    kinds = ("resized", "audio_converted", "channels_cancel", "silent", "short_file", "hdr")
    notes = [
        NoteEntry(system="ground-truth", code=code, text=f"text of {code} [x]", clips=ids[: index + 1])
        for index, code in enumerate(kinds)
    ]
    notes.append(NoteEntry(system="frozen", code="copied", text="of an anchor", clips=ids))
    print_outcome(run.record.model_copy(update={"notes": tuple(notes)}), tmp_path)
    printed = capsys.readouterr().out
    assert "notes on 5 clips" in printed
    assert "2 more kinds" in printed
    lines = [line.strip() for line in printed.splitlines() if "text of" in line]
    assert lines[0] == "text of hdr [x] (5 clips: ground-truth/clip-00, ground-truth/clip-01, ...)"
    assert [line.split()[2] for line in lines] == ["hdr", "short_file", "silent", "channels_cancel"]
    assert not any("resized" in line or "audio_converted" in line for line in lines)
    assert "of an anchor" not in printed


def test_a_run_without_notes_prints_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_outcome(record_factory.make_run(n_clips=3).record, tmp_path)
    assert "notes on" not in capsys.readouterr().out
