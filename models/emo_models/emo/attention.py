"""Attention whose keys and values can be made once and used at every denoising step."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from torch import Tensor, nn

__all__ = ["Attention", "DistanceBias", "FeedForward", "KeyValue"]


class KeyValue(NamedTuple):
    """Keys and values split into heads.

    Attributes:
        key: ``[b, heads, tokens, head_dim]``.
        value: The same shape.
    """

    key: Tensor
    value: Tensor

    def repeat(self, times: int) -> KeyValue:
        """The batch repeated as a whole, ``[times * b, ...]``: the passes of guidance side by side."""
        return KeyValue(self.key.repeat(times, 1, 1, 1), self.value.repeat(times, 1, 1, 1))


class Attention(nn.Module):
    """Multi-head attention with the parameter names of diffusers, split into `project` (keys, values) and `forward`.

    Args:
        query_dim: Width of the queries and of the output.
        context_dim: Width of what is attended to; ``None`` for self-attention.
        heads: Number of heads; must divide ``query_dim``.
        zero_out: Start with the output projection at zero, so that a residual branch begins as the identity.
    """

    def __init__(
        self, query_dim: int, *, context_dim: int | None = None, heads: int = 8, zero_out: bool = False
    ) -> None:
        super().__init__()
        if query_dim % heads:
            raise ValueError(f"expected a width divisible by the heads, found width {query_dim} and {heads} heads")
        width = query_dim if context_dim is None else context_dim
        self.heads = heads
        self.to_q = nn.Linear(query_dim, query_dim, bias=False)
        self.to_k = nn.Linear(width, query_dim, bias=False)
        self.to_v = nn.Linear(width, query_dim, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(query_dim, query_dim)])
        if zero_out:
            nn.init.zeros_(self.to_out[0].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.to_out[0].bias)  # type: ignore[arg-type]

    def _split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(-3, -2)

    def project(self, context: Tensor) -> KeyValue:
        """Keys and values of ``context [b, tokens, width]``."""
        return KeyValue(self._split(self.to_k(context)), self._split(self.to_v(context)))

    def forward(self, x: Tensor, keys: KeyValue, *, mask: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Attends from ``x [b, tokens, query_dim]`` to ``keys`` of the same batch.

        Args:
            x: Queries.
            keys: What `project` returned.
            mask: Boolean, true where attention is allowed, broadcastable to ``[b, heads, queries, keys]``.
            bias: Added to the scores, broadcastable to the same.
        """
        query = self._split(self.to_q(x))
        key, value = keys.key.to(query.dtype), keys.value.to(query.dtype)
        attended = attend(query, key, value, mask, None if bias is None else bias.to(query.dtype))
        out: Tensor = self.to_out[0](attended.transpose(-3, -2).flatten(-2))
        return out


class DistanceBias(nn.Module):
    """What attention on a square grid loses with distance: ``-slope * d^2`` in cells, one learned slope per head.

    A network without a prior has to find out that a face stands in about the same place in portrait and frame; with
    this it starts from there. Slopes begin at 2, 1/2, 1/8, …

    Args:
        heads: Number of heads.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.log_slope = nn.Parameter(torch.log(2.0 * 0.25 ** torch.arange(heads, dtype=torch.float32)))

    def forward(self, tokens: int) -> Tensor:
        """``[heads, tokens, tokens]`` for a grid of ``tokens`` cells, row by row.

        Raises:
            ValueError: The number of cells is no square.
        """
        side = math.isqrt(tokens)
        if side * side != tokens:
            raise ValueError(f"expected a square grid, found {tokens} cells")
        line = torch.arange(side, device=self.log_slope.device)
        cells = torch.cartesian_prod(line, line).float()
        squared = (cells[:, None] - cells[None]).square().sum(-1)
        return -self.log_slope.exp()[:, None, None] * squared


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Softmax attention over ``[b, heads, tokens, head_dim]``; fused where fusing pays.

    On a CPU the fused kernel's gradient is many times slower than two matrix products, so gradients take those.
    """
    if query.device.type != "cpu" or not (torch.is_grad_enabled() and query.requires_grad):
        steered = mask if bias is None else (bias if mask is None else bias.masked_fill(~mask, float("-inf")))
        fused: Tensor = F.scaled_dot_product_attention(query, key, value, attn_mask=steered)
        return fused
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    out: Tensor = scores.softmax(-1) @ value
    return out


def sinusoid(length: int, width: int) -> Tensor:
    """Positions ``[length, width]`` of "Attention is all you need": sines at even channels, cosines at odd ones."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-torch.log(torch.tensor(10000.0)) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return table
