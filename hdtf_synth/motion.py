"""What the face does while it speaks: mouth from phonemes, brows and nods from pitch and loudness, pose and blinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdtf_synth.exact import F64, Draws, clamp, curve_noise, mix, smoothstep
from hdtf_synth.identity import Identity
from hdtf_synth.state import EXPRESSION_NAMES, POSE_NAMES, FrameState
from hdtf_synth.visemes import VISEMES, viseme_index, visemes_of

FPS = 25
"""Frames per second of the whole set."""

_LEAD = 0.012
"""How far the mouth is ahead of the sound, in seconds: it must be there when the sound starts."""

MOODS = ("neutral", "happy", "sad", "surprised", "stern")


@dataclass(frozen=True)
class Phoneme:
    """One sound of an utterance.

    Attributes:
        start: Begin in seconds.
        end: End in seconds.
        symbol: IPA; empty for a pause.
    """

    start: float
    end: float
    symbol: str


@dataclass(frozen=True, eq=False)
class Motion:
    """All frames of a clip.

    Attributes:
        pose: ``float64 [T, 6]``, columns ``POSE_NAMES``.
        expression: ``float64 [T, E]``, columns ``EXPRESSION_NAMES``.
        viseme: ``int32 [T]``, index into ``VISEMES`` at the middle of each frame.
        phoneme: ``int32 [T]``, index into the phonemes given, -1 where there is none.
        mood: One of ``MOODS``.
    """

    pose: F64
    expression: F64
    viseme: NDArray[np.int32]
    phoneme: NDArray[np.int32]
    mood: str

    def state(self, frame: int) -> FrameState:
        """The numbers of one frame as the renderer reads them."""
        named = dict(zip(POSE_NAMES, self.pose[frame].tolist(), strict=True))
        named |= dict(zip(EXPRESSION_NAMES, self.expression[frame].tolist(), strict=True))
        return FrameState(**named)


@dataclass(frozen=True)
class _Segment:
    start: float
    end: float
    viseme: int


def motion_from_speech(
    phonemes: Sequence[Phoneme], pitch: F64, loudness: F64, identity: Identity, seed: str, n_frames: int
) -> Motion:
    """Moves a face with speech.

    Args:
        phonemes: Sounds in order of time.
        pitch: ``float64 [T]`` in Hz, 0 where there is no voice.
        loudness: ``float64 [T]`` in [0, 1].
        identity: Whose face; sets how lively it is.
        seed: Names the clip; the same clip moves the same way for ever.
        n_frames: T.

    Returns:
        The motion at 25 frames a second; frame t shows the time (t + 0.5) / 25 s.
    """
    draws = Draws(f"motion/{seed}")
    times = (np.arange(n_frames, dtype=np.float64) + 0.5) * (1.0 / FPS)
    spoken = times + _LEAD
    loud = _smooth(loudness, 1)
    segments = _segments(phonemes, n_frames / FPS)
    columns = {name: np.zeros(n_frames, np.float64) for name in EXPRESSION_NAMES}
    _speak(columns, spoken, segments, loud)
    mood = draws.choice("mood", ("neutral", "neutral", "neutral", *MOODS[1:], "happy"))
    tone = _relative_pitch(pitch)
    _feel(columns, times, mood, tone, loud, draws, identity.liveliness)
    _look(columns, times, draws, identity.liveliness)
    pose = _pose(times, tone, loud, draws, identity.liveliness)
    expression = np.stack([columns[name] for name in EXPRESSION_NAMES], axis=1)
    for index, name in enumerate(EXPRESSION_NAMES):
        low = -1.0 if name.startswith("look_") else 0.0
        expression[:, index] = clamp(expression[:, index], low, 1.0)
    return Motion(
        pose=pose,
        expression=expression,
        viseme=np.asarray([_segment_at(segments, float(t)) for t in times], np.int32),
        phoneme=np.asarray([_phoneme_at(phonemes, float(t)) for t in times], np.int32),
        mood=mood,
    )


def _segments(phonemes: Sequence[Phoneme], seconds: float) -> list[_Segment]:
    found: list[_Segment] = []
    place = 0.0
    silence = viseme_index("sil")
    for phoneme in phonemes:
        if phoneme.start > place + 1e-9:
            found.append(_Segment(place, phoneme.start, silence))
        names = visemes_of(phoneme.symbol)
        length = (phoneme.end - phoneme.start) / len(names)
        for k, name in enumerate(names):
            found.append(_Segment(phoneme.start + k * length, phoneme.start + (k + 1) * length, viseme_index(name)))
        place = phoneme.end
    if place < seconds:
        found.append(_Segment(place, seconds + 0.2, silence))
    return found


def _segment_at(segments: Sequence[_Segment], time: float) -> int:
    for segment in segments:
        if segment.start <= time < segment.end:
            return segment.viseme
    return 0


def _phoneme_at(phonemes: Sequence[Phoneme], time: float) -> int:
    for index, phoneme in enumerate(phonemes):
        if phoneme.start <= time < phoneme.end:
            return index
    return -1


_CHANNELS = (
    # name of the coefficient, name of the viseme's target, how far a sound reaches into its neighbours (seconds)
    ("jaw_open", "jaw", 0.050),
    ("mouth_stretch", "stretch", 0.065),
    ("mouth_pucker", "pucker", 0.090),
    ("mouth_funnel", "funnel", 0.085),
    ("tongue_up", "tongue", 0.040),
    ("upper_lip_up", "upper", 0.055),
    ("lower_lip_down", "lower", 0.055),
)


def _speak(columns: dict[str, F64], times: F64, segments: Sequence[_Segment], loud: F64) -> None:
    """Co-articulation: at each moment the targets of all sounds near it are averaged by their dominance.

    After Cohen and Massaro (1993), with a rational instead of an exponential fall. Lip closures (p, b, m) and the
    tuck of f and v are not averaged: they must be reached.
    """
    for column, target, reach in _CHANNELS:
        total = np.full_like(times, 1e-6)
        value = np.zeros_like(times)
        for segment in segments:
            viseme = VISEMES[segment.viseme]
            middle, half = 0.5 * (segment.start + segment.end), 0.5 * (segment.end - segment.start)
            away = np.maximum(np.abs(times - middle) - 0.5 * half, 0.0) * (1.0 / reach)
            fall = 1.0 / (1.0 + away * away)
            dominance = fall * fall * fall * viseme.weight
            value = value + dominance * getattr(viseme, target)
            total = total + dominance
        columns[column] = value / total
    closed = _reached(times, segments, viseme_index("pp"), 0.022, 0.055)
    tucked = _reached(times, segments, viseme_index("ff"), 0.020, 0.055)
    rest = _reached(times, segments, viseme_index("sil"), 0.0, 0.07)
    columns["jaw_open"] = columns["jaw_open"] * (0.62 + 0.55 * loud) * (1.0 - 0.75 * closed) * (1.0 - 0.9 * rest)
    columns["lips_pressed"] = np.maximum(closed, 0.30 * rest)
    columns["lip_tuck"] = tucked
    for name in ("mouth_stretch", "mouth_pucker", "mouth_funnel", "upper_lip_up", "lower_lip_down", "tongue_up"):
        columns[name] = columns[name] * (1.0 - 0.85 * rest)
    columns["tongue_up"] = columns["tongue_up"] * (1.0 - closed)


def _reached(times: F64, segments: Sequence[_Segment], viseme: int, at_least: float, fade: float) -> F64:
    """1 during the segments of a viseme (``at_least`` seconds around their middle), fading around them."""
    found = np.zeros_like(times)
    for segment in segments:
        if segment.viseme == viseme:
            middle, half = 0.5 * (segment.start + segment.end), 0.5 * (segment.end - segment.start)
            away = np.abs(times - middle) - max(half - 0.012, at_least)
            found = np.maximum(found, smoothstep(fade, 0.0, away))
    return found


def _smooth(values: F64, passes: int) -> F64:
    """Repeated averaging with weights 1/4, 1/2, 1/4; the ends are repeated."""
    for _ in range(passes):
        before = np.concatenate([values[:1], values[:-1]])
        after = np.concatenate([values[1:], values[-1:]])
        values = 0.25 * before + 0.5 * values + 0.25 * after
    return values


def _relative_pitch(pitch: F64) -> F64:
    """Pitch relative to the clip's median, in about [-1, 1] (1 is half an octave or more up), smoothed."""
    voiced = np.sort(pitch[pitch > 0])
    if len(voiced) == 0:
        return np.zeros_like(pitch)
    median = float(voiced[len(voiced) // 2])
    relative = np.where(pitch > 0, (pitch - median) * (2.0 / median), 0.0)
    return _smooth(np.asarray(clamp(relative, -1.0, 1.0)), 3)


def _feel(columns: dict[str, F64], times: F64, mood: str, tone: F64, loud: F64, draws: Draws, lively: float) -> None:
    """Brows, lids, cheeks and corners of the mouth from mood, pitch and loudness."""
    strength = draws.between("mood strength", 0.45, 0.95)
    swell = strength * (0.75 + 0.25 * curve_noise(times, 0.7, draws.integer("mood curve")))
    accent = _smooth(np.maximum(loud - 0.45, 0.0) * 1.4, 1)
    high = np.maximum(tone, 0.0)
    drift = {name: curve_noise(times, 0.9, draws.integer(f"drift {name}")) for name in ("brow", "smile", "side", "lid")}
    raise_ = clamp(0.55 * high + 0.25 * accent + 0.12 * drift["brow"]) * lively
    zero = np.zeros_like(times)
    happy = swell if mood == "happy" else zero
    sad = swell if mood == "sad" else zero
    surprised = swell if mood == "surprised" else zero
    stern = swell if mood == "stern" else zero
    columns["brow_inner_up"] = raise_ * 0.7 + 0.8 * sad + 0.6 * surprised
    uneven = 0.25 * drift["side"]
    columns["brow_outer_up_left"] = raise_ * (0.8 + uneven) + 0.7 * surprised
    columns["brow_outer_up_right"] = raise_ * (0.8 - uneven) + 0.7 * surprised
    frown = 0.8 * stern + 0.15 * np.maximum(-tone, 0.0) * lively
    columns["brow_down_left"], columns["brow_down_right"] = frown, frown
    smile = clamp(0.72 * happy + 0.10 * drift["smile"])
    smile = smile * (1.0 - 0.6 * columns["mouth_pucker"]) * (1.0 - 0.25 * columns["lips_pressed"])
    columns["smile_left"] = smile * (1.0 + 0.3 * uneven)
    columns["smile_right"] = smile * (1.0 - 0.3 * uneven)
    columns["mouth_frown"] = 0.7 * sad + 0.35 * stern
    columns["cheek_raise"] = 0.75 * happy + 0.1 * accent
    wide = 0.75 * surprised + 0.30 * high * lively + 0.15 * accent
    squint = 0.45 * happy + 0.30 * stern + 0.1 * clamp(drift["lid"])
    columns["eye_wide_left"], columns["eye_wide_right"] = wide, wide
    columns["eye_squint_left"], columns["eye_squint_right"] = squint, squint


def _look(columns: dict[str, F64], times: F64, draws: Draws, lively: float) -> None:
    """Gaze that rests and jumps, and blinks every two to five seconds."""
    gaze_x, gaze_y = np.zeros_like(times), np.zeros_like(times)
    blink = np.zeros_like(times)
    start, seconds = 0.0, float(times[-1]) if len(times) else 0.0
    x = y = 0.0
    index = 0
    while start < seconds:
        at_viewer = draws.chance(f"viewer {index}", 0.6)
        new_x = 0.0 if at_viewer else draws.between(f"gaze x {index}", -0.8, 0.8)
        new_y = 0.0 if at_viewer else draws.between(f"gaze y {index}", -0.35, 0.45)
        step = smoothstep(start, start + 0.06, times)
        gaze_x, gaze_y = gaze_x + (new_x - x) * step, gaze_y + (new_y - y) * step
        x, y = new_x, new_y
        start += draws.between(f"rest {index}", 0.5, 1.9)
        index += 1
    start, index = draws.between("first blink", 0.1, 2.6), 0
    while start < seconds + 0.3:
        down = smoothstep(start, start + 0.09, times)
        up = smoothstep(start + 0.13, start + 0.30, times)
        blink = np.maximum(blink, down - up)
        start += draws.between(f"blink {index}", 1.7, 4.2)
        index += 1
    droop = 0.06 + 0.06 * curve_noise(times, 0.8, draws.integer("droop"))
    columns["look_x"] = gaze_x + 0.06 * curve_noise(times, 2.0, draws.integer("tremor"))
    columns["look_y"] = gaze_y
    lid = np.maximum(blink, droop + 0.25 * np.maximum(gaze_y, 0.0))
    columns["blink_left"], columns["blink_right"] = lid, lid
    if draws.chance("lids differ", 0.15 * lively):
        columns["blink_left"] = np.maximum(blink, lid * 0.7)


def _pose(times: F64, tone: F64, loud: F64, draws: Draws, lively: float) -> F64:
    """Head pose from prosody (nods on loud syllables, lifts with pitch) plus smooth noise of the person's own."""
    energy = 0.75 + 0.5 * _smooth(loud, 4)

    def wander(name: str, slow: float, fast: float) -> F64:
        calm = curve_noise(times, 0.9, draws.integer(f"{name} slow")) * slow
        quick = curve_noise(times, 2.4, draws.integer(f"{name} fast")) * fast
        return np.asarray((calm + quick * energy) * lively, np.float64)

    accent = _smooth(loud - _smooth(loud, 6), 1)
    yaw = draws.around("yaw", 0.0, 13.0) + wander("yaw", 9.0, 2.6)
    pitch = draws.around("pitch", 0.5, 4.5) + wander("pitch", 4.0, 1.6) + (9.0 * accent - 3.0 * tone) * lively
    roll = draws.around("roll", 0.0, 4.0) + wander("roll", 4.0, 1.3) + 0.10 * (yaw - draws.around("yaw", 0.0, 13.0))
    x = draws.around("x", 0.0, 0.08) + wander("x", 0.055, 0.010) + yaw * 0.0022
    y = draws.around("y", 0.0, 0.05) + wander("y", 0.030, 0.008) + pitch * 0.0020
    scale = mix(1.0, draws.around("scale", 1.0, 0.05) + wander("scale", 0.012, 0.003), 1.0)
    angles = [clamp(yaw, -28.0, 28.0), clamp(pitch, -14.0, 14.0), clamp(roll, -12.0, 12.0)]
    return np.stack([*angles, x, y, scale], axis=1)
