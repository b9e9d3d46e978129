"""Attention whose keys and values can be made once and used at every denoising step."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from torch import Tensor, nn

__all__ = ["Attention", "FeedForward", "KeyValue", "ScoreBias"]


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
            for parameter in self.to_out.parameters():
                nn.init.zeros_(parameter)

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

    def closed(self, mask: Tensor | None) -> ScoreBias:
        """The same where ``mask [b]`` is 1; no attention at all where it is 0."""
        if mask is None:
            return self
        shut = (1 - mask.float())[:, None, None, None] * torch.tensor([0.0, 0.0, CLOSED], device=mask.device)
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
