"""What creeps in over a long video: the face becomes another, changes colour, blurs, loses its voice, or jumps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    DRIFT,
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    ProtocolSpec,
    Unscored,
    ValueSpec,
)
from emo_metrics.extractors.face_crop_quality import FACE_CROP
from emo_metrics.faces.gaps import FACE, face_arrays

IDENTITY: Final = "identity/mobilefacenet@1"
LEAST_SECONDS: Final = 4.0
START_SECONDS: Final = 1.0
"""The beginning that identity and colour are compared with."""
PER: Final = 10.0
"""Slopes are changes per 10 s."""
JUMP_SECONDS: Final = 0.08
"""A jump is a change within this time, two frames at 25 fps: in a clip that shows every image twice (12.5 images a
second, or 25 at 50 fps) half of the steps from one frame to the next are none, and their median says nothing."""


def slope(values: NDArray[np.floating], *, fps: float) -> float:
    """Least-squares slope of a signal, per 10 seconds.

    Args:
        values: ``[n]``, NaN where unknown.
        fps: Rows per second.

    Returns:
        NaN with fewer than two known values.

    >>> round(slope(np.arange(50.0), fps=25.0), 6)
    250.0
    """
    y = np.asarray(values, dtype=np.float64)
    known = np.isfinite(y)
    if known.sum() < 2:
        return float("nan")
    t = np.flatnonzero(known) / fps
    t, y = t - t.mean(), y[known] - y[known].mean()
    return float((t @ y) / (t @ t) * PER)


def largest_jump(rows: NDArray[np.floating], *, fps: float) -> float:
    """The largest change within 0.08 s over the median one, on a logarithmic scale to the base 2.

    A change that is spread over time has a jump near that of any motion; a cut, or the boundary between two
    segments, stands out by itself. Repeating every frame at twice the frame rate does not change the value.

    Args:
        rows: ``[n, d]``, one a frame; a row with NaN is unknown.
        fps: Rows per second.

    Raises:
        ValueError: when fewer than ten changes are known or the median one is 0.
    """
    apart = max(2, round(JUMP_SECONDS * fps))
    known = np.asarray(rows, dtype=np.float64)
    steps = np.linalg.norm(known[apart:] - known[:-apart], axis=1)
    steps = steps[np.isfinite(steps)]
    if len(steps) < 10:
        raise ValueError(f"{len(steps)} pairs of frames {apart} apart show a face; 10 are needed")
    middle = float(np.median(steps))
    if middle <= 1e-9:
        raise ValueError(f"in half of the clip nothing changes within {apart} frames")
    return float(np.log2(steps.max() / middle))


def require_length(clip: ClipFeatures) -> None:
    """Refuses clips in which nothing can creep in.

    Raises:
        Unscored: ``too_short`` below 4 s.
    """
    if clip.n_frames < LEAST_SECONDS * float(clip.fps):
        raise Unscored("too_short", f"clip {clip.clip_id!r} is shorter than {LEAST_SECONDS:.0f} s")


def drift_value(key: str, label: str, unit: str, *, primary: bool = True) -> ValueSpec:
    """One value of a drift protocol."""
    return ValueSpec(key=key, label=label, direction=Direction.CLOSER_TO_GT, unit=unit, primary=primary)


class Drift(ClipMetric):
    """Slopes over time of identity, colour and sharpness, and the largest jump of identity and of colour."""

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="drift/open@2",
        title="Drift of identity, colour and sharpness over time, and jumps",
        family=Family.OPEN,
        granularity=Granularity.CLIP,
        values=(
            drift_value("identity-slope", "Identity drift", "cosine per 10 s"),
            drift_value("colour-slope", "Colour drift", "ΔE per 10 s"),
            drift_value("sharpness-slope", "Sharpness drift", "octaves per 10 s"),
            drift_value("identity-jump", "Identity jump", "octaves over the median change"),
            drift_value("colour-jump", "Colour jump", "octaves over the median change", primary=False),
        ),
        extractors=(IDENTITY, FACE_CROP, FACE),
        # Another person's real video drifts as any real video does.
        blind_to=frozenset({"other_identity"}),
        source="docs/protocols/drift-open.md",
        page="drift-open",
        group=DRIFT,
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """Slopes and jumps of one clip.

        Raises:
            Unscored: ``too_short`` below 4 s; ``no_face``; ``undefined`` when nothing changes in half of the clip.
        """
        require_length(generated)
        face_arrays(generated)
        fps = float(generated.fps)
        first = max(1, round(START_SECONDS * fps))
        identity = np.asarray(generated.arrays[IDENTITY]["embedding"], dtype=np.float64)
        lab = np.asarray(generated.arrays[FACE_CROP]["lab"], dtype=np.float64)
        sharp = np.asarray(generated.arrays[FACE_CROP]["sharpness"], dtype=np.float64)
        start = identity[:first][np.isfinite(identity[:first]).all(axis=1)]
        start_lab = lab[:first][np.isfinite(lab[:first]).all(axis=1)]
        if len(start) == 0 or len(start_lab) == 0:
            raise Unscored("no_face", f"clip {generated.clip_id!r} shows no face in its first second")
        own = start.mean(axis=0)
        try:
            jumps = {
                "identity-jump": largest_jump(identity, fps=fps),
                "colour-jump": largest_jump(lab, fps=fps),
            }
        except ValueError as error:
            raise Unscored("undefined", f"clip {generated.clip_id!r}: {error}") from error
        return {
            "identity-slope": slope(identity @ (own / np.linalg.norm(own)), fps=fps),
            "colour-slope": slope(np.linalg.norm(lab - start_lab.mean(axis=0), axis=1), fps=fps),
            "sharpness-slope": slope(np.log2(np.maximum(sharp, 1e-3)), fps=fps),
            **jumps,
        }
