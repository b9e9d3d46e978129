"""The makers of `tiny_sets` as a fixture, misbehaving systems, and commands in their own process; for all tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# Several workers with several threads each wait for one another; must be said before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# ``fake_device``, ``tiny_sets`` and others are for all tests; they are collected by file, not as packages.
sys.path.insert(0, str(Path(__file__).parent))

from tiny_sets import (
    WEIGHTLESS,
    speech,
    suite_values,
    talking_frames,
    write_suite,
    write_talking,
    write_tiny_set,
)

# Programs that measure or write fixtures; importing them as tests would run them.
collect_ignore_glob = ["*/measure.py", "*/bench_*.py", "*/commit_hashes.py", "*/frames_probe.py"]

# A gate must give the same answer twice: continuous integration draws the same examples, other runs explore new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same" if os.environ.get("CI") else "explore")

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def the_same_scheduling() -> Iterator[None]:
    """A real-time thread takes a whole core from everything else, and its child processes inherit that."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before = os.sched_getscheduler(0)
    yield
    after = os.sched_getscheduler(0)
    if after != before:
        os.sched_setscheduler(0, before, os.sched_param(0))
    assert after == before, "this test left its thread with another scheduling policy"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of commands: this checkout, no user's weights, few threads, no colours forced."""
    paths = [str(REPOSITORY), str(REPOSITORY / "models"), str(REPOSITORY / "metrics")]
    added = dict(extra or {})
    added["PYTHONPATH"] = os.pathsep.join([part for part in (added.get("PYTHONPATH"), *paths) if part])
    kept = {
        name: value
        for name, value in os.environ.items()
        # Unbuffered streams would hide what never leaves the process of a user.
        if name not in {"EMO_BENCH_WEIGHTS", "FORCE_COLOR", "COLUMNS", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    }
    return {**kept, "OMP_NUM_THREADS": "1", "NO_COLOR": "", **added}


def command(*arguments: str | Path) -> list[str]:
    """``emo-bench`` with these arguments, by this interpreter."""
    return [sys.executable, "-m", "emo_bench.cli.main", *map(str, arguments)]


def run_cli(*arguments: str | Path, cwd: Path, extra: Mapping[str, str] | None = None, timeout: float = 240.0) -> Done:
    """Runs the command line in its own process."""
    done = subprocess.run(
        command(*arguments), cwd=cwd, env=environment(extra), capture_output=True, text=True, timeout=timeout
    )
    return Done(done.returncode, done.stdout, done.stderr)


def comparable(record: Path) -> dict[str, Any]:
    """A record without what may differ between equal runs: times and host."""
    values = json.loads((record / "record.json" if record.is_dir() else record).read_text(encoding="utf-8"))
    del values["timings"], values["provenance"]["host"]
    return values


_MODULE = '''
"""Systems that misbehave; installed as a third party would, through an entry point."""
import os, sys, time
import numpy as np
from emo_bench.systems.system import GeneratedClip, SystemKind
from emo_bench.media.types import Video

def _is(request, name):
    return request.clip_id == name

class Whole(SystemKind):
    """Makes a plain grey video."""
    uses_seed = True
    def generate(self, request):
        spec = {"width": request.width, "height": request.height, "fps": request.fps, "n_frames": request.n_frames}
        from emo_bench.media.types import VideoSpec
        value = np.random.default_rng(request.seed).integers(0, 256)
        frames = np.full((request.n_frames, request.height, request.width, 3), value, np.uint8)
        return GeneratedClip(video=Video(VideoSpec(**spec), lambda: iter([frames])), audio=request.audio)

class Dies(Whole):
    """Takes its whole process with it on the second clip."""
    def generate(self, request):
        if _is(request, "clip-01"):
            os._exit(7)
        return super().generate(request)

class Hangs(Whole):
    """Never comes back on the second clip."""
    def generate(self, request):
        if _is(request, "clip-01"):
            time.sleep(600)
        return super().generate(request)

class Raises(Whole):
    """Has bugs: another for each clip."""
    def generate(self, request):
        if _is(request, "clip-00"):
            raise ZeroDivisionError("a bug of the method")
        if _is(request, "clip-01"):
            raise FileNotFoundError("no such checkpoint")
        sys.exit(3)

class Lies(Whole):
    """Announces the right number of frames and gives fewer; or pictures of another kind."""
    def generate(self, request):
        made = super().generate(request)
        if _is(request, "clip-00"):
            return self._through(made, lambda frames: frames[:-1])
        if _is(request, "clip-01"):
            return self._through(made, lambda frames: frames / 255)
        return GeneratedClip(video=made.video, audio=type(made.audio)(made.audio.samples * np.float32("nan"), 16000))

    def _through(self, made, change):
        video = Video(made.video.spec, lambda: (change(piece) for piece in made.video.open()))
        return GeneratedClip(video=video, audio=made.audio)
'''


@pytest.fixture(scope="session")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH`` with an installed package of misbehaving systems."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "odd_systems.py").write_text(_MODULE, encoding="utf-8")
    info = folder / "odd_systems-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-systems\nVersion: 1.0\n", encoding="utf-8")
    names = ("Whole", "Dies", "Hangs", "Raises", "Lies")
    lines = [f"odd_{name.lower()} = odd_systems:{name}" for name in names]
    (info / "entry_points.txt").write_text("\n".join(["[emo_bench.systems]", *lines, ""]), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of three clips of 0.4 s; not to be changed by a test."""
    return write_tiny_set(tmp_path_factory.mktemp("tiny-set"))


@dataclass(frozen=True)
class Tiny:
    """The makers of `tiny_sets` and what runs commands."""

    repository: Path
    metrics: Sequence[str]
    frames: Callable[..., np.ndarray]
    speech: Callable[..., np.ndarray]
    clip: Callable[..., Path]
    set: Callable[..., Path]
    values: Callable[..., dict[str, Any]]
    suite: Callable[..., Path]
    cli: Callable[..., Done]
    command: Callable[..., list[str]]
    environment: Callable[..., dict[str, str]]
    comparable: Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return Tiny(
        repository=REPOSITORY,
        metrics=WEIGHTLESS,
        frames=talking_frames,
        speech=speech,
        clip=write_talking,
        set=write_tiny_set,
        values=suite_values,
        suite=write_suite,
        cli=run_cli,
        command=command,
        environment=environment,
        comparable=comparable,
    )
