"""Whether the audio of training clips begins with their frames, judged by a speech encoder that knows mouths.

A set whose audio is shifted trains without a sign: the loss falls, and the mouths follow nothing.
"""

from __future__ import annotations

import numpy as np

from emo_models.emo.extensions.speech_net import SpeechNetEncoder
from emo_models.training.clips import TrainingClips, every_clip, moving
from emo_models.training.loop import Report
from emo_models.training.mouth_reader import lag_curve

CLIPS = 48
REACH = 12
"""Frames; shifts beyond that are not found."""
NEAR = 1
"""A frame early or late is within the accuracy of trackers and encoders."""
CLEAR = 0.15
"""How much better the mouths must fit elsewhere. Voices that the encoder does not know fit nowhere, and pass."""


def audio_lags(encoder: SpeechNetEncoder, clips: TrainingClips) -> dict[int, float]:
    """Mean correlation of predicted and labelled mouth opening at each lag; positive lags mean late audio.

    Args:
        encoder: Trained on aligned clips.
        clips: At most `CLIPS` of those with audio and labels are read, evenly spread.

    Returns:
        A value for each lag from ``-REACH`` to ``REACH`` frames; empty without such clips.
    """
    known = [clip for clip in every_clip(moving(clips, sound=True)) if clip.mouth_opening is not None]
    chosen = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, min(CLIPS, len(known))).astype(int))]
    if not chosen:
        return {}
    heard = [encoder.heard_opening(clip.audio, len(clip.frames)) for clip in chosen]
    labels = [np.asarray(clip.mouth_opening, dtype=np.float64) for clip in chosen]
    return lag_curve(heard, labels, reach=REACH)


def require_aligned(encoder: SpeechNetEncoder, clips: TrainingClips, *, report: Report) -> None:
    """Refuses clips whose mouths fit their audio clearly better at another lag than 0.

    Raises:
        ValueError: They do.
    """
    lags = audio_lags(encoder, clips)
    if not lags:
        return
    best = max(lags, key=lambda lag: lags[lag])
    if abs(best) > NEAR and lags[best] - max(lags[lag] for lag in range(-NEAR, NEAR + 1)) > CLEAR:
        raise ValueError(
            f"expected audio that begins with the first frame of its clip, found it {abs(best)} frames "
            f"{'late' if best > 0 else 'early'}: there the mouths fit it with r {lags[best]:.2f}, and with "
            f"{lags[0]:.2f} as the clips are; correct the set, or switch this off: check_alignment: false"
        )
    report(f"mouths fit the audio with r {lags[0]:.2f}, best at lag {best}")
