"""The parts of ``python -m benchmarks``: each measures one thing in an empty folder and returns rows of the table."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from emo_bench.media.starting import server_pids

N_CLIPS, SECONDS, SIDE = 2, 3.6, 256
# Just above the size from which files are read where they lie.
FPS = Fraction(25)
PROTOCOLS = (
    "fid/synth@1", "fvd/synth@1", "sync/synth@1", "f-sim/synth@1", "e-fid/synth@1", "head-velocity/synth@1",
    "mouth-truth/synth@1", "psnr/rgb@1", "ssim/gauss11@1",
)  # fmt: skip
"""Those of the quickstart: their networks ship."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        part: Which part measured it.
        what: What was measured.
        value: A number, or a fact in words.
        unit: Of the number.
    """

    part: str
    what: str
    value: float | str
    unit: str = ""

    @property
    def shown(self) -> str:
        """The value as text."""
        return self.value if isinstance(self.value, str) else f"{self.value:.3g}"


def processor_seconds() -> float:
    """Of this process, of its children that have ended, and of what decodes for it."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(_used_by, server_pids()))


def _used_by(pid: int) -> float:
    """Processor seconds of a running process and of its children that have ended (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def timed(action: Callable[[], object]) -> float:
    """Processor seconds of an action."""
    began = processor_seconds()
    action()
    return processor_seconds() - began


def machine() -> list[Row]:
    """What the numbers depend on."""
    import av
    import torch

    model = next(
        (line.split(":", 1)[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor() or "unknown",
    )
    return [
        Row("machine", "processor", f"{model}, {os.cpu_count()} cores"),
        Row("machine", "load while it began", float(os.getloadavg()[0]), "processes"),
        Row(
            "machine",
            "software",
            f"Python {platform.python_version()}, torch {torch.__version__}, PyAV {av.__version__}",
        ),
        Row("machine", "threads of torch", float(torch.get_num_threads())),
    ]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


# ------------------------------------------------------------------------------------------------------------- start-up


def startup(folder: Path) -> list[Row]:
    """Processor time of the smallest commands, the best of three."""
    (folder / "suite.yaml").write_text(
        "name: a\ndataset: {kind: hdtf-synth, slice: mini}\nmetrics: [psnr/rgb@1]\n", encoding="utf-8"
    )
    commands = {
        "start of Python": ["-c", "pass"],
        "--help": ["-m", "emo_bench.cli.main", "--help"],
        "validate": ["-m", "emo_bench.cli.main", "validate", str(folder / "suite.yaml")],
    }

    def run(arguments: list[str]) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    best = {name: min(timed(lambda a=a: run(a)) for _ in range(3)) for name, a in commands.items()}
    rows = [Row("start-up", name, value, "processor s") for name, value in best.items()]
    return [*rows, Row("start-up", "validate / start of Python", best["validate"] / best["start of Python"])]


# ---------------------------------------------------------------------------------------------------------------- store


def moving_frames(*, n_frames: int, side: int, seed: int) -> np.ndarray:
    """A textured picture that sways, with sensor noise: ``uint8 [T, side, side, 3]``."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(40, 216, (side // 8, side // 8, 3), dtype=np.uint8))
    texture = np.asarray(small.resize((side + 32, side + 32), Image.Resampling.BICUBIC), np.int16)
    frames = np.empty((n_frames, side, side, 3), np.uint8)
    for index in range(n_frames):
        x, y = (round(16 + 15 * float(f(index / 7 + seed))) for f in (np.sin, np.cos))
        noise = rng.integers(-2, 3, (side, side, 3), dtype=np.int16)
        frames[index] = np.clip(texture[y : y + side, x : x + side] + noise, 0, 255)
    return frames


