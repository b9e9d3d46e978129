"""Attention that prefers near positions. An extension, for networks that start without a prior; the paper has none."""

from __future__ import annotations

import math

import torch
from torch import nn

from emo_models.emo.attention import ScoreBias


class DistanceBias(nn.Module):
    """What attention on a square grid loses with distance: ``-slope * d^2`` in cells, one learned slope per head.

    A network without a prior has to find out that a face stands in about the same place in portrait and frame; with
    this it starts from there. Slopes begin between 2 (first head) and 1/32 (last head).

    Args:
        heads: Number of heads.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.log_slope = nn.Parameter(torch.linspace(math.log(2.0), math.log(1 / 32), heads))

    def forward(self, tokens: int) -> ScoreBias:
        """For a grid of ``tokens`` cells, row by row.

        ``-d^2 = 2 q.k - |k|^2 - |q|^2``, and the last term is the same for all keys of a query, so softmax drops it.

        Raises:
            ValueError: The number of cells is no square.
        """
        side = math.isqrt(tokens)
        if side * side != tokens:
            raise ValueError(f"expected a square grid, found {tokens} cells")
        # Halves are exact in bfloat16, and a grid around zero keeps the products small.
        line = torch.arange(side, device=self.log_slope.device, dtype=torch.float32) - (side - 1) / 2
        cells = torch.cartesian_prod(line, line)
        query = torch.cat([cells, torch.ones(tokens, 1, device=cells.device)], 1)
        key = torch.cat([2 * cells, -cells.square().sum(1, keepdim=True)], 1)
        return ScoreBias(query, (self.log_slope.float().exp()[:, None, None] * key)[None])
