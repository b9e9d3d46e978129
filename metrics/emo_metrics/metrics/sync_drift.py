"""Whether lip sync gets worse over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from emo_metrics.contract import DRIFT, ClipFeatures, ClipMetric, Family, Granularity, Need, ProtocolSpec, Unscored
from emo_metrics.extractors.open_sync import SYNC
from emo_metrics.faces.gaps import FACE
from emo_metrics.metrics.drift import drift_value, require_length, slope
from emo_metrics.signals.sync_curve import MAX_LAG
from emo_metrics.sync_open.network import CONTEXT


class SyncDrift(ClipMetric):
    """Slope over time of the distance between mouth and audio without a shift, over speech."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="drift-sync/open@1",
        title="Drift of lip sync over time",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(drift_value("sync-slope", "Sync drift", "LSE-D@0 per 10 s"),),
        extractors=(SYNC, FACE),
        needs=frozenset({Need.AUDIO}),
        # A constant shift, or foreign audio, is as wrong at the end as at the beginning.
        blind_to=frozenset({"other_identity", "frozen", "shuffled_audio", "shifted_audio"}),
        source="docs/protocols/drift-open.md",
        page="drift-open",
        group=DRIFT,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The slope of one clip.

        Raises:
            Unscored: ``too_short`` below 4 s; ``undefined`` when somebody speaks in fewer than 25 windows.
        """
        require_length(generated)
        arrays = generated.arrays[SYNC]
        at_zero = np.asarray(arrays["distances"], dtype=np.float64)[:, MAX_LAG]
        speech = np.asarray(arrays["speech"], dtype=bool)
        if speech.sum() < 2 * CONTEXT + 13:
            raise Unscored("undefined", f"somebody speaks in {int(speech.sum())} windows of clip {generated.clip_id!r}")
        return {"sync-slope": slope(np.where(speech, at_zero, np.nan), fps=25.0)}