def write_films(folder: Path, *, n_clips: int, seconds: float, side: int, crf: int) -> None:
    """H.264 videos with a tone, and a manifest beside them."""
    from emo_bench.data.manifest import ManifestEntry, file_hashes, write_manifest
    from emo_bench.media.preview import write_preview
    from emo_bench.media.types import Audio, video_from_array

    entries = []
    for index in range(n_clips):
        name = f"clip-{index:04d}"
        frames = moving_frames(n_frames=round(seconds * FPS), side=side, seed=index)
        time_axis = np.arange(round(seconds * 16000)) / 16000
        tone = (0.3 * np.sin(2 * np.pi * (150 + 10 * index) * time_axis)).astype(np.float32)
        write_preview(folder / f"{name}.mp4", video_from_array(frames, fps=FPS), Audio(tone, 16000), crf=crf)
        hashes = file_hashes(folder, video=f"{name}.mp4")
        entries.append(ManifestEntry(id=name, video=f"{name}.mp4", identity=name, sha256=hashes))
    write_manifest(folder / "manifest.jsonl", entries)


def suite_of(folder: Path, **changes: Any) -> Any:
    """A suite of the films in ``folder/truth`` that writes below ``folder``."""
    from emo_bench.runner.suite import suite_from_values

    values = {
        "name": "benchmark",
        "dataset": {"kind": "manifest", "manifest": str(folder / "truth/manifest.jsonl")},
        "metrics": ["flicker/luma@1"],
        "statistics": {"resamples": 100},
        "execution": {"workers": 1},
        "report": {"previews": False},
        "output": str(folder / "run"),
        "store": str(folder / "store"),
    }
    return suite_from_values({**values, **changes}, base=folder)


def store(folder: Path) -> list[Row]:
    """Bytes of finished videos scored beside the anchors, and what reading them costs."""
    from emo_bench.data.manifest import read_manifest
    from emo_bench.engine.context import RunContext
    from emo_bench.engine.plan import truth_units
    from emo_bench.media.lossless import open_clip, write_clip
    from emo_bench.runner.run import run_suite, spec_of
    from emo_bench.systems.clip_store import ClipStore
    from emo_bench.systems.store_care import contents, folder_bytes

    write_films(folder / "truth", n_clips=N_CLIPS, seconds=SECONDS, side=SIDE, crf=18)
    write_films(folder / "made", n_clips=N_CLIPS, seconds=SECONDS, side=SIDE, crf=26)
    suite = suite_of(folder, systems=[{"name": "made", "kind": "videos", "folder": str(folder / "made")}])
    run_suite(suite)
    use = contents(ClipStore(folder / "store")).by_system()
    rows = [Row("store", f"{name}: a clip", entry.bytes / entry.clips / 1000, "kB") for name, entry in use.items()]
    taken = sum(entry.bytes for entry in use.values())
    films = folder_bytes(folder / "truth") + folder_bytes(folder / "made")
    context = RunContext(spec_of(suite, read_manifest(folder / "truth/manifest.jsonl")))
    clip = context.stored_truth(truth_units(context)[0].clip)
    if clip is None:
        raise RuntimeError("no ground truth was prepared")
    video = context.clips.open(clip)[0]
    copy = write_clip(folder / "copy.mkv", video, None, fps=FPS)
    by_recipe = timed(lambda: drained(context.clips.open(clip)[0].open()))
    by_copy = timed(lambda: drained(open_clip(copy.path).video.open()))
    n_units = sum(entry.clips for entry in use.values())
    return [
        *rows,
        Row("store", "files that were scored", films / 1e6, "MB"),
        Row("store", "store without features", taken / 1e6, "MB"),
        Row("store", "store / files scored", taken / films),
        Row("store", "store / one lossless copy a clip", taken / (copy.n_bytes * n_units)),
        Row("store", "reading by recipe", 1000 * by_recipe / video.spec.n_frames, "processor ms a frame"),
        Row("store", "reading a lossless copy", 1000 * by_copy / video.spec.n_frames, "processor ms a frame"),
        Row("store", "reading by recipe / reading a copy", by_recipe / by_copy),
    ]


def drained(pieces: Iterator[object]) -> None:
    """Reads to the end."""
    for _ in pieces:
        pass


# -------------------------------------------------------------------------------------------------------------- scoring


