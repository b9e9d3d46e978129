"""Per-frame traces for plots: how the mouth, the head and the voice went, taken from features that exist anyway."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from emo_bench.core.atomic import atomic_path
from emo_bench.engine.context import RunContext
from emo_bench.engine.units import Outcome
from emo_bench.extract.catalogue import CATALOGUES
from emo_bench.scoring.rows import FeatureReader

SERIES_FILE = "series.parquet"
Place = tuple[str, str, int | None]


def known_series(context: RunContext) -> dict[str, Place]:
    """Traces whose extractor takes part in this run: name -> (extractor, array, column)."""
    found: dict[str, Place] = {}
    for name in CATALOGUES:
        if importlib.util.find_spec(name) is not None:
            series: Mapping[str, Place] = getattr(importlib.import_module(name), "SERIES", {})
            found.update({key: place for key, place in series.items() if place[0] in context.extractor_kinds})
    return found


def write_series(context: RunContext, outcomes: Sequence[Outcome], folder: Path) -> Path | None:
    """Writes ``series.parquet`` for the clips that the report shows; nothing when no extractor gives traces.

    Columns: system, clip, seed, name, fps, values (list of float, NaN where unknown).
    """
    places = known_series(context)
    if not places:
        return None
    import pandas as pd

    rows = list(_rows(context, outcomes, places))
    path = folder / SERIES_FILE
    with atomic_path(path) as temporary:
        pd.DataFrame(rows, columns=["system", "clip", "seed", "name", "fps", "values"]).to_parquet(
            temporary, index=False
        )
    return path


def _rows(context: RunContext, outcomes: Sequence[Outcome], places: Mapping[str, Place]) -> Iterator[dict[str, object]]:
    reader = FeatureReader(context, outcomes)
    shown = set(sorted(context.entries)[: context.config.report.max_preview_clips])
    for outcome in outcomes:
        unit = outcome.unit
        if unit.clip not in shown or unit.seed != context.config.seeds[0] or outcome.clip is None:
            continue
        results = reader.results(unit, sorted({place[0] for place in places.values()}))
        for name, (extractor, array, column) in places.items():
            values = results[extractor].arrays.get(array)
            if results[extractor].status != "ok" or values is None:
                continue
            numbers = np.asarray(values if column is None else values[:, column], dtype=np.float64)
            yield {
                "system": unit.system,
                "clip": unit.clip,
                "seed": unit.seed,
                "name": name,
                "fps": float(context.config.media.rate),
                "values": numbers.tolist(),
            }
