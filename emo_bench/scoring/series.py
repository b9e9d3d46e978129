"""Per-frame traces: mouth, head, voice, identity and sync over time, taken from features that exist anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import Outcome
from emo_bench.extract.feature_store import FeatureResult
from emo_bench.scoring.rows import FeatureReader
from emo_core.atomic import atomic_path

SERIES_FILE = "series.parquet"
SYNC_FPS = 25.0
Place = tuple[str, str, int | None]
Arrays = Mapping[str, NDArray[np.generic]]


class FrameCurve(NamedTuple):
    """A curve that is computed from the stored arrays of an extractor.

    Attributes:
        extractor: Its name.
        fps: Values per second.
        compute: Gives the values.
    """

    extractor: str
    fps: float
    compute: Callable[[Arrays], NDArray[np.float64]]


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


def known_frame_curves(context: RunContext) -> dict[str, FrameCurve]:
    """Curves computed from features whose extractor takes part in this run: ``identity`` and ``sync_distance``."""
    from emo_metrics.registered import IDENTITY_SERIES, SYNC_SERIES

    kinds = context.loader.extractor_kinds
    rate = float(context.config.media.rate)
    found = {}
    who = next((name for name in IDENTITY_SERIES if name in kinds), None)
    if who is not None:
        found["identity"] = FrameCurve(who, rate, identity_over_time)
    sync = next(((name, before) for name, before in SYNC_SERIES if name in kinds), None)
    if sync is not None:
        name, before = sync
        found["sync_distance"] = FrameCurve(name, SYNC_FPS, lambda arrays: sync_over_time(arrays, before=before))
    return found


def identity_over_time(arrays: Arrays) -> NDArray[np.float64]:
    """What F-SIM averages: cosine of each frame's identity with the reference image's, times 100.

    Args:
        arrays: ``embedding [n, d]`` and ``reference_embedding [1, d]``, unit rows, NaN without a face.

    Returns:
        ``float64 [n]``, NaN where either face is missing.
    """
    rows = np.asarray(arrays["embedding"], dtype=np.float64)
    return np.asarray(100.0 * rows @ np.asarray(arrays["reference_embedding"], dtype=np.float64)[0])


def sync_over_time(arrays: Arrays, *, before: int) -> NDArray[np.float64]:
    """Distance between mouth and audio without a shift, at the middle of each window; less is better.

    Args:
        arrays: ``distances [windows, lags]`` with lag 0 in the middle; with several tracks also ``track [windows]`` and
            ``track_frames [tracks, 2]``. Where tracks overlap, the first counts. With ``speech [windows]`` only the
            windows in which somebody speaks count, as in the values.
        before: Frames of a window before its middle.

    Returns:
        ``float64 [n]`` at 25 fps up to the last window, NaN where there is no window.

    >>> sync_over_time({"distances": np.array([[9.0, 1.0, 9.0], [9.0, 2.0, 9.0]])}, before=2).tolist()
    [nan, nan, 1.0, 2.0]
    """
    distances = np.asarray(arrays["distances"], dtype=np.float64)
    at = np.arange(len(distances)) + before
    if "track" in arrays:
        track = np.asarray(arrays["track"], dtype=np.int64)
        first = np.searchsorted(track, track)  # windows of a track are neighbours, and tracks are in order
        at = at - first + np.asarray(arrays["track_frames"], dtype=np.int64)[track, 0]
    now = distances[:, distances.shape[1] // 2]
    if "speech" in arrays:
        now = np.where(np.asarray(arrays["speech"], dtype=bool), now, np.nan)
    curve = np.full(int(at.max(initial=-1)) + 1, np.nan)
    curve[at[::-1]] = now[::-1]
    return curve


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
    """Writes ``series.parquet`` for the clips that the report shows, or takes an older one away without any traces.

    Columns: system, clip, seed, name, fps, values (list of float, NaN where unknown).
    """
    places, lags, curves = known_series(context), known_lag_curves(context), known_frame_curves(context)
    path = folder / SERIES_FILE
    if not places and not lags and not curves:
        path.unlink(missing_ok=True)
        return None
    import pandas as pd

    rows = list(_rows(context, outcomes, places, lags, curves))
    with atomic_path(path) as temporary:
        pd.DataFrame(rows, columns=["system", "clip", "seed", "name", "fps", "values"]).to_parquet(
            temporary, index=False
        )
    return path


def _rows(
    context: RunContext,
    outcomes: Sequence[Outcome],
    places: Mapping[str, Place],
    lags: Mapping[str, tuple[str, str]],
    curves: Mapping[str, FrameCurve],
) -> Iterator[dict[str, object]]:
    reader = FeatureReader(context, outcomes)
    needed = sorted({place[0] for found in (places, lags, curves) for place in found.values()})
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
        for name, curve in curves.items():
            result = results[curve.extractor]
            if result.status == "ok":
                yield {**common, "name": name, "fps": curve.fps, "values": curve.compute(result.arrays).tolist()}
        for name, (extractor, array) in lags.items():
            distances = _array(results[extractor], array)
            if distances is not None and distances.ndim == 2 and len(distances):
                yield {**common, "name": name, "values": agreement_over_offsets(distances).tolist()}


def _array(result: FeatureResult, name: str) -> NDArray[np.generic] | None:
    return result.arrays.get(name) if result.status == "ok" else None
