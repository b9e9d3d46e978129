"""Temporal modules: attention along the frames, with the motion frames in front and the speed inside.

Layout and parameter names are AnimateDiff's (as diffusers' ``MotionAdapter`` stores them), so its weights load as they
are. EMO adds two things: the maps of the motion frames are concatenated on the frame axis (section 3.2), and a
cross-attention to the speed features along time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emo_models.emo.architecture import TemporalConfig
from emo_models.emo.attention import Attention, FeedForward, KeyValue, sinusoid
from emo_models.emo.conditions import BackboneContext, ConditionMask


class TemporalBlock(nn.Module):
    """Two temporal self-attentions, speed cross-attention, feed-forward; tokens are frames, the batch is pixels."""

    positions: Tensor

    def __init__(self, width: int, *, heads: int, max_frames: int, speed_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, heads=heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, heads=heads)
        self.speed_norm = nn.LayerNorm(width)
        self.speed_attn = Attention(width, context_dim=speed_dim, heads=heads, zero_out=True)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")
        self.register_buffer("positions", sinusoid(max_frames, width), persistent=False)

    def forward(self, x: Tensor, *, frames: int, pixels: int, speed: KeyValue | None, mask: ConditionMask) -> Tensor:
        """``x [b*pixels, n+f, width]`` -> ``[b*pixels, f, width]``: the motion frames are dropped when not needed."""
        positions = self.positions[: x.shape[1]].to(x.dtype)
        normed = self.norm1(x) + positions
        x = x + self.attn1(normed, self.attn1.project(normed))
        normed = self.norm2(x) + positions
        # Beyond this point only the generated frames are read, so only they are computed.
        x = x[:, -frames:]
        x = x + self.attn2(normed[:, -frames:], self.attn2.project(normed))
        if speed is not None:
            # One set of keys per segment: the pixels of a segment fold into its queries.
            placed = self.speed_norm(x) + positions[-frames:]
            queries = torch.unflatten(placed, 0, (-1, pixels)).flatten(1, 2)
            steered = mask.apply(self.speed_attn(queries, speed), mask.speed)
            x = x + torch.unflatten(steered, 1, (pixels, frames)).flatten(0, 1)
        out: Tensor = x + self.ff(self.norm3(x))
        return out


class TemporalModule(nn.Module):
    """One temporal module behind one layer of the Backbone.

    Args:
        width: Channels.
        index: Its number among the Backbone's temporal modules: which of the prepared conditions are its own.
        config: Heads, longest n + f and normalisation.
        groups: Groups of the normalisation.
        motion_frames: n; a first segment has that many zero maps.
        speed_dim: Width of the speed features.
        zero_init: Start as the identity.
    """

    def __init__(
        self,
        width: int,
        index: int,
        config: TemporalConfig,
        *,
        groups: int,
        motion_frames: int,
        speed_dim: int,
        zero_init: bool = True,
    ) -> None:
        super().__init__()
        self.index = index
        self.motion_frames = motion_frames
        self.max_frames = config.max_frames
        self.statistics = config.norm
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.proj_in = nn.Linear(width, width)
        block = TemporalBlock(width, heads=config.heads, max_frames=config.max_frames, speed_dim=speed_dim)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = nn.Linear(width, width)
        if zero_init:
            nn.init.zeros_(self.proj_out.weight)
            nn.init.zeros_(self.proj_out.bias)

    def project_speed(self, features: Tensor) -> KeyValue:
        """Keys and values of speed features ``[b, f, speed_dim]``; once per segment."""
        block = self.transformer_blocks[0]
        assert isinstance(block, TemporalBlock)  # noqa: S101 - narrows the type
        return block.speed_attn.project(features)

    def forward(self, x: Tensor, context: BackboneContext) -> Tensor:
        """``x [b*f, c, h, w]`` -> the same shape, each frame informed by the others; unchanged for single images."""
        if not context.temporal:
            return x
        conditions = context.conditions
        mixed = self.mix_frames(
            torch.unflatten(x, 0, (-1, context.frames)),
            motion=conditions.motion_at(self.index),
            speed=conditions.speed_at(self.index),
            mask=conditions.condition_mask,
        )
        return mixed.flatten(0, 1)

    def mix_frames(self, x: Tensor, *, motion: Tensor | None, speed: KeyValue | None, mask: ConditionMask) -> Tensor:
        """Attention along the frames.

        Args:
            x: ``[b, f, c, h, w]``.
            motion: Maps of the motion frames ``[b, n, c, h, w]``; ``None`` for a first segment: zero maps.
            speed: Keys and values of the speed features, or ``None``.
            mask: Which samples have motion frames and speed.

        Returns:
            ``[b, f, c, h, w]``.
        """
        b, f, c, h, w = x.shape
        if motion is None:
            motion = x.new_zeros(b, self.motion_frames, c, h, w)
        maps = torch.cat([mask.apply(motion.to(x.dtype), mask.motion), x], 1)
        if maps.shape[1] > self.max_frames:
            raise ValueError(
                f"expected at most {self.max_frames} frames with motion frames, found {maps.shape[1]}; "
                "make temporal.max_frames larger or the segment shorter"
            )
        tokens = self._normalise(maps).permute(0, 3, 4, 1, 2).reshape(b * h * w, -1, c)
        tokens = self.proj_in(tokens)
        tokens = self.transformer_blocks[0](tokens, frames=f, pixels=h * w, speed=speed, mask=mask)
        out: Tensor = self.proj_out(tokens).reshape(b, h, w, f, c).permute(0, 3, 4, 1, 2)
        return x + out

    def _normalise(self, x: Tensor) -> Tensor:
        if self.statistics == "clip":
            normed: Tensor = self.norm(x.transpose(1, 2))
            return normed.transpose(1, 2)
        per_frame: Tensor = self.norm(x.flatten(0, 1))
        return torch.unflatten(per_frame, 0, x.shape[:2])
