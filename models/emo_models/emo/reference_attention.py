"""The transformers of ReferenceNet and Backbone: self-, reference- and audio-attention, feed-forward.

The paper puts reference-attention where Stable Diffusion attends to text, and an audio-attention after each of them
(arXiv 2402.17485, section 3.2). `CrossReferenceBlock` is that. `ConcatReferenceBlock` is the other reading found in
public code: the reference's tokens join the keys and values of self-attention, and the place of text attention is
empty. Another variant is another subclass of `BackboneBlock` with an entry in `REFERENCE_VARIANTS`.
"""

from __future__ import annotations

from torch import Tensor, cat, nn, unflatten

from emo_models.emo.architecture import ReferenceFeature
from emo_models.emo.attention import Attention, FeedForward, KeyValue, no_bias
from emo_models.emo.conditions import BackboneContext, ConditionMask
from emo_models.emo.extensions.distance_bias import DistanceBias


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

    def forward(self, x: Tensor, context: None) -> tuple[Tensor, Tensor]:
        """``x [b, tokens, width]`` -> (the same shape, the feature for reference-attention)."""
        normed = self.norm1(x)
        attended = self.attn1(normed, self.attn1.project(normed))
        x = x + attended
        x = x + self.ff(self.norm3(x))
        return x, attended if self.feature == "output" else normed


class BackboneBlock(nn.Module):
    """Transformer block of the Backbone; subclasses say how the reference enters.

    Args:
        width: Channels.
        index: Its number among the Backbone's transformer blocks: which of the prepared keys and values are its own.
        heads: Attention heads.
        audio_dim: Width of an audio token.
        zero_init: Start with reference- and audio-attention switched off.
        distance_bias: Prefer near places in self- and reference-attention; see `DistanceBias`.
    """

    def __init__(
        self,
        width: int,
        index: int,
        *,
        heads: int,
        audio_dim: int,
        zero_init: bool = True,
        distance_bias: bool = False,
    ) -> None:
        super().__init__()
        self.index = index
        self.distance = DistanceBias(heads) if distance_bias else None
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, heads=heads)
        self._add_reference_layers(width, heads=heads, zero_init=zero_init)
        self.audio_norm = nn.LayerNorm(width)
        self.audio_attn = Attention(width, context_dim=audio_dim, heads=heads, zero_out=zero_init)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")

    def _add_reference_layers(self, width: int, *, heads: int, zero_init: bool) -> None:
        """Layers that the variant needs besides self-attention; none by default."""

    def project_reference(self, feature: Tensor) -> KeyValue:
        """Keys and values of the reference's tokens ``[b, tokens, width]``; once per segment."""
        raise NotImplementedError

    def project_audio(self, tokens: Tensor) -> KeyValue:
        """Keys and values of audio tokens ``[b, f, k, audio_dim]``; the frames join the batch. Once per segment."""
        return self.audio_attn.project(tokens.flatten(0, 1))

    def forward(self, x: Tensor, context: BackboneContext) -> tuple[Tensor, None]:
        """``x [b*f, tokens, width]`` -> (the same shape, no feature)."""
        mask, frames = context.conditions.condition_mask, context.frames
        reference = context.conditions.reference_at(self.index)
        audio = context.conditions.audio_at(self.index)
        x = self.attend_spatially(x, reference, frames=frames, mask=mask)
        if audio is not None:
            attended = unflatten(self.audio_attn(self.audio_norm(x), audio), 0, (-1, frames))
            x = x + mask.apply(attended, mask.audio).flatten(0, 1)
        return x + self.ff(self.norm3(x)), None

    def attend_spatially(self, x: Tensor, reference: KeyValue | None, *, frames: int, mask: ConditionMask) -> Tensor:
        """Self- and reference-attention with their residual connections.

        Args:
            x: ``[b*f, tokens, width]``.
            reference: Keys and values with batch b, shared by the frames; ``None`` for no reference.
            frames: f.
            mask: Which samples have a reference.
        """
        raise NotImplementedError

    def self_attention(self, x: Tensor) -> Tensor:
        """Self-attention without the residual connection."""
        near = None if self.distance is None else self.distance(x.shape[1])
        attended: Tensor = self.attn1(x, self.attn1.project(x), bias=near)
        return attended


class CrossReferenceBlock(BackboneBlock):
    """Reference-attention as a cross-attention of its own behind self-attention, as in the paper."""

    def _add_reference_layers(self, width: int, *, heads: int, zero_init: bool) -> None:
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, context_dim=width, heads=heads, zero_out=zero_init)

    def project_reference(self, feature: Tensor) -> KeyValue:
        """See `BackboneBlock.project_reference`."""
        return self.attn2.project(feature)

    def attend_spatially(self, x: Tensor, reference: KeyValue | None, *, frames: int, mask: ConditionMask) -> Tensor:
        """See `BackboneBlock.attend_spatially`."""
        x = x + self.self_attention(self.norm1(x))
        if reference is None:
            return x
        # All frames of a segment attend to the same keys: fold them into the queries instead of repeating the keys.
        queries = unflatten(self.norm2(x), 0, (-1, frames)).flatten(1, 2)
        near = None if self.distance is None else self.distance(x.shape[1]).seen_from(frames)
        attended = mask.apply(self.attn2(queries, reference, bias=near), mask.reference)
        return x + unflatten(attended, 1, (frames, -1)).flatten(0, 1)


class ConcatReferenceBlock(BackboneBlock):
    """The reference's tokens beside the frame's own among the keys and values of self-attention."""

    def project_reference(self, feature: Tensor) -> KeyValue:
        """See `BackboneBlock.project_reference`."""
        return self.attn1.project(feature)

    def attend_spatially(self, x: Tensor, reference: KeyValue | None, *, frames: int, mask: ConditionMask) -> Tensor:
        """See `BackboneBlock.attend_spatially`."""
        normed = self.norm1(x)
        if reference is None:
            return x + self.self_attention(normed)
        own = self.attn1.project(normed)
        key, value = (part.to(x.dtype).repeat_interleave(frames, 0) for part in reference)
        keys = KeyValue(cat([own.key, key], 2), cat([own.value, value], 2))
        near = None if self.distance is None else self.distance(x.shape[1])
        if near is None and mask.reference is not None:
            near = no_bias(x.shape[1], x.shape[1], device=x.device)
        given = None if mask.reference is None else mask.reference.repeat_interleave(frames)
        bias = None if near is None else near.beside(near.closed(given))
        attended: Tensor = self.attn1(normed, keys, bias=bias)
        return x + attended


REFERENCE_VARIANTS: dict[str, type[BackboneBlock]] = {"cross": CrossReferenceBlock, "concat": ConcatReferenceBlock}


class SpatialTransformer(nn.Module):
    """Map to tokens and back around one transformer block, with the layout and names of Stable Diffusion 1.5.

    Args:
        width: Channels.
        block: The transformer block.
        groups: Groups of the normalisation.
    """

    def __init__(self, width: int, block: nn.Module, *, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, context: object) -> tuple[Tensor, Tensor | None]:
        """``x [b, c, h, w]`` -> (the same shape, the feature ``[b, h*w, c]`` that the block hands over, if any)."""
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        tokens, feature = self.transformer_blocks[0](tokens, context)
        image: Tensor = self.proj_out(unflatten(tokens.transpose(1, 2), 2, x.shape[2:]))
        return image + x, feature
