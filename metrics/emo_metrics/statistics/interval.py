"""An interval and how it was made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Nominal coverage, for example 0.95.
        method: How it was made, for example ``cluster-bootstrap-bca``.
        n_units: Independent units (identities or clips) behind it.
    """

    low: float
    high: float
    level: float
    method: str
    n_units: int

    @property
    def half_width(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2.0

    def excludes(self, value: float) -> bool:
        """Whether ``value`` lies outside."""
        return value < self.low or value > self.high
