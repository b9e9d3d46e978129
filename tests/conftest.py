"""Small real clips, manifests and suites made on the fly, and the command line in its own process; for all tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# Several workers with several threads each wait for one another; must be said before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# ``fake_device`` is for all tests; they are collected by file, not as packages.
sys.path.insert(0, str(Path(__file__).parent))

# Programs that measure or write fixtures; importing them as tests would run them.
collect_ignore_glob = ["*/measure.py", "*/bench_*.py", "*/commit_hashes.py", "*/frames_probe.py"]

# A gate must give the same answer twice: continuous integration draws the same examples, other runs explore new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same" if os.environ.get("CI") else "explore")

REPOSITORY = Path(__file__).resolve().parents[1]
WEIGHTLESS = ("psnr/rgb@1", "ssim/gauss11@1", "flicker/luma@1")
"""Protocols that need no weights."""


def talking_frames(*, n_frames: int, size: tuple[int, int] = (64, 48), person: int = 0) -> np.ndarray:
    """A head-like oval with a mouth that opens and closes, on a plain ground; ``person`` sets its colours.

    Returns:
        ``uint8 RGB [n_frames, height, width, 3]``.
    """
    width, height = size
    rng = np.random.default_rng(1000 + person)
    ground, skin = rng.integers(40, 120, 3), rng.integers(130, 240, 3)
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    frames = np.empty((n_frames, height, width, 3), np.uint8)
    for index in range(n_frames):
        sway = 0.06 * np.sin(index / 3 + person)
        opening = 0.02 + 0.08 * abs(np.sin(index * 0.9 + person))
        frames[index] = ground
        frames[index][((x - 0.5 - sway) / 0.32) ** 2 + ((y - 0.5) / 0.42) ** 2 < 1] = skin
        frames[index][((x - 0.5 - sway) / 0.12) ** 2 + ((y - 0.7) / opening) ** 2 < 1] = (120, 20, 30)
    return frames


def speech(*, seconds: float, person: int = 0, rate: int = 16000) -> np.ndarray:
    """A tone whose loudness goes up and down, another for each person; ``float32 [n]``."""
    time = np.arange(round(seconds * rate)) / rate
    voice = np.sin(2 * np.pi * (150 + 40 * person) * time) * (0.3 + 0.2 * np.sin(2 * np.pi * 3 * time + person))
    return voice.astype(np.float32)


def write_talking(
    path: Path,
    *,
    seconds: float = 0.4,
    person: int = 0,
    size: tuple[int, int] = (64, 48),
    fps: int = 25,
    audio_seconds: float | None = None,
    silent: bool = False,
) -> Path:
    """Writes a lossless clip (Matroska) of ``talking_frames`` and ``speech``."""
    from emo_bench.media.lossless import write_clip
    from emo_bench.media.types import Audio

    frames = talking_frames(n_frames=round(seconds * fps), size=size, person=person)
    length = seconds if audio_seconds is None else audio_seconds
    audio = None if silent else Audio(speech(seconds=length, person=person), 16000)
    write_clip(path, [frames], audio, fps=Fraction(fps))
    return path


def write_tiny_set(
    folder: Path, *, n_clips: int = 3, seconds: float = 0.4, size: tuple[int, int] = (64, 48), **entry: Any
) -> Path:
    """A folder of ``n_clips`` clips of different people with a manifest; returns the manifest."""
    from emo_bench.data.manifest import ManifestEntry, file_hashes, write_manifest

    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for person in range(n_clips):
        name = f"clip-{person:02d}"
        write_talking(folder / f"{name}.mkv", seconds=seconds, person=person, size=size)
        values = {"id": name, "video": f"{name}.mkv", "identity": f"person-{person}", "reference_frame": 2, **entry}
        entries.append(ManifestEntry(**values, sha256=file_hashes(folder, video=f"{name}.mkv")))
    write_manifest(folder / "manifest.jsonl", entries)
    return folder / "manifest.jsonl"


def write_wild_lines(folder: Path, *, n_clips: int = 3, first: int = 10, seconds: float = 0.4) -> list[Any]:
    """Portraits and audio files of ``n_clips`` people, and their lines of a manifest in the same folder."""
    import wave

    from PIL import Image

    from emo_bench.data.manifest import ManifestEntry, file_hashes

    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for person in range(first, first + n_clips):
        name = f"wild-{person:02d}"
        files = {"portrait": f"{name}.png", "audio": f"{name}.wav"}
        Image.fromarray(talking_frames(n_frames=1, person=person)[0]).save(folder / files["portrait"])
        with wave.open(str(folder / files["audio"]), "wb") as stream:
            stream.setparams((1, 2, 16000, 0, "NONE", ""))
            stream.writeframes((speech(seconds=seconds, person=person) * 32767).astype("<i2").tobytes())
        meta = {"style": "photo" if person % 2 else "painting"}
        entries.append(
            ManifestEntry(id=name, identity=name, sha256=file_hashes(folder, **files), meta=meta, **files)  # type: ignore[arg-type]
        )
    return entries


def suite_values(manifest: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """A suite with all anchors over metrics without weights; everything it writes lies below ``folder``."""
    values: dict[str, Any] = {
        "name": "tiny",
        "dataset": {"kind": "manifest", "manifest": str(manifest)},
        "metrics": list(WEIGHTLESS),
        "statistics": {"resamples": 100},
        "execution": {"workers": 1},
        "report": {"previews": False},
        "output": str(folder / "run"),
        "store": str(folder / "store"),
    }
    return {**values, **changes}


def write_suite(manifest: Path, folder: Path, **changes: Any) -> Path:
    """``suite_values`` as a file; JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "suite.yaml"
    path.write_text(json.dumps(suite_values(manifest, folder, **changes), indent=2), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of commands: this checkout, no user's weights, few threads, no colours forced."""
    paths = [str(REPOSITORY), str(REPOSITORY / "models"), str(REPOSITORY / "metrics")]
    added = dict(extra or {})
    added["PYTHONPATH"] = os.pathsep.join([part for part in (added.get("PYTHONPATH"), *paths) if part])
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"EMO_BENCH_WEIGHTS", "FORCE_COLOR", "COLUMNS", "PYTHONDONTWRITEBYTECODE"}
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
    """The makers of this file, for tests (which cannot import a conftest)."""

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
