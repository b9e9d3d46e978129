"""Memory does not grow with the number of clips nor with their length."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MEASURE = """
import json, resource, sys
from emo_bench.cli.main import main
code = main(sys.argv[1:])
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("PEAK", json.dumps({"code": code, "own": own / 1024, "children": children / 1024}))
"""
TOLERANCE_MB = 40
"""Rows, features and the journal of thirty more clips, and what allocators keep; a held clip would be far more."""


def peak_of(tiny, manifest: Path, folder: Path, **changes: Any) -> dict[str, float]:
    """Highest resident memory in MB of the run's process and of the largest process it started."""
    suite = tiny.suite(manifest, folder, **changes)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "run", "--config", str(suite), "--quiet"],
        cwd=folder,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=1000,
    )
    found = json.loads(done.stdout.rsplit("PEAK", 1)[1])
    assert found.pop("code") == 0, done.stderr
    return found


def test_ten_or_forty_clips(tiny, tmp_path: Path) -> None:
    few, many = tiny.set(tmp_path / "few", n_clips=10), tiny.set(tmp_path / "many", n_clips=40)
    first = peak_of(tiny, few, tmp_path / "1")
    second = peak_of(tiny, many, tmp_path / "2")
    for name, value in second.items():
        assert value < first[name] * 1.1 + TOLERANCE_MB, (first, second)


def test_five_or_sixty_seconds(tiny, tmp_path: Path) -> None:
    manifests = []
    for name, seconds in (("short", 5.0), ("long", 60.0)):
        # Two clips of different length: the shorter one is played forth and back as another identity.
        folder = tmp_path / name
        tiny.set(folder, n_clips=1, seconds=seconds, size=(128, 128))
        tiny.set(folder / "second", n_clips=1, seconds=seconds * 0.8, size=(128, 128))
        lines = (folder / "manifest.jsonl").read_text(encoding="utf-8")
        entry = json.loads((folder / "second" / "manifest.jsonl").read_text(encoding="utf-8"))
        entry |= {"id": "clip-99", "identity": "other", "video": "second/clip-00.mkv"}
        (folder / "manifest.jsonl").write_text(lines + json.dumps(entry) + "\n", encoding="utf-8")
        manifests.append(folder / "manifest.jsonl")
    first = peak_of(tiny, manifests[0], tmp_path / "1")
    second = peak_of(tiny, manifests[1], tmp_path / "2")
    # Sixty seconds of 128 px are 74 MB of pictures and 4 MB of sound.
    for name, value in second.items():
        assert value < first[name] * 1.1 + TOLERANCE_MB, (first, second)
