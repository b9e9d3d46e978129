"""A run of very many tiny clips: does memory stay flat, and does the report still open at once?

    python -m benchmarks clips    # 1,000 clips, about a minute of processor time

The clips share a few files, so that what grows with their number is measured and not the decoding.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.parts import FPS, Row, moving_frames, processor_seconds, suite_of, timed

N_CLIPS, N_FILES = 1000, 10
SIDE, N_FRAMES = 64, 8
STAGES = ("prepare", "generate")
WARM_UP = 0.2
"""Share of a stage after which caches and imports are there and memory should not grow any more."""


class MemoryWatch:
    """A display that shows nothing and notes the resident memory of this process at every step, in MB."""

    def __init__(self) -> None:
        self.resident: dict[str, list[float]] = {}
        self.seconds: dict[str, float] = {}
        self._stage = ""
        self._began = processor_seconds()

    def stage(self, name: str, total: int) -> None:
        """Begins a stage."""
        now = processor_seconds()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._began
        self._stage, self._began = name, now
        self.resident.setdefault(name, []).append(resident_mb())

    def step(self, text: str = "") -> None:
        """Notes the memory."""
        self.resident[self._stage].append(resident_mb())

    def say(self, text: str) -> None:
        """Does nothing."""

    def __enter__(self) -> MemoryWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.stage("end", 0)

    def growth(self, stage: str) -> float:
        """MB gained in a stage after its warm-up: the median of its last tenth less that of the tenth after it."""
        seen = self.resident[stage]
        first, tenth = int(WARM_UP * len(seen)), max(1, len(seen) // 10)
        return _median(seen[-tenth:]) - _median(seen[first : first + tenth])


def _median(numbers: list[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def resident_mb() -> float:
    """Resident memory of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def write_tiny_clips(folder: Path, *, n_clips: int, n_files: int = N_FILES) -> None:
    """A manifest of very many clips of a few small files."""
    from emo_bench.data.manifest import ManifestEntry, file_hashes, write_manifest
    from emo_bench.media.preview import write_preview
    from emo_bench.media.types import video_from_array

    hashes = []
    for index in range(n_files):
        frames = moving_frames(n_frames=N_FRAMES, side=SIDE, seed=index)
        write_preview(folder / f"{index}.mp4", video_from_array(frames, fps=FPS), _tone(index), crf=18)
        hashes.append(file_hashes(folder, video=f"{index}.mp4"))
    entries = [
        ManifestEntry(
            id=f"clip-{n:05d}", video=f"{n % n_files}.mp4", identity=f"person-{n // 4}", sha256=hashes[n % n_files]
        )
        for n in range(n_clips)
    ]
    write_manifest(folder / "manifest.jsonl", entries)


def _tone(index: int) -> Any:
    import numpy as np

    from emo_bench.media.types import Audio

    time_axis = np.arange(round(N_FRAMES / FPS * 16000)) / 16000
    return Audio((0.3 * np.sin(2 * np.pi * (150 + 10 * index) * time_axis)).astype(np.float32), 16000)


def run_many(folder: Path, *, n_clips: int) -> tuple[MemoryWatch, Path]:
    """Runs the suite of tiny clips; the run's folder comes back too."""
    from emo_bench.runner.run import run_suite

    write_tiny_clips(folder / "truth", n_clips=n_clips)
    suite = suite_of(folder, metrics=["psnr/rgb@1", "ssim/gauss11@1", "flicker/luma@1"], report={"previews": True})
    with MemoryWatch() as watch:
        run_suite(suite, display=watch)
    return watch, folder / "run"


def page_seconds(page: Path) -> float | None:
    """Processor seconds that a browser takes to start, load and lay out a page, the best of three."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return None
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.resolve().as_uri()]
    return min(timed(lambda: subprocess.run(command, check=True, capture_output=True, timeout=300)) for _ in range(3))


def many_clips(folder: Path, *, n_clips: int = N_CLIPS) -> list[Row]:
    """Memory, processor time by stage and the report, and what four times the clips cost."""
    run_many(folder / "warm", n_clips=8)  # so that imports do not count in what follows
    few, _ = run_many(folder / "few", n_clips=n_clips // 4)
    watch, run = run_many(folder / "many", n_clips=n_clips)
    page, empty = run / "report" / "report.html", folder / "empty.html"
    empty.write_text("<!doctype html><title>empty</title>", encoding="utf-8")
    n_units = sum(len(watch.resident[stage]) - 1 for stage in STAGES)
    most = max(max(seen) for seen in watch.resident.values())
    rows = [Row("clips", "clips, units", f"{n_clips}, {n_units}")]
    rows += [Row("clips", name, value, "processor s") for name, value in watch.seconds.items() if name]
    rows += [
        Row("clips", "memory gained in generate", watch.growth("generate"), "MB"),
        Row("clips", "most resident memory", most, "MB"),
        Row("clips", "memory gained in generate / most resident", watch.growth("generate") / most),
        *(
            Row("clips", f"four times the clips in {stage} / once", watch.seconds[stage] / few.seconds[stage])
            for stage in ("generate", "score", "report")
        ),
        Row("clips", "report.html", page.stat().st_size / 1e6, "MB"),
    ]
    opening, nothing = page_seconds(page), page_seconds(empty)
    if opening is not None and nothing is not None:
        rows.append(Row("clips", "opening report.html", opening - nothing, "processor s of a browser that runs"))
        rows.append(Row("clips", "opening report.html / an empty page", opening / nothing))
    return rows
