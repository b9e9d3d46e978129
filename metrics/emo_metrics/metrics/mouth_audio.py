"""Whether the mouth opens when the voice is loud, and how many frames early or late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    Need,
    ProtocolSpec,
    Unscored,
    ValueSpec,
)
from emo_metrics.extractors.loudness_pitch import AUDIO, loudness_of
from emo_metrics.faces.gaps import FACE, close_gaps, face_arrays, longest_gap
from emo_metrics.faces.landmark_sets import INNER_LOWER_LIP_68, INNER_UPPER_LIP_68
from emo_metrics.metrics.lmd import interocular_distance
from emo_metrics.signals.motion_floors import MOUTH_FLOOR, require_motion
from emo_metrics.signals.time_series import LARGEST_LAG, LEAST_FRAMES, lagged_correlation, without_slow_changes


def mouth_opening(clip: ClipFeatures) -> NDArray[np.float64]:
    """Gap between the inner lips in eye distances, ``float64 [n]``; short gaps closed, longer ones NaN.

    Raises:
        Unscored: ``no_face`` when more than a fifth of the frames has none.
    """
    arrays = face_arrays(clip)
    points = np.asarray(arrays["points68"], dtype=np.float64)
    upper, lower = points[:, list(INNER_UPPER_LIP_68)], points[:, list(INNER_LOWER_LIP_68)]
    gap = np.linalg.norm(upper - lower, axis=2).mean(axis=1)
    scale = interocular_distance(points[np.isfinite(points).all(axis=(1, 2))])
    return close_gaps(gap / scale, longest=longest_gap(clip))


class MouthAudio(ClipMetric):
    """Correlation of the mouth's opening with the loudness of the audio.

    ``mouth-audio`` is the correlation at lag 0 of the signals as they are. The peak and its lag (-10 to +10 frames)
    are looked for after slow changes (over 1 s) are taken out of both, which makes the place of the peak definite. A
    positive lag means that the mouth comes after the audio: the audio is early, the sign that SyncNet's offset has.
    A mouth that moves by less than ``floor`` has no value.
    """

    floor: ClassVar[float] = MOUTH_FLOOR

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="mouth-audio/mediapipe@2",
        title="Mouth opening against loudness",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(key="mouth-audio", label="Mouth-audio r", direction=Direction.CLOSER_TO_GT),
            ValueSpec(
                key="mouth-audio-peak", label="Mouth-audio peak r", direction=Direction.CLOSER_TO_GT, primary=False
            ),
            ValueSpec(
                key="mouth-audio-lag",
                label="Mouth lag",
                direction=Direction.CLOSER_TO_GT,
                unit="frames, + mouth late",
                decimals=1,
                primary=False,
            ),
        ),
        extractors=(FACE, AUDIO),
        needs=frozenset({Need.AUDIO}),
        reads_audio_video_sync=True,
        source="docs/protocols/mouth-audio-mediapipe.md",
        page="mouth-audio-mediapipe",
        order=64,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """Correlation at lag 0; the largest one without slow changes, and its lag (the smaller when two are equal).

        Raises:
            Unscored: ``no_face``, ``no_audio``; ``too_short`` below 45 frames; ``undefined`` when the mouth moves by
                less than its floor or the loudness never changes.
        """
        if generated.n_frames < LEAST_FRAMES + 2 * LARGEST_LAG:
            raise Unscored(
                "too_short",
                f"clip {generated.clip_id!r} has {generated.n_frames} frames; at least "
                f"{LEAST_FRAMES + 2 * LARGEST_LAG} are needed",
            )
        mouth, loudness, fps = mouth_opening(generated), loudness_of(generated), float(generated.fps)
        require_motion(mouth, fps=fps, floor=self.floor, clip_id=generated.clip_id, what="mouth", unit="eye distances")
        at_zero = float(lagged_correlation(mouth, loudness, largest_lag=0)[0])
        curve = lagged_correlation(without_slow_changes(mouth, fps=fps), without_slow_changes(loudness, fps=fps))
        if not (np.isfinite(at_zero) and np.isfinite(curve).any()):
            raise Unscored("undefined", f"the mouth or the loudness of clip {generated.clip_id!r} never changes")
        lags = np.arange(-LARGEST_LAG, LARGEST_LAG + 1)
        peak = int(lags[np.lexsort((np.abs(lags), -np.nan_to_num(curve, nan=-2.0)))[0]])
        return {
            "mouth-audio": at_zero,
            "mouth-audio-peak": float(curve[LARGEST_LAG + peak]),
            "mouth-audio-lag": float(peak),
        }
