"""What killed processes left half-written goes; what living ones write stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emo_core import atomic
from emo_core.atomic import atomic_path, owner, sweep_orphans

WRITER = """
import os, signal, sys
from pathlib import Path
from emo_core.atomic import atomic_path
with atomic_path(Path(sys.argv[1]) / "a" / "b.mkv") as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_killed_writers_file_goes_and_a_living_ones_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)], env={**os.environ, "PYTHONPATH": "."}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert len(files(tmp_path)) == 1
    with atomic_path(tmp_path / "mine.json") as temporary:
        temporary.write_text("{}")
        assert sweep_orphans(tmp_path) == 1
        assert files(tmp_path) == {temporary.name}
    assert files(tmp_path) == {"mine.json"}


def test_folders_of_the_dead_go_and_nothing_else(tmp_path: Path) -> None:
    host = owner().split(".")[0]
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f"emo-bench-{host}.{dead.pid}-x" / "in").mkdir(parents=True)
    (tmp_path / f"emo-bench-{owner()}-x").mkdir()
    (tmp_path / "emo-bench-notes").mkdir()
    (tmp_path / ".a.tmp").write_text("someone else's")
    assert sweep_orphans(tmp_path, deep=False) == 1
    assert {path.name for path in tmp_path.iterdir()} == {f"emo-bench-{owner()}-x", "emo-bench-notes", ".a.tmp"}


def test_those_of_other_machines_go_after_a_day(tmp_path: Path) -> None:
    path = tmp_path / ".a.ffffff.1-00000000.tmp.mkv"
    path.write_bytes(b"")
    assert atomic._host() != "ffffff"
    assert sweep_orphans(tmp_path) == 0
    os.utime(path, (0, 0))
    assert sweep_orphans(tmp_path) == 1


def test_what_cannot_be_deleted_stays_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        path = tmp_path / f".{name}.ffffff.1-00000000.tmp.mkv"
        path.write_bytes(b"")
        os.utime(path, (0, 0))
    unlink = Path.unlink

    def refusing(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith(".a"):
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refusing)
    assert sweep_orphans(tmp_path) == 1
    assert [path.name[:2] for path in tmp_path.iterdir()] == [".a"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    inside = tmp_path / "store"
    inside.mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (inside / f"emo-bench-{owner().split('.')[0]}.{dead.pid}-x").symlink_to(outside)
    assert sweep_orphans(inside) == 0
    assert (outside / "kept").exists()
