"""What lies in a folder of runs: finished and running ones, read and never written."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo_bench.record.run_data import RunData, load_run
from emo_bench.record.store import RECORD_FILE
from emo_bench.record.unit_times import JOURNAL_FILE, PROGRESS_FILE
from emo_core.errors import RecordError
from emo_core.hashing import digest_of

SKIPPED = frozenset({"store", "previews", "report", "report-common", "figures", "checkpoints"})
MAX_RUNS = 1000
MAX_PIECE = 4 << 20
"""Bytes of a journal that are read at once; the rest follows at the next look."""
QUIET_S = 120
"""A run without news for so long is called quiet: it may have been stopped."""


@dataclass
class JournalCount:
    """How far a journal was read, and what was counted until there."""

    start: int = -1
    position: int = 0
    done: int = 0
    failed: int = 0
    last: str = ""


@dataclass
class FoundRun:
    """A folder with a record or a journal.

    Attributes:
        id: Short name in addresses.
        folder: Where it lies.
        place: The same relative to the folder that is viewed; that folder's name when it is the run itself.
    """

    id: str
    folder: Path
    place: str
    _count: JournalCount = field(default_factory=JournalCount)
    _loaded: tuple[float, RunData] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def finished(self) -> bool:
        """Whether the record lies there, which is written last."""
        return (self.folder / RECORD_FILE).is_file()

    def data(self) -> RunData:
        """The run; read again when its record changed.

        Raises:
            RecordError: when the record cannot be read.
        """
        with self._lock:
            try:
                changed = (self.folder / RECORD_FILE).stat().st_mtime
            except OSError:
                raise RecordError(f"{self.place} has no record", expected="a finished run") from None
            if self._loaded is None or self._loaded[0] != changed:
                self._loaded = (changed, load_run(self.folder))
            return self._loaded[1]

    def progress(self) -> dict[str, Any]:
        """Stage, units done and in total, and for how long nothing happened; reads only what is new in the journal."""
        with self._lock:
            plan = _plan(self.folder / PROGRESS_FILE)
            count = self._counted(int(plan.get("journal_from", 0)))
            quiet = _age(self.folder / JOURNAL_FILE)
        state = "finished" if self.finished else "running" if quiet is not None and quiet < QUIET_S else "quiet"
        return {
            "state": state,
            "stage": str(plan.get("stage", ""))[:80],
            "total": int(plan.get("total", 0)),
            "done": count.done,
            "failed": count.failed,
            "last": count.last,
            "quiet_s": None if quiet is None else round(quiet),
        }

    def _counted(self, start: int) -> JournalCount:
        """Lines of the journal since the stage began."""
        count = self._count
        if count.start != start:
            self._count = count = JournalCount(start=start, position=start)
        try:
            with (self.folder / JOURNAL_FILE).open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < count.position:  # another journal: the folder was made anew
                    self._count = count = JournalCount(start=start, position=start)
                stream.seek(count.position)
                piece = stream.read(MAX_PIECE)
        except OSError:
            return count
        whole, newline, _ = piece.rpartition(b"\n")
        if not newline:
            return count
        count.position += len(whole) + 1
        for line in whole.split(b"\n"):
            try:
                entry = json.loads(line)
                failed, last = entry["code"] != "ok", f"{entry['system']} {entry['clip']}"[:200]
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            count.done, count.failed, count.last = count.done + 1, count.failed + failed, last
        return count


def _plan(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes()[:MAX_PIECE])
    except (OSError, ValueError, RecursionError):
        return {}
    return (
        found if isinstance(found, dict) and all(_is_count(found.get(k, 0)) for k in ("total", "journal_from")) else {}
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 53


def _age(path: Path) -> float | None:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None


class RunFolder:
    """All runs below a folder, looked for anew each time; those that were seen before keep what was read of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._known: dict[str, FoundRun] = {}
        self._lock = threading.Lock()

    def runs(self) -> list[FoundRun]:
        """The runs, newest first; links are not followed."""
        with self._lock:
            found = {}
            for name, folders, files in os.walk(self.folder):
                folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
                if RECORD_FILE in files or JOURNAL_FILE in files:
                    place = Path(name).relative_to(self.folder).as_posix()
                    key = digest_of(place)[:12]
                    shown = place if place != "." else self.folder.name
                    found[key] = self._known.get(key) or FoundRun(key, Path(name), shown)
                    if len(found) >= MAX_RUNS:
                        break
            self._known = found
            return sorted(found.values(), key=lambda run: (-(_newest(run.folder)), run.place))

    def get(self, key: str) -> FoundRun | None:
        """The run of that id."""
        with self._lock:
            known = self._known.get(key)
        return known or next((run for run in self.runs() if run.id == key), None)


def _newest(folder: Path) -> float:
    times = []
    for name in (RECORD_FILE, JOURNAL_FILE):
        try:
            times.append((folder / name).stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)
