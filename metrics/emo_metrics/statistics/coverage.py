"""How much of what was asked for has a value, and what the missing part could change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Coverage of a mean over clips.

    Attributes:
        requested: Clips that were asked for.
        scored: Clips with a value.
        missing: Ids without one, sorted.
        share: ``scored / requested``.
        mean: Mean of the scored clips, None when there is none.
        mean_if_worst: Mean when every missing clip had the worst value, None without a range.
        mean_if_best: Mean when every missing clip had the best value, None without a range.
    """

    requested: int
    scored: int
    missing: tuple[str, ...]
    share: float
    mean: float | None
    mean_if_worst: float | None
    mean_if_best: float | None


def coverage_of(
    values: Mapping[str, float],
    requested: Collection[str],
    *,
    higher_is_better: bool,
    value_range: tuple[float, float] | None = None,
) -> Coverage:
    """Coverage, and bounds of the mean over everything that was requested.

    Args:
        values: Clip id -> value, for the clips that have one.
        requested: All clip ids; values of other clips are left out.
        higher_is_better: Direction of the value.
        value_range: Lowest and highest possible value; None takes the extremes of the scored clips.

    >>> cover = coverage_of({"a": 1.0, "b": 3.0}, ["a", "b", "c"], higher_is_better=True)
    >>> cover.share < 0.67, cover.mean, cover.mean_if_worst
    (True, 2.0, 1.6666666666666667)
    """
    wanted = sorted(set(requested))
    present = np.array([values[clip] for clip in wanted if clip in values], dtype=np.float64)
    missing = tuple(clip for clip in wanted if clip not in values)
    mean = float(present.mean()) if len(present) else None
    worst, best = _filled(present, len(missing), value_range, higher_is_better=higher_is_better)
    return Coverage(
        requested=len(wanted),
        scored=len(present),
        missing=missing,
        share=len(present) / len(wanted) if wanted else 0.0,
        mean=mean,
        mean_if_worst=worst,
        mean_if_best=best,
    )


def _filled(
    present: np.ndarray[tuple[int], np.dtype[np.float64]],
    missing: int,
    value_range: tuple[float, float] | None,
    *,
    higher_is_better: bool,
) -> tuple[float | None, float | None]:
    if value_range is None and not len(present):
        return None, None
    low, high = value_range if value_range is not None else (float(present.min()), float(present.max()))
    count = len(present) + missing
    if count == 0:
        return None, None
    lowest, highest = (float((present.sum() + missing * end) / count) for end in (low, high))
    return (lowest, highest) if higher_is_better else (highest, lowest)