def _synth_context(folder: Path) -> Any:
    from emo_bench.data.sets.kind import open_dataset
    from emo_bench.engine.context import RunContext
    from emo_bench.engine.plan import truth_units
    from emo_bench.engine.units import work
    from emo_bench.runner.run import spec_of
    from emo_bench.runner.suite import suite_from_values

    values = {
        "name": "scoring",
        "dataset": {"kind": "hdtf-synth", "slice": "mini"},
        "metrics": list(PROTOCOLS),
        "store": str(folder / "store"),
        "output": str(folder / "run"),
    }
    suite = suite_from_values(values, base=Path())
    context = RunContext(spec_of(suite, open_dataset(suite.config, suite.base).manifest))
    outcome = work(context, truth_units(context)[0])  # loads the networks and prepares one clip
    if outcome.code != "ok":
        raise RuntimeError(outcome.reason)
    return context


def scoring(folder: Path) -> list[Row]:
    """Processor time of each extractor and protocol for one clip of HDTF-Synth; networks are loaded before."""
    from emo_bench.engine.units import portrait
    from emo_bench.extract.catalogue import needed_extractors
    from emo_bench.extract.single_pass import extract_clip
    from emo_metrics.contract import ClipInputs

    context = _synth_context(folder)
    clip = sorted(context.entries)[0]
    stored = context.stored_truth(clip)
    video, audio = context.clips.open(stored)
    spec = video.spec
    inputs = ClipInputs(
        clip_id=clip, fps=spec.fps, n_frames=spec.n_frames, height=spec.height, width=spec.width,
        reference_image=portrait(context, clip, stored.sidecar, video), audio=audio.samples, audio_rate=audio.rate,
    )  # fmt: skip
    known: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for name in context.loader.extractor_kinds:
        extractor = context.loader.extractor(name)
        began = processor_seconds()
        known |= extract_clip(video=video, truth=video, inputs=inputs, extractors=[extractor], known=known)
        seconds[name] = processor_seconds() - began
    reading = timed(lambda: drained(video.open()))
    rows = [Row("scoring", "clip", f"{clip}, {spec.n_frames} frames of {spec.width}x{spec.height}")]
    rows += [Row("scoring", "reading the clip", reading, "processor s a clip")]
    rows += [Row("scoring", name, value, "processor s a clip") for name, value in seconds.items()]
    for name, metric in context.loader.protocols.items():
        total = sum(seconds[need] for need in needed_extractors([metric]))
        rows.append(Row("scoring", name, total, "processor s a clip"))
    return rows


# ------------------------------------------------------------------------------------------------------------ EMO, Ray


def emo(folder: Path) -> list[Row]:
    """Processor seconds of the shipped EMO for a second of video."""
    from emo_bench.engine.units import portrait
    from emo_bench.systems.emo import weights_folder
    from emo_models.emo.pipeline import EMOPipeline

    context = _synth_context(folder)
    clip = sorted(context.entries)[0]
    stored = context.stored_truth(clip)
    video, audio = context.clips.open(stored)
    pipeline = EMOPipeline.from_pretrained(weights_folder("emo-synth", Path()))
    image, count = portrait(context, clip, stored.sidecar, video), 0

    def make() -> None:
        nonlocal count
        count = sum(len(piece) for piece in pipeline.animate(image, audio.samples[:16000], audio.rate, seed=0))

    return [Row("emo", "emo-synth, recommended sampling", timed(make) / count * pipeline.fps, "processor s a second")]


def ray(folder: Path) -> list[Row]:
    """Wall time with one and two Ray workers, the numbers compared bit for bit."""
    from emo_bench.runner.run import run_suite

    write_films(folder / "truth", n_clips=8, seconds=SECONDS, side=SIDE, crf=18)
    seconds, values = {}, {}
    for workers in (1, 2):
        execution = {"engine": "ray", "workers": workers}
        place = {"store": str(folder / f"store{workers}"), "output": str(folder / f"run{workers}")}
        began = time.perf_counter()
        values[workers] = run_suite(suite_of(folder, execution=execution, metrics=["ssim/gauss11@1"], **place)).values
        seconds[workers] = time.perf_counter() - began
    if values[1] != values[2]:
        raise RuntimeError("two workers gave other numbers than one")
    return [
        *(Row("ray", f"{workers} workers", value, "s by the clock") for workers, value in seconds.items()),
        Row("ray", "one worker / two workers", seconds[1] / seconds[2]),
    ]
