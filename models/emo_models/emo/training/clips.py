"""What training asks of data; whoever holds the data hands it in as this."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

CLOSED = 0.5
"""From this closure on eyes count as closed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ClipRecord:
    """One clip of training data. Boxes are (left, top, right, bottom) in pixels.

    Attributes:
        id: Name of the clip.
        frames: ``uint8 [T, H, W, 3]``; may lie on disk (a memory map).
        audio: Mono, 16 kHz, ``float32 [n]``; empty for clips without sound.
        mouth_boxes: ``float32 [T, 4]``.
        eye_boxes: ``float32 [T, 4]``, around both eyes.
        face_boxes: ``float32 [T, 4]``.
        head_speed: Degrees per frame, ``float32 [T]``.
        reference_index: The frame that serves as the portrait in evaluation.
        mouth_opening: True opening ``float32 [T]`` in any unit, for diagnostics, where it is known.
        eye_closure: How far the eyes are closed, 0 to 1, ``float32 [T]``, where it is known.
        style: What kind of picture it is, such as ``"anime"``; empty where nobody says.
    """

    id: str
    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    mouth_boxes: NDArray[np.float32]
    eye_boxes: NDArray[np.float32]
    face_boxes: NDArray[np.float32]
    head_speed: NDArray[np.float32]
    reference_index: int
    mouth_opening: NDArray[np.float32] | None = None
    eye_closure: NDArray[np.float32] | None = None
    style: str = ""


class TrainingClips(Protocol):
    """A sequence of clips; reading one is cheap."""

    def __len__(self) -> int:
        """How many clips there are."""
        ...

    def __getitem__(self, index: int, /) -> ClipRecord:
        """The clip at ``index``."""
        ...


def step_generator(seed: int, purpose: str, *place: int) -> np.random.Generator:
    """A generator for one place in training: the same step draws the same numbers in every run, resumed or not."""
    text = "\x1f".join([str(seed), purpose, *map(str, place)]).encode()
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text).digest()[:8], "big")))
