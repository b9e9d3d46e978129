"""Guidance with separate scales for audio and reference; its passes run as one batch.

The paper never mentions guidance; the scales are a choice of the user, and 1 means none.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Passes = tuple[tuple[bool, bool], ...]
"""(with reference, with audio) per pass; the last pass has everything."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How strongly to push towards the conditions.

    ``u + reference * (r - u) + audio * (ra - r)`` with u: neither, r: reference only, ra: both.

    Attributes:
        audio: Scale of the audio.
        reference: Scale of the reference.
        rescale: Pull the result's deviation back to that of the conditional prediction, 0 (off) to 1.
    """

    audio: float = 1.0
    reference: float = 1.0
    rescale: float = 0.0

    @property
    def passes(self) -> Passes:
        """The fewest passes that this guidance needs.

        >>> Guidance().passes, Guidance(audio=2.0).passes
        (((True, True),), ((True, False), (True, True)))
        """
        if self.reference == 1.0 and self.audio == 1.0:
            return ((True, True),)
        if self.reference == 1.0:
            return ((True, False), (True, True))
        if self.audio == self.reference:
            return ((False, False), (True, True))
        return ((False, False), (True, False), (True, True))

    def combine(self, stacked: Tensor) -> Tensor:
        """Predictions of all passes ``[passes * b, ...]`` -> ``[b, ...]``."""
        parts = stacked.chunk(len(self.passes))
        full = parts[-1]
        if len(parts) == 1:
            return full
        if len(parts) == 2:
            guided = parts[0] + self.audio * (full - parts[0])
        else:
            guided = parts[0] + self.reference * (parts[1] - parts[0]) + self.audio * (full - parts[1])
        return self._rescaled(guided, full)

    def _rescaled(self, guided: Tensor, full: Tensor) -> Tensor:
        if not self.rescale:
            return guided
        dims = list(range(1, full.dim()))
        factor = full.std(dims, keepdim=True) / guided.std(dims, keepdim=True).clamp_min(1e-6)
        return guided * torch.lerp(torch.ones_like(factor), factor, self.rescale)
