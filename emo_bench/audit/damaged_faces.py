"""Damage to the face: wrong mouth motion, and the wrong person.

Expression noise comes in two forms that need no truth, only a face box: ``mouth-warp`` opens, shuts, widens and narrows
the mouth at random; ``mouth-jitter`` shows the mouth of a nearby moment on the right face, so that every single image
stays plausible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from emo_bench.audit.damaged_frames import per_piece
from emo_bench.audit.damaged_time import nearby_times, with_other_times
from emo_bench.audit.distortions import Box, Distortion, Original
from emo_bench.media.types import FrameArray, Video

MOUTH_HEIGHT = 0.76
"""Where the mouth lies in a face box, from its top: 0 is the top, 1 the chin."""
MOUTH_RADII = (0.30, 0.17)
"""Half width and half height of the region around it, in face heights; its edge is soft."""


def mouth_weights(box: Box, *, height: int, width: int) -> NDArray[np.float32]:
    """How much each pixel belongs to the region of the mouth: 1 in the middle, 0 outside; ``float32 [H, W]``."""
    x, y = _mouth_coordinates(box, height=height, width=width)
    inside = np.clip(1.0 - (x**2 + y**2), 0.0, 1.0)
    smooth: NDArray[np.float32] = np.clip(inside * 2.0, 0.0, 1.0).astype(np.float32)
    return smooth * smooth * (3 - 2 * smooth)


def _mouth_coordinates(box: Box, *, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance from the mouth, in radii of its region, across ``[1, W]`` and down ``[H, 1]``."""
    left, top, right, bottom = box
    tall = max(1.0, bottom - top)
    x = (np.arange(width, dtype=np.float32)[None] - (left + right) / 2) / (MOUTH_RADII[0] * tall)
    y = (np.arange(height, dtype=np.float32)[:, None] - (top + MOUTH_HEIGHT * tall)) / (MOUTH_RADII[1] * tall)
    return x.astype(np.float32), y.astype(np.float32)


def mouth_warped(original: Original, level: float) -> Video:
    """The mouth is stretched up and down and sideways by smooth random amounts, another in every frame."""
    spec = original.video.spec
    box = original.face
    tall = box[3] - box[1]
    weights = mouth_weights(box, height=spec.height, width=spec.width)
    x, y = _mouth_coordinates(box, height=spec.height, width=spec.width)
    # Amounts follow each other smoothly over about three frames, as speech does.
    raw = original.draw().standard_normal((spec.n_frames + 2, 2))
    amounts = (raw[:-2] + 2 * raw[1:-1] + raw[2:]) / np.sqrt(6.0) * level / 100.0 * tall

    def change() -> Callable[[FrameArray], FrameArray]:
        seen = 0

        def apply(piece: FrameArray) -> FrameArray:
            nonlocal seen
            import cv2

            rows, columns = np.mgrid[: spec.height, : spec.width].astype(np.float32)
            shown = []
            for frame, (down, across) in zip(piece, amounts[seen : seen + len(piece)], strict=True):
                from_x = columns - np.float32(0.5 * across) * x * weights
                from_y = rows - np.float32(down) * y * weights
                shown.append(cv2.remap(frame, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
            seen += len(piece)
            return np.asarray(np.stack(shown), dtype=np.uint8)

        return apply

    return per_piece(original.video, change)


def mouth_jittered(original: Original, level: float) -> Video:
    """The region of the mouth comes from another frame nearby, with a soft edge."""
    spec = original.video.spec
    weights = mouth_weights(original.face, height=spec.height, width=spec.width)[:, :, None]

    def combine(own: FrameArray, other: FrameArray) -> FrameArray:
        mixed = own + weights * (other.astype(np.float32) - own)
        return np.asarray(np.rint(mixed), dtype=np.uint8)

    return with_other_times(original.video, nearby_times(original, level), combine)


def swapped(original: Original, level: float) -> Video:
    """Another person's video for the first share of the clip, then the right one."""
    from emo_bench.extract.single_pass import paired

    partner, spec = original.stranger, original.video.spec
    until = round(min(1.0, level) * spec.n_frames)

    def pieces() -> Iterator[FrameArray]:
        start = 0
        for own, other in paired(original.video, partner):
            assert other is not None  # noqa: S101 - there is a second video
            strange = (start + np.arange(len(own)) < until)[:, None, None, None]
            yield np.where(strange, other, own).astype(np.uint8)
            start += len(own)

    return Video(spec, pieces)


MOUTH_WARP = Distortion(
    name="mouth-warp",
    title="Expression: warped",
    unit="σ, % of face",
    levels=(1, 2, 4, 8),
    change_video=mouth_warped,
    needs_face=True,
)
MOUTH_JITTER = Distortion(
    name="mouth-jitter",
    title="Expression: jittered",
    unit="± frames",
    levels=(1, 2, 4, 8, 16),
    change_video=mouth_jittered,
    whole=True,
    needs_face=True,
)
IDENTITY_SWAP = Distortion(
    name="identity-swap",
    title="Identity swap",
    unit="share of clip",
    levels=(0.1, 0.25, 0.5, 1.0),
    change_video=swapped,
    most=1.0,
    needs_partner=True,
    anchor="other-identity",
)
