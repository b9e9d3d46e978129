"""A fresh clone of this repository in which ``dvc repro`` was run once, for all tests of the experiment graph."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Clone:
    """A clone and how commands run in it: this interpreter's programs, the clone's code, no settings of the user."""

    folder: Path
    scratch: Path
    first: list[subprocess.CompletedProcess[str]] = field(default_factory=list)

    def environment(self) -> Mapping[str, str]:
        paths = [str(self.folder), str(self.folder / "models"), str(self.folder / "metrics")]
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in {"EMO_BENCH_WEIGHTS", "FORCE_COLOR", "PYTHONDONTWRITEBYTECODE", "GITHUB_STEP_SUMMARY"}
        }
        return {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.scratch / "site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "A researcher",
            "GIT_AUTHOR_EMAIL": "researcher@example.org",
            "GIT_COMMITTER_NAME": "A researcher",
            "GIT_COMMITTER_EMAIL": "researcher@example.org",
        }

    def sh(self, script: str, *, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a script as a reader of the guide would; fails with its whole output when it fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert not ok or done.returncode == 0, f"{script}\n{done.stdout}"
        return done

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone with a remote of its own; ``dvc repro`` has been run in it from nothing."""
    if find_spec("dvc") is None:
        pytest.skip("needs the extra 'dvc'")
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    scratch = tmp_path_factory.mktemp("dvc")
    subprocess.run(["git", "clone", "-q", "--bare", str(ROOT), str(scratch / "origin.git")], check=True)
    subprocess.run(["git", "clone", "-q", str(scratch / "origin.git"), str(scratch / "clone")], check=True)
    made = Clone(scratch / "clone", scratch)
    made.first.append(made.sh("dvc repro"))
    return made
