"""One clip of HDTF-Synth in memory: frames, audio and labels, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_core.delay import delayed
from hdtf_synth.identity import identity_from_seed
from hdtf_synth.motion import Motion, motion_from_speech
from hdtf_synth.plan import ClipPlan
from hdtf_synth.recordings import FRAME_SAMPLES, Recording, recording
from hdtf_synth.render import painter_of
from hdtf_synth.truth import truth_of


@dataclass(frozen=True, eq=False)
class ClipContent:
    """A clip in memory, before it is written."""

    frames: NDArray[np.uint8]
    samples: NDArray[np.int16]
    truth: dict[str, NDArray[Any]]
    motion: Motion
    speech: Recording


def clip_content(plan: ClipPlan, *, size: int = 128) -> ClipContent:
    """Renders one clip.

    Args:
        plan: Which clip, from ``plan.clips_of``.
        size: Side of the picture in pixels, a multiple of 4.
    """
    who = identity_from_seed(plan.identity)
    speech = recording(plan.slice, plan.number)
    n_frames = speech.n_frames
    motion = motion_from_speech(speech.phonemes, speech.pitch, speech.loudness(), who, plan.id, n_frames)
    painter = painter_of(who, size)
    frames = np.stack([painter.paint(motion.state(frame)) for frame in range(n_frames)])
    samples = delayed(speech.samples, plan.offset * FRAME_SAMPLES)
    return ClipContent(frames, samples, truth_of(who, motion, size), motion, speech)


def reference_frame(content: ClipContent) -> int:
    """The frame that shows the face best: eyes open, mouth nearly closed, head most frontal."""
    pose, blink = content.truth["pose"], content.truth["blink"]
    opening = content.truth["mouth_opening"]
    cost = (
        np.abs(pose[:, 0]) * 0.05
        + np.abs(pose[:, 1]) * 0.05
        + opening * 4.0
        + np.maximum(blink[:, 0] - 0.2, 0.0) * 20.0
    )
    return int(np.argmin(cost))
