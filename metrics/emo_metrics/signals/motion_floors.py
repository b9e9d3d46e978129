"""Least amplitudes of motion, in units of the face: below them what is measured is the noise of codec and landmarks.

Correlations, explained variance and beats do not know how large a motion is: the tremor of landmarks on a still image
that went through a codec would score as if it were motion. So a motion smaller than its floor has no such value.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Unscored
from emo_metrics.signals.time_series import smoothed

SMOOTHING_SECONDS: Final = 0.08
# Measured by benchmarks/motion_floors.py; docs/protocols/motion-floors.md has the numbers.
MOUTH_FLOOR: Final = 0.04
"""Opening of the lips in distances between the outer eye corners: about 3.5 mm."""
HEAD_FLOOR: Final = 0.8
"""Degrees about the axis that turns most."""
BROWS_FLOOR: Final = 0.06
"""In blendshapes."""
EYES_FLOOR: Final = 0.06
"""In blendshapes."""


def amplitude(values: NDArray[np.float64], *, fps: float) -> float:
    """How far a signal moves: from its 5th to its 95th percentile after a Gaussian of 0.08 s, in the signal's unit.

    Args:
        values: ``[n]`` or ``[n, k]``, NaN where unknown; of several columns the one that moves most counts.
        fps: Frames per second.

    Returns:
        At least 0; 0 when nothing is known.

    >>> amplitude(np.zeros(50), fps=25.0)
    0.0
    """
    columns = np.asarray(values, dtype=np.float64).reshape(len(values), -1).T
    return max((_span(column, fps) for column in columns), default=0.0)


def _span(column: NDArray[np.float64], fps: float) -> float:
    known = smoothed(column, deviation=SMOOTHING_SECONDS * fps)[np.isfinite(column)]
    if known.size == 0:
        return 0.0
    low, high = np.percentile(known, [5.0, 95.0])
    return float(high - low)


def require_motion(
    values: NDArray[np.float64], *, fps: float, floor: float, clip_id: str, what: str, unit: str
) -> None:
    """Refuses a motion below its floor.

    Args:
        values: As ``amplitude``.
        fps: Frames per second.
        floor: Least amplitude.
        clip_id: For the message.
        what: The part of the face, for the message.
        unit: Of the amplitude, for the message.

    Raises:
        Unscored: ``undefined`` with the amplitude and the floor.
    """
    found = amplitude(values, fps=fps)
    if found < floor:
        raise Unscored(
            "undefined",
            f"the {what} of clip {clip_id!r} moves by {found:.3g} {unit}; below {floor:g} {unit} it is noise of codec "
            "and landmarks, not motion",
        )
