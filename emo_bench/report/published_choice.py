"""Which published tables stand beside a run: those that were asked for, or those on the same data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from emo_bench.record.published import (
    ATLAS,
    PublishedTable,
    atlas_tables,
    find_published,
    load_published,
    published_tables,
)
from emo_bench.record.schema import RunRecord


def chosen_tables(record: RunRecord, wanted: Sequence[str | Path] | None) -> list[PublishedTable]:
    """Tables to show in grey.

    Args:
        record: The run.
        wanted: Paths of files, names of files in ``configs/published``, or ``atlas`` for those of the atlas that are on
            the run's data set; None takes all on the run's data set but those of the atlas.

    Raises:
        ConfigError: when there is no such table, or it has mistakes.
    """
    if wanted is None:
        return [table for table in published_tables().values() if is_on_dataset(record, table)]
    found: list[PublishedTable] = []
    for name in map(str, wanted):
        if name == ATLAS:
            found += [table for table in atlas_tables().values() if is_on_dataset(record, table)]
        else:
            found.append(load_published(Path(name)) if name.endswith((".yaml", ".yml")) else find_published(name))
    return found


def is_on_dataset(record: RunRecord, table: PublishedTable) -> bool:
    """Whether a paper names the run's data set; never for clips that a program made.

    The name that the paper gives must stand in the name of the run's data set as whole words, in any case: ``HDTF``
    is the data set of a run on ``hdtf`` or ``hdtf-512``, not of one on ``HDTF-Synth``.
    """
    if record.synthetic:
        return False
    theirs, ours = _words(table.dataset), _words(record.dataset_name)
    return bool(theirs) and any(
        ours[start : start + len(theirs)] == theirs for start in range(len(ours) - len(theirs) + 1)
    )


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.casefold())
