"""Audio that is late or early by an integer number of frames."""

from __future__ import annotations

from emo_bench.audit.distortions import Distortion, Original
from emo_bench.media.types import Audio
from emo_core.delay import delayed


def shifted(original: Original, frames: float) -> Audio:
    """Moves the audio later by so many frames (earlier if negative); silence fills the gap, the length stays."""
    samples, rate = original.audio.samples, original.audio.rate
    shift = round(frames * rate / float(original.video.spec.fps))
    return Audio(delayed(samples, shift), rate)


def late(original: Original, level: float) -> Audio:
    """Audio behind the frames."""
    return shifted(original, level)


def early(original: Original, level: float) -> Audio:
    """Audio ahead of the frames."""
    return shifted(original, -level)


LATE = Distortion(
    name="audio-late",
    title="Audio late",
    unit="frames",
    levels=(1, 2, 3, 5, 10),
    change_audio=late,
    anchor="shifted-audio",
)
EARLY = Distortion(
    name="audio-early",
    title="Audio early",
    unit="frames",
    levels=(1, 2, 3, 5, 10),
    change_audio=early,
    anchor="shifted-audio",
)
