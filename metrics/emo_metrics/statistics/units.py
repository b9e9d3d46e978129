"""Clips grouped into independent units, in an order that depends on names only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Unscored


@dataclass(frozen=True, kw_only=True)
class Units:
    """Rows of numbers grouped by unit.

    Attributes:
        names: Unit names, sorted.
        rows: One ``float64 [clips of the unit, k]`` per unit.
    """

    names: tuple[str, ...]
    rows: tuple[NDArray[np.float64], ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sums(self) -> NDArray[np.float64]:
        """Sum over the clips of each unit, ``float64 [units, k]``."""
        return np.array([rows.sum(axis=0) for rows in self.rows])

    @property
    def counts(self) -> NDArray[np.float64]:
        """Number of clips in each unit, ``float64 [units]``."""
        return np.array([len(rows) for rows in self.rows], dtype=np.float64)

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean over the clips of each unit, ``float64 [units, k]``."""
        return self.sums / self.counts[:, None]


def group_into_units(
    values: Mapping[str, float] | Mapping[str, NDArray[np.float64]],
    clusters: Mapping[str, str] | None,
    *,
    at_least: int = 2,
) -> Units:
    """Groups the values of clips by unit.

    Args:
        values: Clip id -> number, or -> row of k numbers.
        clusters: Clip id -> unit (identity); None makes every clip its own unit.
        at_least: Fewer units than this are refused.

    Raises:
        Unscored: ``too_few`` for fewer units than ``at_least``, ``undefined`` for a value that is not finite.
        KeyError: for a clip without a unit.
    """
    grouped: dict[str, list[NDArray[np.float64]]] = {}
    for clip in sorted(values):
        row = np.atleast_1d(np.asarray(values[clip], dtype=np.float64))
        if not np.isfinite(row).all():
            raise Unscored("undefined", f"the value of {clip} is not finite; leave unscored clips out")
        unit = clip if clusters is None else clusters[clip]
        grouped.setdefault(unit, []).append(row)
    if len(grouped) < at_least:
        raise Unscored("too_few", f"an interval needs at least {at_least} independent units, found {len(grouped)}")
    names = tuple(sorted(grouped))
    return Units(names=names, rows=tuple(np.stack(grouped[name]) for name in names))
