"""The shipped weights for photographs close the eyes when they are told to, and change little else."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image

from emo_bench.data.portrait import Framing, find_square
from emo_bench.systems.emo import PORTRAIT, weights_folder
from emo_models.emo.extensions.eyelids import planned_closure
from emo_models.emo.pipeline import EMOPipeline, recommended_sampling

RATE, FPS, SEED = 60.0, 25.0, 1
EYES = slice(46, 66), slice(38, 90)
"""Rows and columns of the portrait's eyes, with room for what the head moves."""


@pytest.mark.slow
def test_lids_close_when_a_blink_is_planned(tmp_path) -> None:
    with get_sample_data("grace_hopper.jpg") as file:
        image = np.array(Image.open(file).convert("RGB"))
    pipeline = EMOPipeline.from_pretrained(weights_folder(PORTRAIT, tmp_path))
    square, _ = find_square(image, Framing(**pipeline.facts["framing"]))
    portrait = image[square.top : square.top + square.side, square.left : square.left + square.side]
    audio = np.zeros(round(24 / FPS * 16_000), np.float32)
    options = recommended_sampling(pipeline.facts)
    assert options.blinks > 0
    still, blinking = (
        pipeline(portrait, audio, seed=SEED, options=options.changed(blinks=rate)).frames.astype(float)
        for rate in (0.0, RATE)
    )
    planned = planned_closure(0, len(still), seed=SEED, per_minute=RATE, fps=FPS)
    assert (planned == 1).any()
    change = np.abs(blinking - still).mean(3)
    closed = change[planned == 1]
    eyes = closed[:, *EYES].mean()
    around = closed.mean()
    assert eyes > 3 * around
    # What is told only before and after the blink stays as it is.
    segment = pipeline.model.architecture.segment
    first = int(np.flatnonzero(planned)[0]) - segment.window
    untouched = max(first // segment.frames, 0) * segment.frames
    assert not change[:untouched].any()
