"""One portrait and one audio file to a video, outside of any suite."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from emo_bench.extract.weights import WeightsFinder
from emo_bench.media.types import FrameArray, Video, VideoSpec, frames_for_samples
from emo_bench.systems.emo import EMBEDDED, EmoOptions, sampling_options, weights_folder
from emo_core.errors import GenerationError, LimitError, NoAudioError, NoFaceError, WeightsError

Progress = Callable[[int, int], None]
DISCLOSURE = "AI-generated video: a still portrait animated from sound by EMO (emo-bench)"
LONGEST_S = 600.0
SMALLEST_SIDE = 64
CROP_FACTOR = 2.3
"""The square that is animated is so many times as high as the face; about the framing of HDTF."""


@dataclass(frozen=True, kw_only=True)
class Animated:
    """What was made.

    Attributes:
        path: The video.
        n_frames: Its frames; as long as the audio to the frame.
        seconds: Length of the audio.
        notes: What a user should know of it.
    """

    path: Path
    n_frames: int
    seconds: float
    notes: tuple[str, ...]


def animate(
    portrait: Path,
    audio: Path,
    target: Path,
    *,
    options: EmoOptions,
    seed: int = 0,
    region: tuple[float, float, float, float] | None = None,
    weights: WeightsFinder | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Animated:
    """Animates a portrait.

    Args:
        portrait: An image of any size; the face is found and a square around it taken, where the weights of the face
            analysis are at hand, else the middle square.
        audio: Any audio or video file; mixed to mono.
        target: The MP4 to write; whole or absent.
        options: Weights and sampling.
        seed: Decides all noise.
        region: Where the face may be, as fractions of the square: left, top, right, bottom; anywhere when absent.
        weights: Where weight files are looked for.
        device: 'cpu' or 'cuda[:n]'.
        progress: Called with frames done and in total.

    Raises:
        ClipError: when image or audio cannot be used.
        WeightsError: when the model's weights are missing or wrong.
    """
    from emo_bench.media.decode import read_audio
    from emo_bench.media.image import read_picture
    from emo_bench.media.preview import write_preview
    from emo_models.emo.pipeline import EMOPipeline

    picture = read_picture(portrait)
    image = picture.pixels
    if min(image.shape[:2]) < SMALLEST_SIDE:
        raise GenerationError(
            f"{portrait.name} is too small",
            expected=f"at least {SMALLEST_SIDE} pixels a side",
            found=f"{image.shape[1]}x{image.shape[0]}",
        )
    sound = read_audio(audio)
    if sound.seconds > LONGEST_S:
        raise LimitError(f"{audio.name} is too long", expected=f"at most {LONGEST_S:g} s", found=f"{sound.seconds:g} s")
    if len(sound.samples) == 0:
        raise NoAudioError(f"{audio.name} holds no sound", expected="at least one sample", found="none")
    folder = weights_folder(options.weights, Path())
    square, notes = _square(image, weights or WeightsFinder())
    notes = [*picture.notes, *notes]
    try:
        pipeline = EMOPipeline.from_pretrained(folder).to(device)
    except Exception as error:
        raise WeightsError(f"the EMO weights in {folder} cannot be loaded", found=str(error)) from None
    fps = Fraction(pipeline.fps).limit_denominator(1001)
    n_frames = frames_for_samples(len(sound.samples), rate=sound.rate, fps=fps)
    spec = VideoSpec(width=pipeline.size, height=pipeline.size, fps=fps, n_frames=n_frames)

    def pieces() -> Iterator[FrameArray]:
        yield from pipeline.animate(
            square,
            sound.samples,
            sound.rate,
            seed=seed,
            options=sampling_options(options, pipeline.facts),
            face_region=region,
            progress=progress,
        )

    if not np.any(np.abs(sound.samples) > 1e-4):
        notes.append("the sound is silent; expect a closed mouth")
    trained_on = str(pipeline.facts.get("trained_on", "")) or ("HDTF-Synth" if options.weights == EMBEDDED else "")
    if trained_on:
        notes.append(f"these weights were trained on {trained_on}; other portraits will look wrong")
    comment = json.dumps({"seed": seed, "weights": options.weights, "notice": DISCLOSURE}, sort_keys=True)
    write_preview(target, Video(spec, pieces), sound, metadata={"title": DISCLOSURE, "comment": comment})
    return Animated(path=target, n_frames=n_frames, seconds=sound.seconds, notes=tuple(notes))


def _square(image: FrameArray, finder: WeightsFinder) -> tuple[FrameArray, list[str]]:
    """The square around the face, or the middle one with a note when faces cannot be looked for."""
    from emo_bench.systems.face_boxes import faces_in_portrait

    try:
        box, count = faces_in_portrait(image, finder)
    except WeightsError:
        return _middle(image), ["the weights of the face analysis are not here; the middle square was taken"]
    if count > 1:
        raise GenerationError(
            "the portrait shows several faces",
            expected="one",
            found=str(count),
            fix="cut the picture to the one who shall speak",
        )
    if box is None:
        drawn = "the embedded networks find photographed faces; give a square picture of a drawn one"
        if abs(image.shape[0] - image.shape[1]) <= 2:
            return image, ["no photographed face was found; the square picture was taken as it is"]
        raise NoFaceError("no face was found in the portrait", expected="one clearly visible face", fix=drawn)
    return _around(image, box), []


def _middle(image: FrameArray) -> FrameArray:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _around(image: FrameArray, box: tuple[float, float, float, float]) -> FrameArray:
    """A square of ``CROP_FACTOR`` face heights around the face, moved inside the image where it can be."""
    height, width = image.shape[:2]
    left, top, right, bottom = box
    side = round(min(CROP_FACTOR * max(bottom - top, right - left), height, width))
    x = int(np.clip(round((left + right) / 2 - side / 2), 0, width - side))
    y = int(np.clip(round((top + bottom) / 2 - side / 2), 0, height - side))
    return image[y : y + side, x : x + side]
