"""The weights that ship: they follow the audio and the speed, and segment boundaries do not show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emo_bench.systems.emo import EMBEDDED, weights_folder
from emo_metrics.synth.face import FaceNetworks
from emo_models.emo.pipeline import EMOPipeline
from emo_models.emo.training.diagnostics import boundary_score, frame_motion
from emo_models.training.mouth_reader import correlation
from hdtf_synth.clip import clip_content, reference_frame
from hdtf_synth.plan import clips_of

pytestmark = pytest.mark.slow
FRAMES = 48


@pytest.fixture(scope="module")
def pipeline() -> EMOPipeline:
    return EMOPipeline.from_pretrained(weights_folder(EMBEDDED, Path()))


def test_a_person_never_seen_speaks_what_is_heard_without_seams(pipeline: EMOPipeline) -> None:
    first, other = (clip_content(plan) for plan in clips_of("validation")[:2])
    portrait, reader = first.frames[reference_frame(first)], FaceNetworks()

    def made(samples: np.ndarray) -> np.ndarray:
        sound = samples[: FRAMES * 640].astype(np.float32) / 32768
        return pipeline(portrait, sound).frames[:FRAMES]

    def agreement(frames: np.ndarray) -> float:
        reading = reader.read(frames)
        assert np.asarray(reading["found"]).all()
        opening = np.asarray(reading["mouth"], np.float64)[:, 0]
        return correlation(opening, first.truth["mouth_opening"][:FRAMES].astype(np.float64))

    spoken = made(first.samples)
    assert agreement(spoken) > 0.75
    assert agreement(made(other.samples)) < 0.5
    assert boundary_score(spoken, segment_frames=pipeline.model.architecture.segment.frames) < 1.3


def test_a_fast_head_moves_more_than_a_slow_one(pipeline: EMOPipeline) -> None:
    content = clip_content(clips_of("validation")[0])
    sound = content.samples[: FRAMES * 640].astype(np.float32) / 32768
    portrait = content.frames[reference_frame(content)]
    slow, fast = (frame_motion(pipeline(portrait, sound, speed=speed).frames) for speed in (0.1, 1.9))
    assert fast > 1.2 * slow
