"""What steers one segment, prepared once and used at every denoising step and in every guidance pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from emo_models.emo.attention import KeyValue

T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True)
class ConditionMask:
    """Which samples of the batch have a condition: 1 or 0 per sample, ``float [b]``; ``None`` means all have it.

    A masked condition contributes nothing; it is how conditions are dropped in training and left out in the passes of
    guidance. Masked motion frames are zero maps, as for a first segment.
    """

    reference: Tensor | None = None
    audio: Tensor | None = None
    motion: Tensor | None = None
    speed: Tensor | None = None

    @staticmethod
    def apply(x: Tensor, mask: Tensor | None) -> Tensor:
        """``x [b, ...]`` times the mask ``[b]``."""
        return x if mask is None else x * mask.to(x.dtype).view(-1, *[1] * (x.dim() - 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class ReferenceFeatures:
    """What one pass of the ReferenceNet over [reference; n motion frames] gives.

    Attributes:
        tokens: Per transformer the reference's tokens, ``[b, h*w, c]``.
        motion: Per temporal module the maps of the motion frames, ``[b, n, c, h, w]``; empty without motion frames.
    """

    tokens: tuple[Tensor, ...]
    motion: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class SegmentConditions:
    """Everything the Backbone needs besides the noisy latents and the time.

    Attributes:
        reference: Per transformer block keys and values of the reference.
        audio: Per transformer block keys and values of the audio, frames in the batch.
        motion: Per temporal module the motion maps; empty means zero maps.
        speed: Per temporal module keys and values of the speed features; empty means no speed control.
        locator: Encoded face region, ``[b, c, h, w]``, or ``None``.
        portrait: Latents of the reference image, ``[b, c, h, w]``, where the Backbone sees them beside its input.
        motion_channels: Motion frames as `EMOModel.to_residual` gives them, ``[b, n, c, h, w]``, where the Backbone
            sees them beside its input.
        eyelids: How far the eyes are closed around each frame, ``[b, f, 2m + 1]``, or ``None`` for open eyes.
        condition_mask: Which samples have which condition.
    """

    reference: tuple[KeyValue, ...] = ()
    audio: tuple[KeyValue, ...] = ()
    motion: tuple[Tensor, ...] = ()
    speed: tuple[KeyValue, ...] = ()
    locator: Tensor | None = None
    portrait: Tensor | None = None
    motion_channels: Tensor | None = None
    eyelids: Tensor | None = None
    condition_mask: ConditionMask = ConditionMask()

    def reference_at(self, block: int) -> KeyValue | None:
        """The reference's keys and values for one transformer block."""
        return _at(self.reference, block)

    def audio_at(self, block: int) -> KeyValue | None:
        """The audio's keys and values for one transformer block."""
        return _at(self.audio, block)

    def motion_at(self, module: int) -> Tensor | None:
        """The motion maps for one temporal module."""
        return _at(self.motion, module)

    def speed_at(self, module: int) -> KeyValue | None:
        """The speed's keys and values for one temporal module."""
        return _at(self.speed, module)

    def without_audio(self) -> SegmentConditions:
        """The same without audio."""
        return replace(self, audio=())

    def for_passes(self, passes: tuple[tuple[bool, bool, bool, bool], ...]) -> SegmentConditions:
        """The conditions of one segment repeated for guidance passes ``(with reference, audio, speed, eyelids)``.

        Motion and face region stay in every pass; without eyelids the eyes are open.
        """
        if len(passes) == 1 and all(passes[0]):
            return self
        times = len(passes)
        size = self._batch()
        device = self.reference[0].key.device if self.reference else torch.device("cpu")
        columns = [torch.tensor(column, dtype=torch.float32, device=device) for column in zip(*passes, strict=True)]
        reference, audio, speed, closed = (column.repeat_interleave(size) for column in columns)
        own = self.condition_mask
        return replace(
            self,
            reference=tuple(kv.repeat(times) for kv in self.reference),
            audio=tuple(kv.repeat(times) for kv in self.audio),
            motion=tuple(m.repeat(times, 1, 1, 1, 1) for m in self.motion),
            speed=tuple(kv.repeat(times) for kv in self.speed),
            locator=_repeated(self.locator, times),
            portrait=_repeated(self.portrait, times),
            motion_channels=_repeated(self.motion_channels, times),
            eyelids=None if self.eyelids is None else self.eyelids.repeat(times, 1, 1) * closed[:, None, None],
            condition_mask=ConditionMask(
                reference=ConditionMask.apply(reference, _repeated(own.reference, times)),
                audio=ConditionMask.apply(audio, _repeated(own.audio, times)),
                motion=_repeated(own.motion, times),
                speed=ConditionMask.apply(speed, _repeated(own.speed, times)),
            ),
        )

    def _batch(self) -> int:
        return len(self.reference[0].key) if self.reference else 1


@dataclass(frozen=True, eq=False, kw_only=True)
class BackboneContext:
    """What every transformer and temporal module of the Backbone is given in one denoising step.

    Attributes:
        conditions: What steers the segment.
        frames: f.
        temporal: Whether temporal modules act.
    """

    conditions: SegmentConditions
    frames: int
    temporal: bool = True


def _at(values: tuple[T, ...], index: int) -> T | None:
    return values[index] if values else None


def _repeated(x: Tensor | None, times: int) -> Tensor | None:
    return None if x is None else x.repeat(times, *[1] * (x.dim() - 1))
