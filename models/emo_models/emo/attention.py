"""Attention whose keys and values can be made once and used at every denoising step."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from torch import Tensor, nn

__all__ = ["Attention", "DistanceBias", "FeedForward", "KeyValue", "ScoreBias"]


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

    def forward(self, x: Tensor, keys: KeyValue, *, bias: ScoreBias | None = None) -> Tensor:
        """Attends from ``x [b, tokens, query_dim]`` to ``keys`` of the same batch; ``bias`` is added to the scores."""
        query = self._split(self.to_q(x))
        attended = attend(query, keys.key.to(query.dtype), keys.value.to(query.dtype), bias)
        out: Tensor = self.to_out[0](attended.transpose(-3, -2).flatten(-2))
        return out


class ScoreBias(NamedTuple):
    """A bias of attention scores that is a product of something per query and something per key.

    Both are appended to the heads' channels, so the matrix product that makes the scores adds the bias at no cost and
    fused kernels need no mask.

    Attributes:
        query: ``[queries, 3]``, numbers that bfloat16 holds exactly.
        key: ``float32 [b or 1, heads or 1, keys, 3]``.
    """

    query: Tensor
    key: Tensor

    def beside(self, other: ScoreBias) -> ScoreBias:
        """The bias for the keys of both, one after the other, seen from the same queries."""
        size = [max(a, b) for a, b in zip(self.key.shape[:2], other.key.shape[:2], strict=True)]
        return ScoreBias(self.query, torch.cat([part.key.expand(*size, -1, -1) for part in (self, other)], 2))

    def seen_from(self, frames: int) -> ScoreBias:
        """The same keys seen from the queries of several frames, one after the other."""
        return ScoreBias(self.query.repeat(frames, 1), self.key)

    def closed(self, gate: Tensor | None) -> ScoreBias:
        """The same where ``gate [b]`` is 1; no attention at all where it is 0."""
        if gate is None:
            return self
        shut = (1 - gate.float())[:, None, None, None] * torch.tensor([0.0, 0.0, CLOSED], device=gate.device)
        return ScoreBias(self.query, self.key + shut)

    def channels(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """``(query [queries, 8], key [b or 1, heads or 1, keys, 8])`` whose product is the bias, exact in ``dtype``."""
        # The keys' part is split into what the dtype holds and the rest: far places would be off by half a unit else.
        held = self.key.to(dtype)
        rest = (self.key - held.float()).to(dtype)
        query = self.query.to(dtype)
        # Two channels of padding: kernels want multiples of eight.
        return F.pad(torch.cat([query, query], -1), (0, 2)), F.pad(torch.cat([held, rest], -1), (0, 2))


CLOSED = -1e4
"""Bias of a key that must not be seen: its share underflows to exactly 0."""


def no_bias(queries: int, keys: int, *, device: torch.device) -> ScoreBias:
    """A bias of 0, to be `ScoreBias.closed`."""
    query = torch.tensor([0.0, 0.0, 1.0], device=device).expand(queries, 3)
    return ScoreBias(query, torch.zeros(1, 1, keys, 3, device=device))


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


def attend(query: Tensor, key: Tensor, value: Tensor, bias: ScoreBias | None = None) -> Tensor:
    """Softmax attention over ``[b, heads, tokens, head_dim]``; fused where fusing pays."""
    width = query.shape[-1]
    query = query * width**-0.5
    if bias is not None:
        beside_query, beside_key = bias.channels(query.dtype)
        query = torch.cat([query, beside_query.expand(*query.shape[:2], -1, -1)], -1)
        key = torch.cat([key, beside_key.expand(*key.shape[:2], -1, -1)], -1)
    if fusing_pays(query):
        # The kernels want one width for all three; zeros change neither scores nor values.
        widest = max(query.shape[-1], value.shape[-1])
        query, key, padded = (F.pad(x, (0, widest - x.shape[-1])) for x in (query, key, value))
        fused: Tensor = F.scaled_dot_product_attention(query, key, padded, scale=1.0)
        return fused[..., : value.shape[-1]]
    with torch.autocast("cpu", enabled=False):
        out: Tensor = (query @ key.transpose(-2, -1)).softmax(-1) @ value
    return out


def fusing_pays(query: Tensor) -> bool:
    """Everywhere but for gradients on a CPU.

    There the fused kernel's gradient is up to ten times slower than two matrix products with a softmax in the dtype of
    the scores.
    """
    return query.device.type != "cpu" or not (torch.is_grad_enabled() and query.requires_grad)


def sinusoid(length: int, width: int) -> Tensor:
    """Positions ``[length, width]`` of "Attention is all you need": sines at even channels, cosines at odd ones."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-torch.log(torch.tensor(10000.0)) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return table
