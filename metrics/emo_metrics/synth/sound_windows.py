"""The audio that the sync network reads: four rows of cepstra for each frame."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.extractors.sync_windows import to_int16
from emo_metrics.signals.mfcc import mfcc
from emo_metrics.synth.sync_network import PER_FRAME


def cepstra_of(audio: NDArray[np.float32], frames: int, *, rate: int = 16000) -> torch.Tensor:
    """The cepstra of a clip at 25 frames a second; what is missing at the end is repeated, what is too much left out.

    Args:
        audio: Mono, in [-1, 1].
        frames: How many video frames the clip has.
        rate: Samples per second of ``audio``.

    Returns:
        ``float32 [13, 4 * frames]``.
    """
    rows = mfcc(to_int16(audio, rate)).T.astype(np.float32)
    wanted = PER_FRAME * frames
    if rows.shape[1] < wanted:
        rows = np.concatenate([rows, np.repeat(rows[:, -1:], wanted - rows.shape[1], axis=1)], axis=1)
    return torch.from_numpy(rows[:, :wanted].copy())
