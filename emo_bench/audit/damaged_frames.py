"""Damage to each frame independently: blur, noise and compression."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from emo_bench.audit.distortions import Distortion, Original
from emo_bench.media.types import FrameArray, Video

REFERENCE_SIDE = 256
"""Blur is stated for an image whose shorter side has so many pixels."""


def per_piece(video: Video, change: Callable[[], Callable[[FrameArray], FrameArray]]) -> Video:
    """A video whose pieces go through a function; ``change`` makes it anew at every reading."""

    def pieces() -> Iterator[FrameArray]:
        apply = change()
        for piece in video.open():
            yield apply(piece)

    return Video(video.spec, pieces)


def blurred(original: Original, level: float) -> Video:
    """Gaussian blur, the same in all frames."""
    from emo_bench.train.distortions import blurred as blurred_tensor

    sigma = level * min(original.video.spec.width, original.video.spec.height) / REFERENCE_SIDE

    def apply(piece: FrameArray) -> FrameArray:
        import torch

        x = torch.from_numpy(np.ascontiguousarray(piece)).permute(0, 3, 1, 2).float() / 255.0
        out = (blurred_tensor(x, sigma) * 255.0).round().clamp(0, 255).to(torch.uint8)
        return np.asarray(out.permute(0, 2, 3, 1).contiguous().numpy(), dtype=np.uint8)

    return per_piece(original.video, lambda: apply)


def noisy(original: Original, level: float) -> Video:
    """Gaussian noise, fresh in every frame, pixel and channel."""

    def change() -> Callable[[FrameArray], FrameArray]:
        generator = original.draw()

        def apply(piece: FrameArray) -> FrameArray:
            noise = generator.standard_normal(piece.shape, dtype=np.float32) * np.float32(level)
            return np.clip(np.rint(piece + noise), 0, 255).astype(np.uint8)

        return apply

    return per_piece(original.video, change)


def compressed(original: Original, level: float) -> Video:
    """H.264 at a constant rate factor, decoded again."""
    from emo_bench.media.preview import encode_roundtrip

    return encode_roundtrip(original.video, crf=round(level))


BLUR = Distortion(
    name="blur",
    title="Blur",
    unit="σ, px of 256",
    levels=(0.5, 1, 2, 4, 8),
    change_video=blurred,
)
NOISE = Distortion(name="noise", title="Noise", unit="σ, grey levels", levels=(2, 5, 10, 20, 40), change_video=noisy)
COMPRESSION = Distortion(
    name="compression",
    title="Compression",
    unit="H.264 CRF",
    levels=(28, 34, 40, 46),
    change_video=compressed,
    most=51,
    whole=True,
)
