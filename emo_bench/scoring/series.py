"""Per-frame traces for plots: how the mouth, the head and the voice went, taken from features that exist anyway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import Outcome
from emo_bench.extract.feature_store import FeatureResult
from emo_bench.scoring.rows import FeatureReader
from emo_core.atomic import atomic_path

SERIES_FILE = "series.parquet"
Place = tuple[str, str, int | None]


def known_series(context: RunContext) -> dict[str, Place]:
    """Traces whose extractor takes part in this run: name -> (extractor, array, column)."""
    from emo_metrics.registered import SERIES

    found: dict[str, Place] = {}
    for key, place in SERIES:
        if place[0] in context.loader.extractor_kinds:
            found.setdefault(key, place)
    return found


def known_lag_curves(context: RunContext) -> dict[str, tuple[str, str]]:
    """Curves over lags whose extractor takes part in this run: name -> (extractor, array of distances)."""
    from emo_metrics.registered import LAG_CURVES

    return {key: place for key, place in LAG_CURVES.items() if place[0] in context.loader.extractor_kinds}


def agreement_over_offsets(distances: NDArray[np.generic]) -> NDArray[np.float64]:
    """How much better mouth and audio agree at each offset than usual; the peak lies at the protocol's ``offset``.

    Args:
        distances: ``[windows, lags]`` of mouth window i to audio window i + lag, lags from -L to L, NaN where unknown.

    Returns:
        ``float64 [lags]`` for offsets from -L to L, positive when the audio is early: the median over all lags minus
        the mean distance at each.

    >>> late = np.full((50, 7), 10.0); late[:, 5] = 4.0   # the sound of two windows later fits: it is late
    >>> agreement_over_offsets(late).tolist()
    [0.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    values = np.asarray(distances, dtype=np.float64)
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    curve = np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return np.asarray(np.nanmedian(curve) - curve if counts.any() else curve, dtype=np.float64)[::-1]


def write_series(context: RunContext, outcomes: Sequence[Outcome], folder: Path) -> Path | None:
    """Writes ``series.parquet`` for the clips that the report shows; nothing when no extractor gives traces.

    Columns: system, clip, seed, name, fps, values (list of float, NaN where unknown).
    """
    places, curves = known_series(context), known_lag_curves(context)
    if not places and not curves:
        return None
    import pandas as pd

    rows = list(_rows(context, outcomes, places, curves))
    path = folder / SERIES_FILE
    with atomic_path(path) as temporary:
        pd.DataFrame(rows, columns=["system", "clip", "seed", "name", "fps", "values"]).to_parquet(
            temporary, index=False
        )
    return path


def _rows(
    context: RunContext,
    outcomes: Sequence[Outcome],
    places: Mapping[str, Place],
    curves: Mapping[str, tuple[str, str]],
) -> Iterator[dict[str, object]]:
    reader = FeatureReader(context, outcomes)
    needed = sorted({place[0] for place in places.values()} | {place[0] for place in curves.values()})
    shown = set(sorted(context.entries)[: context.config.report.max_preview_clips])
    for outcome in outcomes:
        unit = outcome.unit
        if unit.clip not in shown or unit.seed != context.config.seeds[0] or outcome.clip is None:
            continue
        results = reader.results(unit, needed)
        common = {"system": unit.system, "clip": unit.clip, "seed": unit.seed, "fps": float(context.config.media.rate)}
        for name, (extractor, array, column) in places.items():
            values = _array(results[extractor], array)
            if values is not None:
                numbers = np.asarray(values if column is None else values[:, column], dtype=np.float64)
                yield {**common, "name": name, "values": numbers.tolist()}
        for name, (extractor, array) in curves.items():
            distances = _array(results[extractor], array)
            if distances is not None and distances.ndim == 2 and len(distances):
                yield {**common, "name": name, "values": agreement_over_offsets(distances).tolist()}


def _array(result: FeatureResult, name: str) -> NDArray[np.generic] | None:
    return result.arrays.get(name) if result.status == "ok" else None
