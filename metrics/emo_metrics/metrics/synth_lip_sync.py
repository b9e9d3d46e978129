"""Lip sync of the synth family: the protocol ``sync/synth@1``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np

from emo_metrics.contract import (
    ClipFeatures,
    ClipMetric,
    Family,
    Granularity,
    Need,
    ProtocolSpec,
)
from emo_metrics.extractors.synth_sync import SYNC
from emo_metrics.metrics.lip_sync import VALUES
from emo_metrics.signals.sync_curve import sync_scores

_VALUES: Final = tuple(
    # A shift of the audio changes the offset and the distance without shift; the best lag repairs the others.
    replace(value, primary=True) if value.key == "lse-d-0" else value
    for value in VALUES
    if value.key != "n-tracks"
)


class SyncOnSynth(ClipMetric):
    """LSE-C, LSE-D and offset from distances between unit vectors; only audio that exists is compared.

    The curve over lags, its minimum, its place and its median are those of ``sync/joonson@1``; LSE-D lies in [0, 2].
    """

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name=SYNC,
        title="Lip sync on a small network trained on HDTF-Synth",
        family=Family.SYNTH,
        granularity=Granularity.CLIP,
        values=_VALUES,
        extractors=(SYNC,),
        needs=frozenset({Need.AUDIO}),
        reads_audio_video_sync=True,
        source="docs/protocols/synth.md; the measures of arXiv 2008.10010",
        page="synth",
        order=20,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The values of one clip."""
        distances = np.asarray(generated.arrays[SYNC]["distances"], dtype=np.float64)
        curve = np.nanmean(distances, axis=0)
        scores = sync_scores(curve[None])
        return {
            "lse-c": scores.confidence,
            "lse-d": scores.distance,
            "delta-sync": scores.confidence,
            "offset": float(scores.offset),
            "lse-d-0": scores.distance_at_zero,
            "n-windows": float(len(distances)),
        }
