"""Lip sync on real faces with a network of this project: the protocol ``sync/open@1``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import ClipFeatures, ClipMetric, Family, Granularity, Need, ProtocolSpec, Unscored
from emo_metrics.extractors.open_sync import LEAST_PAIRS, SYNC
from emo_metrics.faces.gaps import FACE
from emo_metrics.metrics.lip_sync import VALUES
from emo_metrics.signals.sync_curve import sync_scores

_VALUES: Final = tuple(
    # A shift of the audio changes the offset and the distance without shift; the best lag repairs the others.
    replace(value, primary=True) if value.key == "lse-d-0" else value
    for value in VALUES
    if value.key != "n-tracks"
)


class SyncOpenProtocol(ClipMetric):
    """LSE-C, LSE-D and offset from distances between unit vectors, over windows in which somebody speaks."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name=SYNC,
        title="Lip sync on an open network for real faces, over speech",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=_VALUES,
        extractors=(SYNC, FACE),
        needs=frozenset({Need.AUDIO}),
        reads_audio_video_sync=True,
        source="docs/protocols/sync-open.md; the measures of arXiv 2008.10010",
        page="sync-open",
        order=20,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The values of one clip.

        Raises:
            Unscored: ``undefined`` when too little is spoken.
        """
        arrays = generated.arrays[SYNC]
        distances, speech = np.asarray(arrays["distances"], dtype=np.float64), np.asarray(arrays["speech"], dtype=bool)
        curve = spoken_curve(distances, speech)
        if not np.isfinite(curve).all():
            raise Unscored(
                "undefined",
                f"somebody speaks in {int(speech.sum())} of {len(speech)} windows of clip {generated.clip_id!r}; "
                f"at least {LEAST_PAIRS} are needed at every lag",
            )
        scores = sync_scores(curve[None])
        return {
            "lse-c": scores.confidence,
            "lse-d": scores.distance,
            "delta-sync": scores.confidence,
            "offset": float(scores.offset),
            "lse-d-0": scores.distance_at_zero,
            "n-windows": float(speech.sum()),
        }


def spoken_curve(distances: NDArray[np.float64], speech: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean distance at each lag over the pairs whose audio is speech: at every lag the same audio, as far as it exists.

    Args:
        distances: ``[w, 2 max_lag + 1]``, NaN beyond the ends.
        speech: ``[w]`` of the audio windows.

    Returns:
        ``[2 max_lag + 1]``; NaN at lags with fewer than 15 pairs.
    """
    windows, lags = distances.shape
    heard = np.arange(windows)[:, None] + np.arange(lags)[None] - lags // 2
    inside = (heard >= 0) & (heard < windows)
    used = inside & speech[np.clip(heard, 0, windows - 1)] & np.isfinite(distances)
    count = used.sum(axis=0)
    total = np.where(used, distances, 0.0).sum(axis=0)
    return np.where(count >= LEAST_PAIRS, total / np.maximum(count, 1), np.nan)
