"""Writes are atomic, whatever happens between the first byte and the rename."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emo_core.atomic import atomic_path, sweep_orphans, write_bytes, write_json, write_text


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writes_make_folders_and_replace(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.txt"
    write_text(target, "ä\n")
    write_text(target, "new\n")
    assert content(tmp_path) == {"file.txt": b"new\n"}
    write_bytes(target, b"")
    assert target.read_bytes() == b""


def test_json_is_sorted_and_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    write_json(target, {"b": 1, "a": "é"})
    assert target.read_text(encoding="utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    with pytest.raises(ValueError):
        write_json(target, {"a": float("nan")})
    assert json.loads(target.read_text(encoding="utf-8")) == {"a": "é", "b": 1}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("had_content", [True, False])
def test_an_exception_leaves_everything_as_it_was(
    tmp_path: Path, error: type[BaseException], had_content: bool
) -> None:
    target = tmp_path / "file.mkv"
    if had_content:
        target.write_bytes(b"old")
    with pytest.raises(error), atomic_path(target) as temporary:  # noqa: PT012
        assert temporary.suffix == ".mkv"
        temporary.write_bytes(b"half")
        raise error
    assert content(tmp_path) == ({"file.mkv": b"old"} if had_content else {})


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_sync_or_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    target = tmp_path / "file"
    write_bytes(target, b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="input/output"):
        write_bytes(target, b"new")
    assert content(tmp_path) == {"file": b"old"}


def test_the_data_are_on_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    sync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("sync"), sync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (events.append("rename"), rename(self, to))[1])
    write_bytes(tmp_path / "file", b"x")
    assert events == ["sync", "rename", "sync"]


KILLED = """
import os, signal, sys
from pathlib import Path
from emo_core.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half of the ne")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_the_old_file_and_a_sweepable_rest(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.json"
    write_bytes(target, b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    assert len(content(tmp_path)) == 2
    assert sweep_orphans(tmp_path) == 1
    assert content(tmp_path) == {"file.json": b"old"}
    assert sweep_orphans(tmp_path) == 0


def test_names_as_long_as_a_file_system_allows_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("漢" * 83 + ".txt")
    assert len(target.name.encode()) == 253
    write_bytes(target, b"new")
    assert content(tmp_path) == {target.name: b"new"}


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_bytes(target, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(OSError) as caught:
            write_bytes(target, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    assert content(tmp_path) == {"file": b"old"}


def test_names_near_the_limit_of_the_file_system(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 240 + ".json")
    write_text(target, "x")
    assert content(tmp_path) == {target.name: b"x"}
