"""What steers one clip, prepared once and used at every denoising step and in every guidance pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from emo_models.emo.attention import KeyValue


@dataclass(frozen=True, eq=False, kw_only=True)
class ConditionMask:
    """Which samples of the batch have a condition: 1 or 0 per sample, ``float [b]``; ``None`` means all have it.

    A closed gate removes the condition's contribution; it is how conditions are dropped in training and left out in
    the passes of guidance. For motion frames a closed gate means zero maps, as for a first clip.
    """

    reference: Tensor | None = None
    audio: Tensor | None = None
    motion: Tensor | None = None
    speed: Tensor | None = None

    @staticmethod
    def apply(x: Tensor, gate: Tensor | None) -> Tensor:
        """``x [b, ...]`` times the gate."""
        return x if gate is None else x * gate.to(x.dtype).view(-1, *[1] * (x.dim() - 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class ReferenceFeatures:
    """What one pass of the ReferenceNet over [reference; n motion frames] gives.

    Attributes:
        sites: Per attention site the reference's tokens, ``[b, h*w, c]``.
        motion: Per temporal module the maps of the motion frames, ``[b, n, c, h, w]``; empty without motion frames.
    """

    sites: tuple[Tensor, ...]
    motion: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class SegmentConditions:
    """Everything the Backbone needs besides the noisy latents and the time.

    Attributes:
        reference: Per attention site keys and values of the reference.
        audio: Per attention site keys and values of the audio, frames in the batch.
        motion: Per temporal module the motion maps; empty means zero maps.
        speed: Per temporal module keys and values of the speed features; empty means no speed control.
        locator: Encoded face region, ``[b, c, h, w]``, or ``None``.
        portrait: Latents of the reference image, ``[b, c, h, w]``, where the Backbone sees them beside its input.
        before: Motion frames as `EMOModel.to_residual` gives them, ``[b, n, c, h, w]``, where the Backbone sees them
            beside its input.
        condition_mask: Which samples have which condition.
    """

    reference: tuple[KeyValue, ...] = ()
    audio: tuple[KeyValue, ...] = ()
    motion: tuple[Tensor, ...] = ()
    speed: tuple[KeyValue, ...] = ()
    locator: Tensor | None = None
    portrait: Tensor | None = None
    before: Tensor | None = None
    condition_mask: ConditionMask = ConditionMask()

    def without_audio(self) -> SegmentConditions:
        """The same without sound."""
        return replace(self, audio=())

    def for_passes(self, passes: tuple[tuple[bool, bool, bool], ...]) -> SegmentConditions:
        """The conditions of one clip repeated for guidance passes ``(with reference, audio, speed)``, batched.

        Motion and face region stay in every pass.
        """
        if len(passes) == 1 and all(passes[0]):
            return self
        times = len(passes)
        size = self._batch()
        device = self.reference[0].key.device if self.reference else torch.device("cpu")
        gate = [torch.tensor(column, dtype=torch.float32, device=device) for column in zip(*passes, strict=True)]
        reference, audio, speed = (g.repeat_interleave(size) for g in gate)
        return replace(
            self,
            reference=tuple(kv.repeat(times) for kv in self.reference),
            audio=tuple(kv.repeat(times) for kv in self.audio),
            motion=tuple(m.repeat(times, 1, 1, 1, 1) for m in self.motion),
            speed=tuple(kv.repeat(times) for kv in self.speed),
            locator=None if self.locator is None else self.locator.repeat(times, 1, 1, 1),
            portrait=None if self.portrait is None else self.portrait.repeat(times, 1, 1, 1),
            before=None if self.before is None else self.before.repeat(times, 1, 1, 1, 1),
            condition_mask=ConditionMask(
                reference=reference,
                audio=audio,
                motion=None if self.condition_mask.motion is None else self.condition_mask.motion.repeat(times),
                speed=speed if self.condition_mask.speed is None else speed * self.condition_mask.speed.repeat(times),
            ),
        )

    def _batch(self) -> int:
        return len(self.reference[0].key) if self.reference else 1
