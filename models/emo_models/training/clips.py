"""The data protocol of training: what a source of clips has to provide."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Chooser = Callable[[np.random.Generator], int]
CLOSED = 0.5
"""From this closure on eyes count as closed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingClip:
    """One clip of training data, or a still: a clip of one frame. Boxes are (left, top, right, bottom) in pixels.

    Attributes:
        id: Name of the clip.
        frames: ``uint8 [T, H, W, 3]``; may lie on disk (a memory map).
        audio: Mono, 16 kHz, ``float32 [n]``; empty for clips without audio.
        mouth_boxes: ``float32 [T, 4]``.
        eye_boxes: ``float32 [T, 4]``, around both eyes.
        face_boxes: ``float32 [T, 4]``.
        head_speed: Degrees per frame, ``float32 [T]``.
        reference_index: The frame that serves as the portrait in evaluation.
        mouth_opening: Opening ``float32 [T]`` in any unit, where it is known.
        eye_closure: How far the eyes are closed, 0 to 1, ``float32 [T]``, where it is known.
        portrait: The still that a re-enacted clip was made of, ``uint8 [H, W, 3]``, where there is one.
        labels: Everything else that the set knows of each frame, ``[T, ...]`` by name.
        style: What kind of image it is, such as ``"anime"``; empty where nobody says.
        identity: Who is seen; empty where nobody says.
        digest: Of the file it was read from.
        beside: Digest of what was read beside it: labels, audio of its own and portrait; empty where nobody says.
        audio_offset: By how many frames the audio is known to come late.
        fps: Frames per second.
        weight: How often it is chosen relative to the others.
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
    portrait: NDArray[np.uint8] | None = None
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    style: str = ""
    identity: str = ""
    digest: str = ""
    beside: str = ""
    audio_offset: int = 0
    fps: float = 25.0
    weight: float = 1.0


class TrainingClips(Protocol):
    """A sequence of clips; reading one is cheap."""

    def __len__(self) -> int:
        """How many clips there are."""
        ...

    def __getitem__(self, index: int, /) -> TrainingClip:
        """The clip at ``index``."""
        ...


class Subset:
    """Some clips of a set, in the given order."""

    def __init__(self, clips: TrainingClips, places: Sequence[int]) -> None:
        self._clips, self._places = clips, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int, /) -> TrainingClip:
        return self._clips[self._places[index]]


def every_clip(clips: TrainingClips) -> Iterator[TrainingClip]:
    """The clips in order."""
    return (clips[index] for index in range(len(clips)))


def moving(clips: TrainingClips, *, sound: bool = False) -> TrainingClips:
    """The clips that are no stills; with ``sound`` those of them that have some."""
    places = [i for i, clip in enumerate(every_clip(clips)) if len(clip.frames) > 1 and (len(clip.audio) or not sound)]
    return clips if len(places) == len(clips) else Subset(clips, places)


def chooser(weights: Sequence[float]) -> Chooser:
    """A function that chooses a place by weight; where all weigh the same it asks the generator for an integer.

    Raises:
        ValueError: No weight is above 0.

    >>> chooser([0.0, 2.0])(np.random.default_rng(0))
    1
    """
    share = np.asarray(weights, dtype=np.float64)
    if not share.size or (share < 0).any() or not share.any():
        raise ValueError("expected clips with a weight above 0, found none")
    if (share == share[0]).all():
        return lambda rng: int(rng.integers(len(share)))
    share = share / share.sum()
    return lambda rng: int(rng.choice(len(share), p=share))


def step_generator(seed: int, purpose: str, *place: int) -> np.random.Generator:
    """A generator for one place in training: the same step draws the same numbers in every run, resumed or not."""
    text = "\x1f".join([str(seed), purpose, *map(str, place)]).encode()
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text).digest()[:8], "big")))
