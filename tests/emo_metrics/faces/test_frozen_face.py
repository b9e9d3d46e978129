"""A real face held still and compressed, with the true voice beside it: nothing that follows the voice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emo_bench.media.preview import encode_roundtrip
from emo_bench.media.types import Video, VideoSpec
from emo_metrics.contract import Unscored
from emo_metrics.extractors.face_landmarks import FACE_FILES, FaceAnalysis
from emo_metrics.extractors.loudness_pitch import AUDIO
from emo_metrics.metrics.beat_alignment import BeatAlignment
from emo_metrics.metrics.expressiveness import Expressiveness
from emo_metrics.metrics.mouth_audio import MouthAudio

FRAMES = 76


def test_a_frozen_face_through_h264_has_no_value(
    weights: Mapping[str, Path], clip_frames: Callable[..., np.ndarray], extract: Callable[..., object]
) -> None:
    portrait = clip_frames("May_5s.mp4", 1)[0]
    still = np.repeat(portrait[None], FRAMES, axis=0)
    spec = VideoSpec(width=portrait.shape[1], height=portrait.shape[0], fps=Fraction(25), n_frames=FRAMES)
    frames = encode_roundtrip(Video(spec, lambda: iter([still[:38], still[38:]])), crf=23).read_all()
    clip = extract([FaceAnalysis({name: weights[name] for name in FACE_FILES})], frames)
    loudness = -30 + 8 * np.random.default_rng(0).normal(size=FRAMES)
    sound = {"loudness_db": loudness, "pitch_hz": np.full(FRAMES, 150.0)}
    clip = replace(clip, arrays={**clip.arrays, AUDIO: sound})
    for metric in (MouthAudio(), BeatAlignment(), Expressiveness()):
        with pytest.raises(Unscored) as outcome:
            metric.score_clip(clip, None)
        assert outcome.value.status == "undefined"
