"""Guidance with separate scales for audio, reference, speed and eyelids; its passes run as one batch. An extension.

The paper never mentions guidance; the scales are a choice of the user, and 1 means none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

Passes = tuple[tuple[bool, bool, bool, bool], ...]
"""(with reference, with audio, with speed, with closed eyelids) per pass; the last pass has everything."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How strongly to push towards the conditions.

    ``u + reference * (r - u) + audio * (ra - r) + speed * (ras - ra) + eyelids * (rase - ras)`` with u: no condition,
    r: reference only, ra: audio too, ras: speed too, rase: eyelids too. A condition whose scale is 1 needs no pass of
    its own.

    Attributes:
        audio: Scale of the audio.
        reference: Scale of the reference.
        speed: Scale of the head speed, where one is given.
        eyelids: Scale of closed eyes, in segments where a blink is due.
        interval: Shares of the noise schedule (1 is pure noise) between which audio and reference are strengthened;
            outside no pass is spent on them (arXiv 2404.07724). Speed and eyelids are strengthened everywhere: how far
            a head goes is settled while hardly anything is seen, and mouths are only later.
        rescale: Pull the result's deviation back to that of the conditional prediction, 0 (off) to 1.
    """

    audio: float = 1.0
    reference: float = 1.0
    speed: float = 1.0
    eyelids: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)
    rescale: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.interval
        if not 0 <= low <= high <= 1:
            raise ValueError(f"expected an interval within 0 and 1, the smaller number first, found {self.interval}")

    def at(self, share: float) -> Guidance:
        """What acts at a share of the noise schedule: this guidance, or of it that of speed and eyelids.

        >>> Guidance(audio=2.0, interval=(0.3, 0.8)).at(0.9).passes
        ((True, True, True, True),)
        >>> Guidance(audio=2.0, speed=6.0, interval=(0.3, 0.8)).at(0.9).passes
        ((True, True, False, True), (True, True, True, True))
        """
        low, high = self.interval
        return self if low <= share <= high else replace(self, audio=1.0, reference=1.0)

    def where(self, *, speed: bool, eyelids: bool) -> Guidance:
        """This guidance where a speed is given or not, and a blink is due or not: no pass is spent on what is not."""
        return replace(self, speed=self.speed if speed else 1.0, eyelids=self.eyelids if eyelids else 1.0)

    @property
    def passes(self) -> Passes:
        """The fewest passes that this guidance needs.

        >>> Guidance().passes, Guidance(audio=2.0).passes
        (((True, True, True, True),), ((True, False, True, True), (True, True, True, True)))
        >>> Guidance(speed=6.0, eyelids=2.0).passes
        ((True, True, False, False), (True, True, True, False), (True, True, True, True))
        """
        # A condition that is not strengthened is in every pass.
        speed, eyelids = self.speed == 1.0, self.eyelids == 1.0
        first: Passes = ()
        if self.reference != 1.0:
            first += ((False, False, speed, eyelids),)
        if self.audio != self.reference:
            first += ((True, False, speed, eyelids),)
        if not speed:
            first += ((True, True, False, eyelids),)
        if not eyelids:
            first += ((True, True, True, False),)
        return (*first, (True, True, True, True))

    @property
    def _scales(self) -> tuple[float, ...]:
        """One for each step from a pass to the next."""
        scales: tuple[float, ...] = ()
        if self.reference != 1.0:
            scales += (self.reference,)
        if self.audio != self.reference:
            scales += (self.audio,)
        if self.speed != 1.0:
            scales += (self.speed,)
        if self.eyelids != 1.0:
            scales += (self.eyelids,)
        return scales

    def combine(self, stacked: Tensor) -> Tensor:
        """Predictions of all passes ``[passes * b, ...]`` -> ``[b, ...]``."""
        parts = stacked.chunk(len(self.passes))
        guided = parts[0]
        for scale, (before, after) in zip(self._scales, pairwise(parts), strict=True):
            guided = guided + scale * (after - before)
        return self._rescaled(guided, parts[-1]) if len(parts) > 1 else guided

    def _rescaled(self, guided: Tensor, full: Tensor) -> Tensor:
        if not self.rescale:
            return guided
        dims = list(range(1, full.dim()))
        factor = full.std(dims, keepdim=True) / guided.std(dims, keepdim=True).clamp_min(1e-6)
        return guided * torch.lerp(torch.ones_like(factor), factor, self.rescale)
