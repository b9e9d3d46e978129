"""The extractor ``audio/loudness-pitch@1``: how loud and how high the voice is while each frame is shown."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipFeatures, ClipInputs, Extractor, Need, Piece, Unscored

AUDIO: Final = "audio/loudness-pitch@1"
LOUDNESS_WINDOW: Final = 0.05
"""Seconds."""
LOUDNESS_FLOOR_DB: Final = -60.0
PITCH_WINDOW: Final = 0.04
"""Seconds over which a wave is compared with itself."""
PITCH_RANGE: Final = (60.0, 500.0)
"""Hertz."""
YIN_THRESHOLD: Final = 0.15
VOICED_FLOOR_DB: Final = -50.0


def windows_at(
    audio: NDArray[np.floating], centres: NDArray[np.float64], length: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Stretches of a signal around given places; silence before its start and after its end.

    Args:
        audio: ``[n]``.
        centres: ``[t]``, in samples.
        length: Of each stretch, in samples.

    Returns:
        ``float64 [t, length]``, and ``bool [t]``: whether the centre lies within the signal.
    """
    first = np.round(centres - length / 2).astype(np.int64)
    index = first[:, np.newaxis] + np.arange(length)
    inside = (index >= 0) & (index < len(audio))
    values = np.where(inside, np.asarray(audio, dtype=np.float64)[np.clip(index, 0, len(audio) - 1)], 0.0)
    return values, (centres >= 0) & (centres < len(audio))


def loudness_db(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level of each row ``[t, n]`` in decibels of full scale, at least -60.

    >>> loudness_db(np.array([[0.1, -0.1], [0.0, 0.0]])).round(6).tolist()
    [-20.0, -60.0]
    """
    power = np.square(windows).mean(axis=1)
    level: NDArray[np.float64] = 10.0 * np.log10(np.maximum(power, 10.0 ** (LOUDNESS_FLOOR_DB / 10.0)))
    return level


def yin_pitch(windows: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Fundamental frequency of each row by YIN (de Cheveigné and Kawahara 2002).

    Squared differences over 40 ms, divided by their running mean; the first dip below 0.15 is the period, refined by
    a parabola.

    Args:
        windows: ``[t, n]`` with n of at least ``pitch_window_length(rate)``.
        rate: Samples per second.

    Returns:
        ``float64 [t]`` in hertz; NaN where nothing repeats between 60 and 500 Hz.
    """
    span = round(PITCH_WINDOW * rate)
    shortest, longest = int(rate / PITCH_RANGE[1]), int(np.ceil(rate / PITCH_RANGE[0]))
    difference = np.empty((len(windows), longest + 2))
    for lag in range(longest + 2):
        difference[:, lag] = np.square(windows[:, :span] - windows[:, lag : lag + span]).sum(axis=1)
    running = np.cumsum(difference[:, 1:], axis=1)
    lags = np.arange(1, longest + 2)
    normalised = np.ones_like(difference)
    np.divide(difference[:, 1:] * lags, running, out=normalised[:, 1:], where=running > 0)
    here = normalised[:, shortest : longest + 1]
    dip = (here < YIN_THRESHOLD) & (here <= normalised[:, shortest + 1 : longest + 2])
    pitch = np.full(len(windows), np.nan)
    for row in np.flatnonzero(dip.any(axis=1)):
        lag = shortest + int(np.argmax(dip[row]))
        before, at, after = normalised[row, lag - 1 : lag + 2]
        bend = before - 2 * at + after
        pitch[row] = rate / (lag + (0.5 * (before - after) / bend if bend > 0 else 0.0))
    return pitch


def pitch_window_length(rate: int) -> int:
    """How many samples ``yin_pitch`` reads."""
    return round(PITCH_WINDOW * rate) + int(np.ceil(rate / PITCH_RANGE[0])) + 1


class LoudnessAndPitch(Extractor):
    """Loudness and pitch of the clip's audio around the middle of each frame's time, ``(i + 0.5) / fps``.

    Arrays: ``loudness_db`` float32 [n] (root mean square over 50 ms, floor -60 dB of full scale), ``pitch_hz``
    float32 [n] (YIN, 60 to 500 Hz, NaN where nothing is voiced or the level is below -50 dB). A clip without audio has
    NaN throughout, and so have frames after the end of the audio.
    """

    name: ClassVar[str] = AUDIO
    needs: ClassVar[frozenset[Need]] = frozenset({Need.AUDIO})

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _AudioRows(clip)


class _AudioRows(Accumulator):
    def __init__(self, clip: ClipInputs) -> None:
        self._clip = clip

    def update(self, piece: Piece) -> Arrays:
        count = len(piece.frames)
        loudness, pitch = np.full(count, np.nan), np.full(count, np.nan)
        audio, rate = self._clip.audio, self._clip.audio_rate
        if audio is not None and len(audio) > 0 and count:
            frames = piece.start + np.arange(count, dtype=np.float64)
            centres: NDArray[np.float64] = (frames + 0.5) * (rate / float(self._clip.fps))
            short, inside = windows_at(audio, centres, round(LOUDNESS_WINDOW * rate))
            loudness = np.where(inside, loudness_db(short), np.nan)
            long, _ = windows_at(audio, centres, pitch_window_length(rate))
            pitch = np.where(inside & (loudness > VOICED_FLOOR_DB), yin_pitch(long, rate), np.nan)
        return {"loudness_db": loudness.astype(np.float32), "pitch_hz": pitch.astype(np.float32)}

    def finish(self) -> Arrays:
        return {}


def loudness_of(clip: ClipFeatures) -> NDArray[np.float64]:
    """Loudness per frame in decibels, ``float64 [n]``, NaN after the end of the audio.

    Raises:
        Unscored: ``no_audio`` when there is none, ``undefined`` when it is silent throughout.
    """
    loudness = np.asarray(clip.arrays[AUDIO]["loudness_db"], dtype=np.float64)
    known = loudness[np.isfinite(loudness)]
    if known.size == 0:
        raise Unscored("no_audio", f"clip {clip.clip_id!r} has no audio")
    if np.ptp(known) == 0.0:
        raise Unscored("undefined", f"the loudness of clip {clip.clip_id!r} never changes, so nothing can follow it")
    return loudness


def log_pitch_of(clip: ClipFeatures) -> NDArray[np.float64]:
    """Pitch per frame as log2 of hertz, ``float64 [n]``; between voiced frames on straight lines, held at the ends.

    A clip without a voiced frame has 0 throughout.
    """
    pitch = np.asarray(clip.arrays[AUDIO]["pitch_hz"], dtype=np.float64)
    known = np.flatnonzero(np.isfinite(pitch))
    if known.size == 0:
        return np.zeros(len(pitch))
    return np.interp(np.arange(len(pitch)), known, np.log2(pitch[known]))
