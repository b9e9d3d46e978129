"""The sizes of Wav2Lip's three networks; the defaults are those of the published checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

MEL_BANDS: Final = 80
"""Mel bands of the audio input."""
MEL_STEPS: Final = 16
"""Mel steps of one audio window, 0.2 s."""
SYNC_FRAMES: Final = 5
"""Frames that the sync expert sees together, also 0.2 s at 25 frames a second."""


@dataclass(frozen=True, kw_only=True)
class Wav2LipConfig:
    """Width and image size shared by generator, sync expert and discriminator.

    Attributes:
        width: Multiplies every number of channels; 1 is published.
        image_size: Side of the face crop in pixels: 96 (published) or 48, which leaves out the finest level.
        window_start: First frame of a frame's audio window relative to that frame. Published inference starts it at
            the frame itself (0), published training one frame before (-1); -2 puts the frame in its middle.

    >>> Wav2LipConfig().channels(512), Wav2LipConfig(width=0.25).channels(512)
    (512, 128)
    """

    width: float = 1.0
    image_size: int = 96
    window_start: int = 0

    def __post_init__(self) -> None:
        """Refuses sizes that the networks cannot have."""
        if not 0 < self.width <= 4:
            raise ValueError(f"expected 0 < width <= 4, found {self.width}")
        if self.image_size not in (48, 96) or not isinstance(self.image_size, int):
            raise ValueError(f"expected image_size 48 or 96, found {self.image_size}")
        if not -8 <= self.window_start <= 8 or not isinstance(self.window_start, int):
            raise ValueError(f"expected a whole number -8 <= window_start <= 8, found {self.window_start}")

    def channels(self, published: int) -> int:
        """The number of channels where the published network has ``published``."""
        return max(4, round(published * self.width))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Wav2LipConfig:
        """The inverse of ``to_dict``.

        Raises:
            ValueError: for unknown keys or impossible sizes.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown keys in a Wav2Lip configuration: {', '.join(unknown)}")
        return cls(**values)
