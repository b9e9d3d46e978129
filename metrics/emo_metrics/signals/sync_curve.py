"""SyncNet's measures of lip synchronisation: LSE-C, LSE-D and the offset between video and audio.

Mouth window i is compared with audio window i + k − 15 for k = 0..30, with silence (zero vectors) beyond the ends. The
mean over i at every lag gives a curve; its minimum is LSE-D, its place the offset, and the median minus the minimum
LSE-C. A positive offset means that the audio is early: delaying it by offset / 25 s repairs the clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_LAG: Final = 15


_EPSILON: Final = 1e-6
"""Added to every difference by the distance that published numbers were made with."""


def lag_distances(
    mouth: NDArray[np.floating], audio: NDArray[np.floating], *, max_lag: int = MAX_LAG
) -> NDArray[np.float64]:
    """Distances of every mouth window to the audio around it.

    Args:
        mouth: ``[n, d]``.
        audio: ``[n, d]``, window for window.
        max_lag: Lags from −max_lag to max_lag.

    Returns:
        ``float64 [n, 2 max_lag + 1]``; column k holds the audio of window i + k − max_lag.
    """
    a = np.asarray(mouth, dtype=np.float64)
    b = np.zeros((len(a) + 2 * max_lag, a.shape[1]))
    b[max_lag : max_lag + len(audio)] = audio
    columns = [np.linalg.norm(a - b[k : k + len(a)] + _EPSILON, axis=1) for k in range(2 * max_lag + 1)]
    return np.stack(columns, axis=1)


@dataclass(frozen=True, kw_only=True)
class SyncScores:
    """Scores of one track.

    Attributes:
        confidence: LSE-C; higher is better.
        distance: LSE-D; lower is better.
        offset: In frames at 25 fps; positive when the audio is early.
        distance_at_zero: The mean distance without any shift.
        windows: Number of windows; under about 60 the silence beyond the ends biases the curve.
    """

    confidence: float
    distance: float
    offset: int
    distance_at_zero: float
    windows: int

    def in_words(self) -> str:
        """The offset for a reader.

        >>> SyncScores(confidence=5, distance=7, offset=-3, distance_at_zero=9, windows=95).in_words()
        'audio 3 frames (120 ms) late'
        """
        if self.offset == 0:
            return "audio in step"
        unit = "frame" if abs(self.offset) == 1 else "frames"
        return f"audio {abs(self.offset)} {unit} ({abs(self.offset) * 40} ms) {'early' if self.offset > 0 else 'late'}"


def sync_scores(distances: NDArray[np.floating]) -> SyncScores:
    """Scores of the distances of one track.

    Args:
        distances: ``[n, 2 max_lag + 1]``, n at least 1.

    >>> late = np.full((50, 31), 10.0); late[:, 18] = 4.0   # the sound of three windows later fits
    >>> sync_scores(late).offset
    -3
    """
    curve = np.asarray(distances, dtype=np.float64).mean(axis=0)
    best = int(np.argmin(curve))
    max_lag = len(curve) // 2
    return SyncScores(
        confidence=float(np.median(curve) - curve[best]),
        distance=float(curve[best]),
        offset=max_lag - best,
        distance_at_zero=float(curve[max_lag]),
        windows=len(distances),
    )
