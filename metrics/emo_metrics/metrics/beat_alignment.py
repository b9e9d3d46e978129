"""Beat alignment: whether the head's movement comes to rest where the voice sets in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

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
from emo_metrics.faces.gaps import FACE
from emo_metrics.metrics.head_motion import head_turn, rotation_steps
from emo_metrics.signals.motion_floors import HEAD_FLOOR, require_motion
from emo_metrics.signals.time_series import smoothed

SIGMA_SECONDS: Final = 0.12
"""Three frames at 25 frames a second."""
SMOOTHING_SECONDS: Final = 0.08
"""Deviation of the Gaussian that both signals are smoothed with."""
LEAST_SECONDS: Final = 2.0


def local_minima(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places lower than the one before and not higher than the one after, at least 0.05 deviations below both sides.

    The depth is measured down from the highest value between a minimum and its neighbouring minima.

    >>> local_minima(np.array([3.0, 1.0, 3.0, 2.0, 0.0, 4.0])).tolist()
    [1, 4]
    """
    inner = np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:])) + 1
    if len(inner) == 0:
        return np.zeros(0, dtype=np.int64)
    depth = 0.05 * float(np.nanstd(values))
    bounds = np.concatenate([[0], inner, [len(values) - 1]])
    kept = [
        place
        for before, place, after in zip(bounds[:-2], inner, bounds[2:], strict=True)
        if min(np.nanmax(values[before : place + 1]), np.nanmax(values[place : after + 1])) - values[place] >= depth
    ]
    return np.array(kept, dtype=np.int64)


def alignment(beats: NDArray[np.floating], targets: NDArray[np.floating], *, sigma: float) -> float:
    """Mean over ``beats`` of ``exp(-d^2 / (2 sigma^2))`` with d the distance to the nearest of ``targets``.

    Args:
        beats: Times, at least one.
        targets: Times in the same unit, at least one.
        sigma: In the same unit.

    Returns:
        A number in (0, 1]; 1 when every beat falls on a target.

    >>> alignment(np.array([1.0, 2.0]), np.array([1.0, 2.0, 9.0]), sigma=0.12)
    1.0
    """
    distance = np.abs(np.asarray(beats)[:, np.newaxis] - np.asarray(targets)[np.newaxis]).min(axis=1)
    return float(np.exp(-0.5 * np.square(distance / sigma)).mean())


def motion_beats(clip: ClipFeatures) -> NDArray[np.float64]:
    """Times in seconds at which the head's rotation comes to rest: local minima of its smoothed speed."""
    fps = float(clip.fps)
    speed = smoothed(rotation_steps(clip), deviation=SMOOTHING_SECONDS * fps)
    return (local_minima(speed).astype(np.float64) + 1.0) / fps  # a step lies between two frames' middles


def audio_beats(clip: ClipFeatures) -> NDArray[np.float64]:
    """Times in seconds at which the voice sets in: local maxima of the rise of its smoothed loudness."""
    fps = float(clip.fps)
    rise = np.diff(smoothed(loudness_of(clip), deviation=SMOOTHING_SECONDS * fps))
    places = local_minima(-rise)
    return (places[rise[places] > 0].astype(np.float64) + 1.0) / fps


class BeatAlignment(ClipMetric):
    """Alignment of the head's resting points with onsets of the voice, in both directions."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="beat-alignment/mediapipe@2",
        title="Head beats against voice onsets",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(
                key="beat-alignment-audio", label="Beat align (audio to motion)", direction=Direction.CLOSER_TO_GT
            ),
            # People agree with the other direction more (docs/validity.md).
            ValueSpec(key="beat-alignment", label="Beat align", direction=Direction.CLOSER_TO_GT, primary=False),
        ),
        extractors=(FACE, AUDIO),
        needs=frozenset({Need.AUDIO}),
        # It reads the audio, but on clips of a few seconds it cannot tell the right one from another (measured in
        # docs/protocols/beat-alignment-mediapipe.md): a check that it must would only measure luck.
        reads_audio_video_sync=False,
        source="Beat alignment score of AIST++ (arXiv 2101.08779) and Bailando (arXiv 2203.13055), on head rotation",
        page="beat-alignment-mediapipe",
        order=66,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """Motion to audio (``beat-alignment``) and audio to motion.

        Raises:
            Unscored: ``no_face``, ``no_audio``; ``too_short`` below 2 s; ``undefined`` when the head turns by less
                than its floor or either side has no beat.
        """
        if generated.n_frames < LEAST_SECONDS * float(generated.fps):
            raise Unscored("too_short", f"clip {generated.clip_id!r} is shorter than {LEAST_SECONDS:.0f} s")
        require_motion(
            head_turn(generated),
            fps=float(generated.fps),
            floor=HEAD_FLOOR,
            clip_id=generated.clip_id,
            what="head",
            unit="degrees",
        )
        motion, audio = motion_beats(generated), audio_beats(generated)
        if len(motion) == 0 or len(audio) == 0:
            which = "the head never comes to rest between two movements" if len(motion) == 0 else "no audio onset"
            raise Unscored("undefined", f"clip {generated.clip_id!r} has no beats to align: {which}")
        return {
            "beat-alignment": alignment(motion, audio, sigma=SIGMA_SECONDS),
            "beat-alignment-audio": alignment(audio, motion, sigma=SIGMA_SECONDS),
        }
