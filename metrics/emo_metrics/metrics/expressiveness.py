"""Expressiveness: how much of the movement of brows, eyes and head the voice explains, beyond chance."""

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
from emo_metrics.extractors.loudness_pitch import AUDIO, log_pitch_of, loudness_of
from emo_metrics.faces.gaps import FACE, close_gaps, face_arrays, longest_gap
from emo_metrics.faces.landmark_sets import blendshape
from emo_metrics.metrics.head_motion import found_as_most
from emo_metrics.signals.motion_floors import BROWS_FLOOR, EYES_FLOOR, HEAD_FLOOR, amplitude
from emo_metrics.signals.time_series import smoothed

LAGS_SECONDS: Final = (-0.32, -0.16, 0.0, 0.16, 0.32)
SMOOTHING_SECONDS: Final = 0.08
LEAST_SHIFT_SECONDS: Final = 1.0
"""Audio moved round by less than this is still partly in step and is not used as chance."""
LEAST_SECONDS: Final = 3.0
SHIFTS: Final = 40
FLOORS: Final = {"brows": BROWS_FLOOR, "eyes": EYES_FLOOR, "head": HEAD_FLOOR}
"""Least amplitudes, in blendshapes and degrees."""
RIDGE: Final = 1.0
"""Added to the Gram matrix of the standardised predictors, in samples."""


def motion_signals(clip: ClipFeatures) -> dict[str, NDArray[np.float64]]:
    """How far the brows are raised, how wide the eyes are, and how the head nods, one number a frame.

    Returns:
        ``brows``, ``eyes`` (blendshapes) and ``head`` (pitch in degrees), each ``float64 [n]``; NaN in longer gaps. The
        pitch of frames whose face was found in another way than most is a gap, as in ``head_turn``.
    """
    arrays = face_arrays(clip)
    shapes = np.asarray(arrays["blendshapes"], dtype=np.float64)
    up = blendshape(shapes, "browInnerUp", "browOuterUpLeft", "browOuterUpRight")
    down = blendshape(shapes, "browDownLeft", "browDownRight")
    wide = blendshape(shapes, "eyeWideLeft", "eyeWideRight")
    narrow = blendshape(shapes, "eyeSquintLeft", "eyeSquintRight")
    signals = {
        "brows": up - down,
        "eyes": wide - narrow,
        "head": np.where(found_as_most(arrays), np.asarray(arrays["pose_degrees"], dtype=np.float64)[:, 1], np.nan),
    }
    return {key: close_gaps(values, longest=longest_gap(clip)) for key, values in signals.items()}


def lagged_predictors(signals: NDArray[np.float64], lags: list[int]) -> NDArray[np.float64]:
    """Copies of the columns of ``signals [n, k]`` moved by each lag, standardised: ``float64 [n, k * len(lags)]``.

    Rows wrap round, as they do in the shifted audio that stands for chance.
    """
    moved = np.concatenate([np.roll(signals, lag, axis=0) for lag in lags], axis=1)
    moved = moved - moved.mean(axis=0)
    scale = moved.std(axis=0)
    result: NDArray[np.float64] = np.divide(moved, scale, out=np.zeros_like(moved), where=scale > 1e-9)
    return result


def explained(target: NDArray[np.float64], predictors: NDArray[np.float64]) -> float:
    """Share of the variance of ``target [n]`` that a ridge regression on ``predictors [n, k]`` explains, in [0, 1]."""
    y = target - target.mean()
    X = predictors - predictors.mean(axis=0)
    weights = np.linalg.solve(X.T @ X + RIDGE * np.eye(X.shape[1]), X.T @ y)
    return float(1.0 - np.square(y - X @ weights).sum() / np.square(y).sum())


def excess_explained(
    target: NDArray[np.float64], audio: NDArray[np.float64], *, fps: float, largest_shifts: int = SHIFTS
) -> float:
    """Explained variance with the right audio less its mean with the audio moved round by a second or more.

    Args:
        target: ``[n]``, NaN where unknown.
        audio: ``[n, k]``, finite.
        fps: Frames per second.
        largest_shifts: At most so many shifts, evenly spread over the clip.

    Returns:
        A number in [-1, 1]; around 0 when the movement does not follow the audio.

    Raises:
        ValueError: when the target is constant or nearly all of it is unknown.
    """
    count = len(target)
    known = np.isfinite(target)
    if known.sum() < count // 2:
        raise ValueError("the movement is unknown in more than half of the clip")
    if np.ptp(target[known]) < 1e-9:
        raise ValueError("the movement never changes, so nothing of it can be explained")
    lags = sorted({round(lag * fps) for lag in LAGS_SECONDS})
    predictors = lagged_predictors(audio, lags)
    least = round(LEAST_SHIFT_SECONDS * fps)
    places = np.arange(least, count - least + 1)
    if len(places) > largest_shifts:
        places = places[np.linspace(0, len(places) - 1, largest_shifts).round().astype(int)]
    right = explained(target[known], predictors[known])
    wrong = [explained(target[known], np.roll(predictors, shift, axis=0)[known]) for shift in places]
    return right - float(np.mean(wrong))


class Expressiveness(ClipMetric):
    """Excess of explained variance of brows, eyes and nodding by loudness and pitch, and their mean."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="expressiveness/mediapipe@2",
        title="Movement of brows, eyes and head that the voice explains",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(key="expressiveness", label="Expressiveness", direction=Direction.CLOSER_TO_GT),
            *(
                ValueSpec(key=key, label=f"Expr. {key}", direction=Direction.CLOSER_TO_GT, primary=False)
                for key in ("brows", "eyes", "head")
            ),
        ),
        extractors=(FACE, AUDIO),
        needs=frozenset({Need.AUDIO}),
        reads_audio_video_sync=True,
        source="docs/protocols/expressiveness-mediapipe.md",
        page="expressiveness-mediapipe",
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The excess for brows, eyes and head, and their mean.

        Raises:
            Unscored: ``no_face``, ``no_audio``; ``too_short`` below 3 s; ``undefined`` when none of the three moves by
                its floor; one that does not has 0.
        """
        fps = float(generated.fps)
        if generated.n_frames < LEAST_SECONDS * fps:
            raise Unscored("too_short", f"clip {generated.clip_id!r} is shorter than {LEAST_SECONDS:.0f} s")
        loudness = loudness_of(generated)
        loudness = np.where(np.isfinite(loudness), loudness, np.nanmin(loudness))
        audio = np.column_stack([loudness, log_pitch_of(generated)])
        deviation = SMOOTHING_SECONDS * fps
        audio = np.column_stack([smoothed(column, deviation=deviation) for column in audio.T])
        signals = motion_signals(generated)
        moving = {key for key, signal in signals.items() if amplitude(signal, fps=fps) >= FLOORS[key]}
        if not moving:
            raise Unscored(
                "undefined",
                f"neither brows, eyes nor head of clip {generated.clip_id!r} move by more than the noise of codec and "
                f"landmarks (blendshapes {BROWS_FLOOR:g} and {EYES_FLOOR:g}, {HEAD_FLOOR:g} degrees)",
            )
        values = dict.fromkeys(signals, 0.0)  # what does not move follows nothing
        for key, signal in ((key, signal) for key, signal in signals.items() if key in moving):
            try:
                values[key] = excess_explained(
                    np.where(np.isfinite(signal), smoothed(signal, deviation=deviation), np.nan), audio, fps=fps
                )
            except ValueError as error:
                raise Unscored("undefined", f"clip {generated.clip_id!r}, {key}: {error}") from error
        return {"expressiveness": float(np.mean(list(values.values())))} | values
