"""One attention site of the Backbone: self-attention, reference-attention, audio-attention, feed-forward.

The paper puts reference-attention where Stable Diffusion attends to text, and an audio-attention after each of them
(arXiv 2402.17485, section 3.2). Variant ``"cross"`` is that. Variant ``"concat"`` is the other reading found in public
code: the reference's tokens join the keys and values of self-attention, and the slot stays empty.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from emo_models.emo.attention import Attention, DistanceBias, FeedForward, KeyValue, no_bias
from emo_models.emo.conditions import ConditionMask

ReferenceVariant = Literal["cross", "concat"]
ReferenceFeature = Literal["output", "input"]


class ReferenceBlock(nn.Module):
    """Transformer block of the ReferenceNet: self-attention and feed-forward, no text, audio or time.

    Args:
        width: Channels.
        heads: Attention heads.
        feature: Which map is handed to the Backbone: the ``"output"`` of self-attention (the paper's words) or its
            normalised ``"input"`` (what every public reimplementation hands over).
    """

    def __init__(self, width: int, *, heads: int, feature: ReferenceFeature) -> None:
        super().__init__()
        self.feature = feature
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, heads=heads)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x [b, tokens, width]`` -> (the same shape, the feature for reference-attention)."""
        normed = self.norm1(x)
        attended = self.attn1(normed, self.attn1.project(normed))
        x = x + attended
        x = x + self.ff(self.norm3(x))
        return x, attended if self.feature == "output" else normed


class BackboneBlock(nn.Module):
    """Transformer block of the Backbone.

    Args:
        width: Channels.
        heads: Attention heads.
        audio_dim: Width of an audio token.
        variant: See the module's text.
        zero_init: Start with reference- and audio-attention switched off.
        distance_bias: Prefer near places in self- and reference-attention; see `DistanceBias`.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        audio_dim: int,
        variant: ReferenceVariant,
        zero_init: bool = True,
        distance_bias: bool = False,
    ) -> None:
        super().__init__()
        self.variant = variant
        self.distance = DistanceBias(heads) if distance_bias else None
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, heads=heads)
        if variant == "cross":
            self.norm2 = nn.LayerNorm(width)
            self.attn2 = Attention(width, context_dim=width, heads=heads, zero_out=zero_init)
        self.audio_norm = nn.LayerNorm(width)
        self.audio_attn = Attention(width, context_dim=audio_dim, heads=heads, zero_out=zero_init)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")

    def project_reference(self, feature: Tensor) -> KeyValue:
        """Keys and values of the reference's tokens ``[b, tokens, width]``; once per clip."""
        attention = self.attn2 if self.variant == "cross" else self.attn1
        return attention.project(feature)

    def project_audio(self, tokens: Tensor) -> KeyValue:
        """Keys and values of audio tokens ``[b, f, k, audio_dim]``; the frames join the batch. Once per clip."""
        return self.audio_attn.project(tokens.flatten(0, 1))

    def forward(
        self,
        x: Tensor,
        *,
        frames: int,
        reference: KeyValue | None,
        audio: KeyValue | None,
        condition_mask: ConditionMask,
    ) -> Tensor:
        """One site.

        Args:
            x: ``[b*f, tokens, width]``.
            frames: f.
            reference: Keys and values with batch b, shared by the frames.
            audio: Keys and values with batch b*f.
            condition_mask: Which samples have a reference and audio.

        Returns:
            The same shape as ``x``.
        """
        x = x + self._self_attention(self.norm1(x), frames=frames, reference=reference, condition_mask=condition_mask)
        if self.variant == "cross" and reference is not None:
            # All frames of a clip ask the same keys: fold them into the queries instead of repeating the keys.
            queries = torch.unflatten(self.norm2(x), 0, (-1, frames)).flatten(1, 2)
            near = None if self.distance is None else self.distance(x.shape[1]).seen_from(frames)
            seen = condition_mask.apply(self.attn2(queries, reference, bias=near), condition_mask.reference)
            x = x + torch.unflatten(seen, 1, (frames, -1)).flatten(0, 1)
        if audio is not None:
            heard = torch.unflatten(self.audio_attn(self.audio_norm(x), audio), 0, (-1, frames))
            x = x + condition_mask.apply(heard, condition_mask.audio).flatten(0, 1)
        out: Tensor = x + self.ff(self.norm3(x))
        return out

    def _self_attention(
        self, x: Tensor, *, frames: int, reference: KeyValue | None, condition_mask: ConditionMask
    ) -> Tensor:
        own = self.attn1.project(x)
        near = None if self.distance is None else self.distance(x.shape[1])
        if self.variant == "cross" or reference is None:
            alone: Tensor = self.attn1(x, own, bias=near)
            return alone
        key, value = (part.to(x.dtype).repeat_interleave(frames, 0) for part in reference)
        joined = KeyValue(torch.cat([own.key, key], 2), torch.cat([own.value, value], 2))
        if near is None and condition_mask.reference is not None:
            near = no_bias(x.shape[1], x.shape[1], device=x.device)
        gate = None if condition_mask.reference is None else condition_mask.reference.repeat_interleave(frames)
        out: Tensor = self.attn1(x, joined, bias=None if near is None else near.beside(near.closed(gate)))
        return out


class Site(nn.Module):
    """Image map to tokens and back around one block, with the layout and names of Stable Diffusion 1.5."""

    def __init__(self, width: int, block: nn.Module, *, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = nn.Conv2d(width, width, 1)

    @property
    def block(self) -> nn.Module:
        """The only transformer block of the site."""
        return self.transformer_blocks[0]

    def tokens(self, x: Tensor) -> Tensor:
        """``[b, c, h, w]`` -> ``[b, h*w, c]``."""
        inner: Tensor = self.proj_in(self.norm(x))
        return inner.flatten(2).transpose(1, 2)

    def image(self, tokens: Tensor, residual: Tensor) -> Tensor:
        """``[b, h*w, c]`` back to ``[b, c, h, w]``, added to ``residual``."""
        out: Tensor = self.proj_out(torch.unflatten(tokens.transpose(1, 2), 2, residual.shape[2:])) + residual
        return out
