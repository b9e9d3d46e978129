"""The first reading of a video: where scenes begin, whose face is where, and whether somebody speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.prepare.face_crop import FaceFilter, face_square, judge_faces
from emo_bench.data.prepare.report import Problem
from emo_bench.data.prepare.resize import Window
from emo_bench.data.prepare.scene_cuts import CutDetector, scene_clips
from emo_bench.data.prepare.speech import judge_speech
from emo_bench.media.decode import MediaPair

if TYPE_CHECKING:
    from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor

LOOKS_PER_SECOND = 5
"""How often a face is looked for in the first reading."""
_SOUND_CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """One clip that passed all filters.

    Attributes:
        number: Within the video, from 0, refused ones counted.
        start: First frame.
        end: The frame after the last.
        window: Of the crop.
        face_width: Median width of the face in pixels of the source.
    """

    number: int
    start: int
    end: int
    window: Window
    face_width: float


@dataclass(frozen=True, kw_only=True)
class SurveyRules:
    """What makes a clip.

    Attributes:
        threshold: Of the scene cuts.
        shortest: Frames.
        longest: Frames.
        expansion: Of the crop.
        faces: Which faces are refused.
    """

    threshold: float
    shortest: int
    longest: int
    expansion: float
    faces: FaceFilter


def survey(
    pair: MediaPair, *, name: str, face: Extractor, sound: Arrays, rules: SurveyRules
) -> tuple[list[ClipPlan], list[Problem]]:
    """Reads a video once and decides which clips come out of it.

    Args:
        pair: The video with its audio.
        name: For the problems.
        face: ``face/mediapipe-landmarker@1``.
        sound: Loudness and pitch per frame.
        rules: See ``SurveyRules``.

    Returns:
        The clips, and every refused scene or clip with its reason.
    """
    cuts, looks = _look(pair, name, face, rules.threshold)
    spans, too_short = scene_clips(
        cuts, n_frames=pair.video.spec.n_frames, shortest=rules.shortest, longest=rules.longest
    )
    fps = float(pair.video.spec.fps)
    reason = f"expected a scene of at least {rules.shortest / fps:g} s"
    problems = [Problem("short_scene", name, reason)] * too_short
    plans: list[ClipPlan] = []
    for number, (start, end) in enumerate(spans):
        clip = f"{name}_{number:03d}"
        inside = [look for look in looks if start <= look.frame < end]
        n_faces, boxes = np.array([look.n_faces for look in inside]), np.stack([look.box for look in inside])
        refused = judge_faces(n_faces, boxes, rules.faces)
        if refused is not None:
            problems.append(Problem(refused[0], clip, refused[1]))
            continue
        silent = judge_speech(sound["loudness_db"][start:end], sound["pitch_hz"][start:end])
        if silent:
            problems.append(Problem("no_speech", clip, silent))
            continue
        spec = pair.video.spec
        window = face_square(boxes, width=spec.width, height=spec.height, expansion=rules.expansion)
        face_width = float(np.nanmedian(boxes[:, 2] - boxes[:, 0]))
        plans.append(ClipPlan(number=number, start=start, end=end, window=window, face_width=face_width))
    return plans, problems


@dataclass(frozen=True)
class _Look:
    frame: int
    n_faces: int
    box: NDArray[np.float64]


def _look(pair: MediaPair, name: str, face: Extractor, threshold: float) -> tuple[list[int], list[_Look]]:
    """First frames of the scenes, and the face on every ``stride``-th frame from the start of each scene."""
    from emo_metrics.contract import Piece

    spec = pair.video.spec
    stride = max(1, round(float(spec.fps) / LOOKS_PER_SECOND))
    detector = CutDetector(threshold=threshold)
    cuts: list[int] = []
    looks: list[_Look] = []
    tracker: Accumulator | None = None
    at = scene = 0
    for frames in pair.video.open():
        starts = {at + index for index in detector.add(frames)}
        cuts += sorted(starts)
        for index, frame in enumerate(frames):
            number = at + index
            if tracker is None or number in starts:
                # What is known about the face must not reach over a cut.
                tracker, scene = face.begin(clip_inputs(pair, name, frame)), number
            if (number - scene) % stride == 0:
                rows = tracker.update(Piece(frames=frame[None], start=number))
                box = np.asarray(rows["box"][0], dtype=np.float64)
                looks.append(_Look(number, int(np.asarray(rows["n_faces"])[0]), box))
        at += len(frames)
    return cuts, looks


def clip_inputs(pair: MediaPair, name: str, reference: NDArray[np.uint8]) -> ClipInputs:
    """What extractors may know of a video before its first frame."""
    from emo_metrics.contract import ClipInputs

    spec = pair.video.spec
    return ClipInputs(
        clip_id=name,
        fps=spec.fps,
        n_frames=spec.n_frames,
        height=spec.height,
        width=spec.width,
        reference_image=reference,
        audio=pair.audio.samples,
        audio_rate=pair.audio.rate,
    )


def sound_rows(pair: MediaPair, extractor: Extractor) -> dict[str, NDArray[np.generic]]:
    """``audio/loudness-pitch@1`` for every frame of a video, without its images."""
    from emo_metrics.contract import Piece

    n_frames = pair.video.spec.n_frames
    blank = np.zeros((1, 1, 1, 3), np.uint8)
    running = extractor.begin(clip_inputs(pair, "sound", blank[0]))
    pieces: list[Arrays] = []
    for start in range(0, n_frames, _SOUND_CHUNK):
        count = min(_SOUND_CHUNK, n_frames - start)
        pieces.append(running.update(Piece(frames=np.broadcast_to(blank, (count, 1, 1, 3)), start=start)))
    return _joined(pieces)


def _joined(pieces: Sequence[Arrays]) -> dict[str, NDArray[np.generic]]:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
