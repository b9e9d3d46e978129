"""How often and how long the eyes blink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    BLINKS,
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    ProtocolSpec,
    Unscored,
    ValueSpec,
)
from emo_metrics.faces.gaps import FACE, close_gaps, face_arrays, longest_gap
from emo_metrics.faces.landmark_sets import blendshape

RISE: Final = 0.25
"""A blink reaches this much above the clip's median."""
FALL: Final = 0.15
"""It lasts as long as the eyes stay this much above the median."""
LONGEST_SECONDS: Final = 0.7
"""Eyes shut for longer are not a blink."""
LEAST_SECONDS: Final = 2.0


def blink_lengths(closed: NDArray[np.float64], *, fps: float) -> NDArray[np.float64]:
    """Finds blinks in a signal of how far the eyes are shut.

    A blink is a stretch of at most 0.7 s above median + 0.15 whose highest value is above median + 0.25; it lies
    wholly within the signal unless the signal ends during it, and NaN ends a stretch.

    Args:
        closed: ``[n]`` in [0, 1], NaN where unknown.
        fps: Frames per second.

    Returns:
        Length of each blink in seconds, in order.

    >>> eyes = np.zeros(50)
    >>> eyes[10:15] = 0.6
    >>> blink_lengths(eyes, fps=25.0).tolist()
    [0.2]
    """
    level = float(np.nanmedian(closed))
    shut = np.concatenate([[False], np.nan_to_num(closed, nan=-1.0) > level + FALL, [False]])
    edges = np.flatnonzero(shut[1:] != shut[:-1])
    starts, ends = edges[::2], edges[1::2]
    lengths = [
        (end - start) / fps
        for start, end in zip(starts, ends, strict=True)
        if np.max(closed[start:end]) > level + RISE and end - start <= LONGEST_SECONDS * fps
    ]
    return np.array(lengths, dtype=np.float64)


def _eyes(clip: ClipFeatures) -> NDArray[np.float64]:
    arrays = face_arrays(clip)
    if clip.n_frames < LEAST_SECONDS * float(clip.fps):
        raise Unscored(
            "too_short",
            f"clip {clip.clip_id!r} lasts {clip.n_frames / float(clip.fps):.2f} s; blinks are counted from "
            f"{LEAST_SECONDS:.0f} s on",
        )
    closed = blendshape(np.asarray(arrays["blendshapes"], dtype=np.float64), "eyeBlinkLeft", "eyeBlinkRight")
    return close_gaps(closed, longest=longest_gap(clip))


def _spec(name: str, title: str, value: ValueSpec) -> ProtocolSpec:
    return ProtocolSpec(
        name=name,
        title=title,
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(value,),
        extractors=(FACE,),
        source="docs/protocols, own definition",
        page=name.split("@")[0].replace("/", "-"),
        group=BLINKS,
    )


class BlinkRate(ClipMetric):
    """Blinks a second, by MediaPipe's eyeBlink of both eyes; known time only."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "blink-rate/mediapipe@1",
        "Blinks a second",
        ValueSpec(key="blink-rate", label="Blinks", direction=Direction.CLOSER_TO_GT, unit="per second", decimals=2),
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The rate of one clip.

        Raises:
            Unscored: ``no_face``; ``too_short`` below 2 s.
        """
        eyes, fps = _eyes(generated), float(generated.fps)
        return {"blink-rate": float(len(blink_lengths(eyes, fps=fps)) / (np.isfinite(eyes).sum() / fps))}


class BlinkLength(ClipMetric):
    """Mean length of the blinks of a clip."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "blink-length/mediapipe@1",
        "Length of a blink",
        ValueSpec(key="blink-length", label="Blink length", direction=Direction.CLOSER_TO_GT, unit="seconds"),
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The mean length in one clip.

        Raises:
            Unscored: ``no_face``; ``too_short`` below 2 s; ``undefined`` without a blink.
        """
        lengths = blink_lengths(_eyes(generated), fps=float(generated.fps))
        if len(lengths) == 0:
            raise Unscored("undefined", f"clip {generated.clip_id!r} has no blink whose length could be measured")
        return {"blink-length": float(lengths.mean())}
