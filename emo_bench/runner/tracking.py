"""A run as experiment trackers see it: how far it is, and in the end every number of its record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from emo_bench.record.schema import RunRecord
from emo_bench.runner.run import run_folder
from emo_bench.runner.suite import Suite
from emo_bench.trackers.tracker import Mirror, numbers_of
from emo_core.progress import Display
from emo_core.version import __version__


@contextmanager
def mirrored(
    suite: Suite, wanted: Sequence[str], shown: Display
) -> Iterator[tuple[Display, Callable[[RunRecord], None]]]:
    """Mirrors a run for as long as the block lasts.

    Args:
        suite: What is run.
        wanted: ``NAME`` or ``NAME=WHERE`` of each tracker; none does nothing.
        shown: The display.

    Yields:
        The display to run with, and what to call with the record.
    """
    settings = {**numbers_of(suite.config.model_dump(mode="json")), "emo_bench": __version__}
    with Mirror(
        wanted, name=suite.config.name, settings=settings, folder=run_folder(suite), say=shown.say
    ) as mirror:  # fmt: skip
        yield mirror.display(shown), lambda record: track_record(mirror, record)


def track_record(mirror: Mirror, record: RunRecord) -> None:
    """All numbers of a record, each with the ends of its interval; a number that is missing is absent."""
    for entry in record.values:
        if entry.value is None or not math.isfinite(entry.value):
            continue
        values = {entry.key: entry.value}
        if entry.interval is not None:
            values |= {f"{entry.key}-low": entry.interval.low, f"{entry.key}-high": entry.interval.high}
        mirror.scalars(f"{entry.system}/{entry.protocol}", 0, values)
    counts = record.counts
    mirror.scalars("clips", 0, {"planned": counts.planned, "done": counts.done, "failed": counts.failed})
