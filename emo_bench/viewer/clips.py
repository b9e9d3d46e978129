"""The clips of a run as the browser page shows them: worst first, with curves, and as videos that browsers play."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo_bench.compare.runs import cost_by_clip
from emo_bench.media.types import Audio, Video
from emo_bench.record.columns import clip_columns, ordered_systems
from emo_bench.record.limits import MAX_TEXT_BYTES, read_bytes
from emo_bench.record.run_data import RunData
from emo_bench.record.unit_times import JOURNAL_FILE
from emo_bench.report.speed import frame_rate
from emo_bench.systems.clip_store import ClipStore, DamagedClipError, StoredClip
from emo_core.text import format_number

CRF = 10
"""Quality of the videos for the browser: differences to the stored pixels cannot be seen."""
KEPT_VIDEOS = 200


class ReadingStore(ClipStore):
    """A clip store that is only read: what is damaged is told and stays where it is."""

    def remove(self, key: str) -> None:
        """Removes nothing."""

    def _discarded(self, clip: StoredClip, file: Path, *, expected: str, found: str) -> DamagedClipError:
        del clip
        return DamagedClipError(f"the stored clip {file.name} is damaged", expected=expected, found=found)


def clip_keys(folder: Path) -> dict[tuple[str, str, int], str]:
    """(system, clip, seed) -> key in the store, from the run's journal; the last line of each counts.

    A unit that failed last has no key, whatever an earlier run in the same folder had made of it.
    """
    found: dict[tuple[str, str, int], str] = {}
    try:
        lines = read_bytes(folder / JOURNAL_FILE, MAX_TEXT_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            entry = json.loads(line)
            place = (str(entry["system"]), str(entry["clip"]), int(entry["seed"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
        found.pop(place, None)
        if isinstance(entry.get("clip_key"), str):
            found[place] = entry["clip_key"]
    return found


def was_made(run: RunData, system: str, clip: str, seed: int) -> bool:
    """Whether the run made this clip, or found it made; the journal does not name what was never begun."""
    failed = (f for f in run.record.failures if not f.part and f.stage in ("prepare", "generate"))
    return (system, clip, seed) not in ((f.system, f.clip, f.seed) for f in failed)


def browser_data(run: RunData) -> dict[str, Any]:
    """Systems, values and clips of a run as plain values; clips carry their cost under each value for sorting."""
    record = run.record
    systems = [{"name": s.name, "anchor": s.anchor} for s in ordered_systems(record)]
    tested = [s.name for s in record.systems if not s.anchor]
    tested = tested or [s.name for s in record.systems if s.kind != "ground_truth"]
    values, costs = [], []
    for column in clip_columns(record):
        by_system = {name: cost_by_clip(run, name, column) for name in tested}
        worst: dict[str, float] = {}
        for found in by_system.values():
            for clip, cost in found.items():
                worst[clip] = max(worst.get(clip, -math.inf), cost)
        if worst:
            values.append({"label": column.value.label, "protocol": column.protocol.name, "arrow": column.arrow})
            costs.append((column, worst))
    clips = [
        {
            "name": clip.id,
            "identity": clip.identity,
            "costs": [worst.get(clip.id) for _, worst in costs],
            "texts": [
                {
                    s["name"]: format_number(means[clip.id], column.value.decimals)
                    for s in systems
                    if clip.id in (means := run.clip_means(str(s["name"]), column.protocol.name, column.value.key))
                }
                for column, _ in costs
            ],
        }
        for clip in record.clips
    ]
    seeds = record.config.get("seeds", [0])
    return {
        "systems": systems,
        "values": values,
        "clips": clips,
        "seed": seeds[0] if seeds else 0,
        "fps": float(frame_rate(record)),
    }


def curves(run: RunData, clip: str, seed: int) -> list[dict[str, Any]]:
    """All traces over the frames of one clip: name, unit-free values of every system; gaps are None."""
    found: dict[str, dict[str, Any]] = {}
    for item in run.series:
        if item.clip != clip or item.seed != seed or item.name.startswith("lag:"):
            continue
        curve = found.setdefault(item.name, {"name": item.name, "fps": item.fps, "systems": {}})
        curve["systems"][item.system] = [round(v, 5) if math.isfinite(v) else None for v in item.values]
    return [found[name] for name in sorted(found, key=_curve_order)]


def lag_curves(run: RunData, clip: str, seed: int) -> list[dict[str, Any]]:
    """Agreement of mouth and sound over their offset, of one clip."""
    found: dict[str, dict[str, Any]] = {}
    for item in run.series:
        if item.clip == clip and item.seed == seed and item.name.startswith("lag:"):
            curve = found.setdefault(item.name, {"name": item.name, "fps": item.fps, "systems": {}})
            curve["systems"][item.system] = [round(v, 5) if math.isfinite(v) else None for v in item.values]
    return list(found.values())


def _curve_order(name: str) -> tuple[int, str]:
    """Mouth first, then sync, then identity, then the rest."""
    for place, part in enumerate(("mouth", "loud", "sync", "identity", "f-sim", "similarity")):
        if part in name:
            return place, name
    return 99, name


class VideoCache:
    """Clips of a store as MP4, made when they are first looked at and gone when the viewer ends.

    Args:
        folder: A temporary folder of the viewer's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._working = threading.Semaphore(1)
        """One encode at a time: a running suite needs the processors more."""

    def video(self, store: ReadingStore, key: str) -> Path | None:
        """The clip as MP4 at its full size; None when the store does not hold it.

        Raises:
            ClipError: when the stored clip is damaged.
        """
        from emo_bench.media.preview import write_preview

        try:
            stored = store.get(key)
        except ValueError:
            return None
        if stored is None:
            return None
        target = self._folder / f"{stored.sidecar.video_sha256[:24]}-{stored.sidecar.audio_sha256[:24]}.mp4"
        with self._lock:
            lock = self._locks.setdefault(target.name, threading.Lock())
        with lock:
            if not target.is_file():
                with self._working:
                    opened: tuple[Video, Audio] = store.open(stored)
                    write_preview(target, opened[0], opened[1], crf=CRF)
                self._let_go()
        return target

    def _let_go(self) -> None:
        """Deletes the oldest videos beyond what is kept."""
        videos = sorted(self._folder.glob("*.mp4"), key=lambda path: path.stat().st_mtime)
        for path in videos[:-KEPT_VIDEOS]:
            path.unlink(missing_ok=True)


def reason_of(run: RunData) -> Mapping[tuple[str, str], str]:
    """(system, clip) -> why there is no video."""
    return {(f.system, f.clip): f"{f.code}: {f.reason}" for f in run.record.failures if not f.part}
