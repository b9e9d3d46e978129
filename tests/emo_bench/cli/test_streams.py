"""The verdict of a command never depends on the encoding of its output, nor on who reads it."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import record_factory

from emo_bench.cli import main as command_line
from emo_bench.cli.main import main
from emo_bench.cli.streams import flushed, sturdy


def test_what_an_encoding_lacks_is_an_escape() -> None:
    buffer = io.BytesIO()
    stream = sturdy(io.TextIOWrapper(buffer, encoding="ascii"))
    stream.write("✅ passed")
    stream.flush()
    assert buffer.getvalue() == b"\\u2705 passed"


def test_a_reader_who_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    stream = sturdy(io.TextIOWrapper(os.fdopen(writing, "wb", closefd=False), encoding="utf-8"))
    os.close(reading)
    for _ in range(3):
        stream.write("x" * 100_000)
        stream.flush()
    assert os.fstat(writing).st_rdev == Path(os.devnull).stat().st_rdev  # so that nothing fails at the very end
    os.close(writing)


def test_what_is_flushed_has_left_the_process() -> None:
    reading, writing = os.pipe()
    stream = sturdy(io.TextIOWrapper(os.fdopen(writing, "wb"), encoding="utf-8"))  # buffered, as the interpreter's are
    stream.write("a verdict")
    stream.flush()
    os.set_blocking(reading, False)
    assert os.read(reading, 100) == b"a verdict"
    os.close(reading)


def test_streams_that_were_closed_before_the_start_go_nowhere() -> None:
    with sturdy(None) as stream:
        stream.write("x")


CRASHES = (
    RuntimeError("x"),
    UnicodeEncodeError("ascii", "é", 0, 1, "x"),
    MemoryError(),
    RecursionError(),
    ImportError("x"),
)


@pytest.mark.parametrize("error", CRASHES, ids=lambda error: type(error).__name__)
def test_a_crash_has_the_code_of_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    def crash(**_: Any) -> None:
        raise error

    monkeypatch.setattr(command_line, "app", crash)
    assert main([]) == 2
    assert type(error).__name__ in capsys.readouterr().err


def test_a_disk_without_room_for_the_verdict_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        stream.write("x")
        assert flushed(0, 2) == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_gate_in_other_encodings_and_into_a_closed_pipe(tiny: Any, tmp_path: Path, encoding: str) -> None:
    run = record_factory.write_run(record_factory.make_run(failing=0), tmp_path / "run", previews=False)
    rules = tmp_path / "rules.yaml"
    rules.write_text("resamples: 100\nrules: [{protocol: 'psnr/*'}]\n", encoding="utf-8")
    command = tiny.command("gate", "-b", run, "-c", run, "-r", rules)
    reading, writing = os.pipe()
    os.close(reading)
    for target in (subprocess.DEVNULL, writing):
        done = subprocess.run(
            command, cwd=tmp_path, env=tiny.environment({"PYTHONIOENCODING": encoding}), stdout=target,
            stderr=subprocess.PIPE, text=True, timeout=240,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
    os.close(writing)


def test_a_verdict_that_cannot_be_written_is_printed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(record_factory.write_run(record_factory.make_run(), tmp_path / "run", previews=False))
    (tmp_path / "rules.yaml").write_text("resamples: 100\nrules: [{protocol: 'psnr/*'}]\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "summary.md"))
    assert main(["gate", "-b", run, "-c", run, "-r", str(tmp_path / "rules.yaml")]) == 2
    said = capsys.readouterr()
    assert "No regression found" in said.out
    assert "nowhere" in said.err


def test_a_deep_record_is_an_error_and_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "record.json").write_text('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", encoding="utf-8")
    assert main(["gate", "-b", str(tmp_path), "-c", str(tmp_path)]) == 2
    assert "nested too deeply" in capsys.readouterr().err
