"""Speaks for a face: single images and videos of any length, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from emo_models.baselines.wav2lip.faces import (
    PUBLISHED_PADDING,
    PUBLISHED_SMOOTHING,
    Box,
    FrameArray,
    crop_face,
    generator_input,
    padded_box,
    painted_faces,
    paste_face,
    smoothed,
    whole_pixels,
)
from emo_models.baselines.wav2lip.generator import Generator
from emo_models.baselines.wav2lip.mel import mel_spectrogram, mel_windows

OpenFrames = Callable[[], Iterable[FrameArray]]
"""Starts reading a video from its first frame: pieces of ``uint8 RGB [t, H, W, 3]``."""
FaceLocator = Callable[[FrameArray], "tuple[float, float, float, float] | None"]
"""Finds the face in one ``uint8 RGB [H, W, 3]``: left, top, right, bottom in pixels, or None."""


class FaceNotFoundError(ValueError):
    """A frame has no face where one is needed."""


@dataclass(frozen=True, kw_only=True)
class SpeakOptions:
    """Choices of inference; the defaults are the published program's.

    Attributes:
        padding: Pixels added above, below, left and right of the face box.
        smoothing: Frames over which the boxes of a video are averaged; 1 for none.
        feather: Pixels over which the pasted face blends into the frame; 0 for none.
        batch_size: Frames painted together; changes memory, not the meaning of the result.
    """

    padding: tuple[int, int, int, int] = PUBLISHED_PADDING
    smoothing: int = PUBLISHED_SMOOTHING
    feather: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        """Refuses values without a meaning."""
        if self.smoothing < 1 or self.feather < 0 or self.batch_size < 1:
            raise ValueError("expected smoothing >= 1, feather >= 0 and batch_size >= 1")


def still_frames(image: FrameArray) -> OpenFrames:
    """A 'video' of one frame, for speaking from a single image."""
    return lambda: iter([image[np.newaxis]])


def one_box(box: Sequence[float], *, options: SpeakOptions, height: int, width: int) -> list[Box]:
    """The box list of a face that stays where it is.

    Raises:
        ValueError: when too little of it lies inside the image.
    """
    padded = padded_box(box, padding=options.padding, height=height, width=width)
    return [whole_pixels(padded, height=height, width=width)]


def track_boxes(open_frames: OpenFrames, locate: FaceLocator, *, options: SpeakOptions, limit: int) -> list[Box]:
    """Finds, pads and smooths the face box of every frame.

    Args:
        open_frames: The video.
        locate: Finds a face.
        options: Padding and smoothing.
        limit: Look at no more than so many frames.

    Raises:
        FaceNotFoundError: for the first frame without a face (as the published program does).
    """
    rows: list[tuple[float, float, float, float]] = []
    height = width = 0
    for frame in _single(open_frames()):
        if len(rows) == limit:
            break
        height, width = frame.shape[:2]
        found = locate(frame)
        if found is None:
            raise FaceNotFoundError(f"no face in frame {len(rows)}; expected one in every frame")
        rows.append(padded_box(found, padding=options.padding, height=height, width=width))
    if not rows:
        raise FaceNotFoundError("the video has no frames; expected at least one")
    boxes = smoothed(np.floor(np.array(rows)), frames=options.smoothing)
    return [whole_pixels(row, height=height, width=width) for row in boxes]


def speak(
    generator: Generator,
    open_frames: OpenFrames,
    boxes: Sequence[Box],
    samples: NDArray[np.floating],
    *,
    fps: Fraction,
    n_frames: int,
    options: SpeakOptions | None = None,
) -> Iterator[FrameArray]:
    """Makes the frames of a face that says ``samples``.

    A video shorter than the audio starts again from its beginning (as published). Memory holds one batch of frames,
    whatever the length.

    Args:
        generator: Loaded and set to evaluation; it runs on the device of its parameters.
        open_frames: The portrait (``still_frames``) or the video to speak over.
        boxes: One face box for each frame of the video; a single one serves all frames.
        samples: Mono audio at 16 kHz in [-1, 1].
        fps: Frame rate.
        n_frames: How many frames to make.
        options: See ``SpeakOptions``.

    Yields:
        ``uint8 RGB [t, H, W, 3]`` with ``t <= batch_size``.

    Raises:
        ValueError: when a video has frames beyond its boxes, none at all, or the audio is unusable.
    """
    options = options or SpeakOptions()
    mel = mel_spectrogram(np.asarray(samples))
    start = 0
    for frames, places in _batches(open_frames, boxes, n_frames, options.batch_size):
        windows = mel_windows(
            mel, range(start, start + len(frames)), fps=fps, window_start=generator.config.window_start
        )
        faces = np.stack(
            [crop_face(f, b, size=generator.config.image_size) for f, b in zip(frames, places, strict=True)]
        )
        painted = paint(generator, faces, windows)
        yield np.stack(
            [
                paste_face(frame, face, box, feather=options.feather)
                for frame, face, box in zip(frames, painted, places, strict=True)
            ]
        )
        start += len(frames)


@torch.inference_mode()
def paint(generator: Generator, faces: FrameArray, windows: NDArray[np.float32]) -> FrameArray:
    """Paints the lower halves of one batch: faces ``uint8 RGB [B, S, S, 3]``, windows ``[B, 1, 80, 16]`` -> faces."""
    device = next(generator.parameters()).device
    output = generator(torch.from_numpy(windows).to(device), torch.from_numpy(generator_input(faces)).to(device))
    return painted_faces(output.float().cpu().numpy())


def _single(pieces: Iterable[FrameArray]) -> Iterator[FrameArray]:
    for piece in pieces:
        yield from piece


def _endless(open_frames: OpenFrames) -> Iterator[tuple[int, FrameArray]]:
    while True:
        count = 0
        for frame in _single(open_frames()):
            yield count, frame
            count += 1
        if count == 0:
            raise ValueError("the video to speak over has no frames")


def _batches(
    open_frames: OpenFrames, boxes: Sequence[Box], n_frames: int, size: int
) -> Iterator[tuple[list[FrameArray], list[Box]]]:
    frames: list[FrameArray] = []
    places: list[Box] = []
    source = _endless(open_frames)
    still: FrameArray | None = None
    for done in range(n_frames):
        if still is None:
            index, frame = next(source)
            if done == 1 and index == 0:
                still = frame  # a single image: no need to open it again for every frame
        else:
            index, frame = 0, still
        if len(boxes) > 1 and index >= len(boxes):
            raise ValueError(f"expected a face box for every frame of the video, found {len(boxes)} boxes")
        frames.append(frame)
        places.append(boxes[index if len(boxes) > 1 else 0])
        if len(frames) == size or done == n_frames - 1:
            yield frames, places
            frames, places = [], []
