"""Whether the audio of training clips begins with their frames, judged by a speech encoder that knows mouths.

A set whose audio is shifted trains without a sign: the loss falls, and the mouths follow nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emo_models.emo.extensions.speech_net import SpeechNetEncoder
from emo_models.training.clips import TrainingClips, every_clip, moving
from emo_models.training.loop import Report
from emo_models.training.mouth_reader import lag_curve

CLIPS = 48
LEAST = 8
"""Fewer clips agree by chance."""
REACH = 12
"""Frames; shifts beyond that are not found."""
NEAR = 1
"""A frame early or late is within the accuracy of trackers and encoders."""
CLEAR = 0.15
"""How much better the mouths must fit elsewhere. Voices that the encoder does not know fit nowhere, and pass."""
ERRORS = 4.0
"""How many standard errors of its mean over clips that difference must be above 0; the best of many lags is taken."""


def audio_lags(encoder: SpeechNetEncoder, clips: TrainingClips) -> dict[int, NDArray[np.float64]]:
    """Correlation of predicted and labelled mouth opening at each lag; positive lags mean late audio.

    Args:
        encoder: Trained on aligned clips.
        clips: At most `CLIPS` of those with audio and labels are read, evenly spread.

    Returns:
        ``float64 [clips read]`` for each lag from ``-REACH`` to ``REACH`` frames; empty with fewer than `LEAST` clips.
    """
    known = [clip for clip in every_clip(moving(clips, sound=True)) if clip.mouth_opening is not None]
    if len(known) < LEAST:
        return {}
    chosen = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, min(CLIPS, len(known))).astype(int))]
    heard = [encoder.heard_opening(clip.audio, len(clip.frames)) for clip in chosen]
    labels = [np.asarray(clip.mouth_opening, dtype=np.float64) for clip in chosen]
    curves = [lag_curve([one], [label], reach=REACH) for one, label in zip(heard, labels, strict=True)]
    return {lag: np.array([curve[lag] for curve in curves]) for lag in curves[0]}


def require_aligned(encoder: SpeechNetEncoder, clips: TrainingClips, *, report: Report) -> None:
    """Refuses clips whose mouths fit their audio clearly better at another lag than 0.

    Raises:
        ValueError: They do.
    """
    lags = audio_lags(encoder, clips)
    if not lags:
        report(
            f"whether the audio begins with the frames is not checked: fewer than {LEAST} clips have both and labels"
        )
        return
    mean = {lag: float(values.mean()) for lag, values in lags.items()}
    best = max(mean, key=lambda lag: mean[lag])
    near = max(range(-NEAR, NEAR + 1), key=lambda lag: mean[lag])
    more = lags[best] - lags[near]
    error = float(more.std(ddof=1) / np.sqrt(len(more)))
    if abs(best) > NEAR and more.mean() > max(CLEAR, ERRORS * error):
        raise ValueError(
            f"expected audio that begins with the first frame of its clip, found it {abs(best)} frames "
            f"{'late' if best > 0 else 'early'}: there the mouths fit it with r {mean[best]:.2f}, and with "
            f"{mean[0]:.2f} as the clips are; correct the set, or switch this off: check_alignment: false"
        )
    report(f"mouths fit the audio with r {mean[0]:.2f}, best at lag {best}")
