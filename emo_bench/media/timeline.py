"""Pure arithmetic of time stamps: which source frame each output frame shows, and how regular a video is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from statistics import median_low

TOLERANCE = Fraction(1, 2000)
"""Half a millisecond: containers round time stamps, and a clip that misses its last frame by less has that frame."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When the frames of a video are shown.

    Attributes:
        stamps: Presentation times in units of ``unit``, strictly increasing.
        last_duration: How long the last frame stays, in the same units.
        unit: Seconds per unit.
    """

    stamps: tuple[int, ...]
    last_duration: int
    unit: Fraction

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def start(self) -> Fraction:
        """Time of the first frame on the container's timeline, in seconds."""
        return self.stamps[0] * self.unit

    @property
    def seconds(self) -> Fraction:
        """From the first frame to the end of the last one."""
        return (self.stamps[-1] + self.last_duration - self.stamps[0]) * self.unit

    @property
    def average_fps(self) -> Fraction:
        """Frames divided by duration."""
        return len(self.stamps) / self.seconds

    def intervals(self) -> tuple[Fraction, Fraction]:
        """Shortest and longest time between neighbouring frames in seconds; the duration twice for one frame."""
        steps = self._steps()
        return (min(steps) * self.unit, max(steps) * self.unit) if steps else (self.seconds, self.seconds)

    @property
    def is_variable(self) -> bool:
        """Whether any interval differs from the usual one by more than 10 % and 1 ms (coarser than any rounding)."""
        steps = self._steps()
        if not steps:
            return False
        usual = median_low(steps)
        allowed = usual / 10 + Fraction(1, 1000) / self.unit
        return max(steps) - usual > allowed or usual - min(steps) > allowed

    def _steps(self) -> list[int]:
        return [later - earlier for earlier, later in zip(self.stamps, self.stamps[1:], strict=False)]


def count_frames(seconds: Fraction, *, fps: Fraction) -> int:
    """How many whole frames fit in a duration, forgiving half a millisecond.

    >>> count_frames(Fraction(19999, 5000), fps=Fraction(25)), count_frames(Fraction(399, 100), fps=Fraction(25))
    (100, 99)
    """
    return int((seconds + TOLERANCE) * fps // 1)


def source_indices(timeline: Timeline, *, fps: Fraction, n_frames: int) -> list[int]:
    """For each output frame the source frame it shows: the one presented nearest to ``i / fps``, the earlier on ties.

    Times count from the first source frame, so a constant-rate video at ``fps`` passes through untouched.

    >>> timeline = Timeline(stamps=(0, 1, 2, 3), last_duration=1, unit=Fraction(1, 50))
    >>> source_indices(timeline, fps=Fraction(25), n_frames=2)
    [0, 2]
    """
    # Everything is multiplied by the denominators, so the comparison is exact.
    scale = fps.numerator * timeline.unit.numerator
    step = fps.denominator * timeline.unit.denominator
    first = timeline.stamps[0]
    times = [(stamp - first) * scale for stamp in timeline.stamps]
    indices: list[int] = []
    nearest = 0
    for output in range(n_frames):
        wanted = output * step
        while nearest + 1 < len(times) and abs(times[nearest + 1] - wanted) < abs(times[nearest] - wanted):
            nearest += 1
        indices.append(nearest)
    return indices
