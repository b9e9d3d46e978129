"""One portrait and one audio file to a video, outside of any suite."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emo_bench.data.portrait import Box, Framing, Square, find_square
from emo_bench.media.audio_samples import SILENCE
from emo_bench.media.decode import DEFAULT_RATE
from emo_bench.media.notes import ROUTINE
from emo_bench.media.types import FrameArray, Video, VideoSpec, frames_for_samples
from emo_bench.systems.device import require_device
from emo_bench.systems.emo import EMBEDDED, PORTRAIT, EmoOptions, require_eyelids, sampling_options, weights_folder
from emo_core.atomic import sweep_orphans
from emo_core.errors import ConfigError, GenerationError, LimitError, NoAudioError, WeightsError

if TYPE_CHECKING:
    from emo_bench.media.audio_file import LoadedAudio
    from emo_bench.media.certificate import Signer
    from emo_bench.media.credentials import Source
    from emo_models.emo.pipeline import EMOPipeline

Progress = Callable[[int, int], None]
DISCLOSURE = "AI-generated video: a still portrait animated from audio by EMO (emo-bench)"
LONGEST_S = 600.0
SMALLEST_SIDE = 64
LARGEST_SIDE = 512
"""Pixels a side that are made where the portrait has them."""

SUFFIXES = (".mp4", ".m4v")
"""Of what is written."""

LARGEST_PICTURE = 2048
"""Pixels of the longer side of a whole image into which the moving face is pasted back."""


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
    size: int | None = None,
    face_box: Box | None = None,
    paste_back: bool = False,
    region: tuple[float, float, float, float] | None = None,
    device: str = "cpu",
    signer: Signer | None = None,
    progress: Progress | None = None,
) -> Animated:
    """Animates a portrait.

    Args:
        portrait: An image of any size: photograph, painting, engraving or drawing. The face is found, and the square
            around it that the weights want is animated.
        audio: Any audio or video file; mixed to mono.
        target: The MP4 to write, atomically.
        options: Weights and sampling.
        seed: Decides all noise.
        size: Side of the frames in pixels; by default what the portrait has, at most 512.
        face_box: Where the face is, left, top, right, bottom in pixels, brow to chin; found when absent.
        paste_back: Paste the moving face back into the whole image instead of giving the square around the face.
        region: Where the face may be, as fractions of the square: left, top, right, bottom; anywhere when absent.
        device: 'cpu' or 'cuda[:n]'.
        signer: Signs the content credentials that the video gets; none when absent.
        progress: Called with frames done and in total.

    Raises:
        ConfigError: when the target is the image or the audio or no MP4, or the device is not there.
        ClipError: when image or audio cannot be used.
        WeightsError: when the model's weights are missing or wrong.
        CredentialsError: when the video cannot be signed; it is left at ``target`` unsigned.
    """
    from emo_bench.media.audio_file import load_audio
    from emo_bench.media.credentials import add_credentials
    from emo_bench.media.disclosure import disclosure_tags
    from emo_bench.media.image import read_still_image
    from emo_bench.media.preview import write_preview
    from emo_models.emo.pipeline import EMOPipeline

    require_device(device)
    _require_target(target, (portrait, audio))
    still = read_still_image(portrait)
    image = still.pixels
    if min(image.shape[:2]) < SMALLEST_SIDE:
        raise GenerationError(
            f"{portrait.name} is too small",
            expected=f"at least {SMALLEST_SIDE} pixels a side",
            found=f"{image.shape[1]}x{image.shape[0]}",
        )
    try:
        loaded = load_audio(audio, rate=DEFAULT_RATE)
    except NoAudioError as error:
        raise NoAudioError(
            error.message, expected=error.expected, found=error.found, fix="choose another file for the audio"
        ) from None
    speech = loaded.audio
    if speech.seconds > LONGEST_S:
        raise LimitError(
            f"{audio.name} is too long", expected=f"at most {LONGEST_S:g} s", found=f"{speech.seconds:g} s"
        )
    if len(speech.samples) == 0:
        raise NoAudioError(f"{audio.name} has no audio", expected="at least one sample", found="none")
    folder = weights_folder(options.weights, Path())
    try:
        pipeline = EMOPipeline.from_pretrained(folder).to(device)
    except Exception as error:
        raise WeightsError(f"the EMO weights in {folder} cannot be loaded", found=str(error)) from None
    require_eyelids(options, pipeline)
    framing = Framing(**pipeline.facts.get("framing", {}))
    square, found = find_square(image, framing, face_box=face_box)
    notes = [*still.notes, *_about_audio(loaded), *found]
    side = _full_size(square, size, pipeline)
    notes += _about_size(side, size, pipeline)
    fps = Fraction(pipeline.fps).limit_denominator(1001)
    n_frames = frames_for_samples(len(speech.samples), rate=speech.rate, fps=fps)
    whole = _even(image) if paste_back else None
    height, width = (side, side) if whole is None else whole.shape[:2]
    spec = VideoSpec(width=width, height=height, fps=fps, n_frames=n_frames)

    def pieces() -> Iterator[FrameArray]:
        frames = pipeline.animate(
            square.cut(image),
            speech.samples,
            speech.rate,
            seed=seed,
            options=sampling_options(options, pipeline.facts),
            face_region=region,
            full_size=side,
            progress=progress,
        )
        yield from frames if whole is None else square.paste(whole, frames)

    notes += _about_weights(options.weights, str(pipeline.facts.get("trained_on", "")))
    # Only the name of a weights folder is published, never its path.
    facts = {"seed": seed, "weights": Path(options.weights).name, "notice": DISCLOSURE}
    sweep_orphans(target.absolute().parent, deep=False)  # of an earlier call that was ended from outside
    write_preview(target, Video(spec, pieces), speech, metadata=disclosure_tags(DISCLOSURE, facts))
    if signer is not None:
        origin: Source = "composite" if paste_back else "generated"
        add_credentials(target, target, signer=signer, origin=origin, title=target.name, facts=facts)
    return Animated(path=target, n_frames=n_frames, seconds=speech.seconds, notes=tuple(notes))


def _require_target(target: Path, sources: Iterable[Path]) -> None:
    """Raises where the video could not be written once it is made."""
    for source in sources:
        if target.resolve() == source.resolve():
            raise ConfigError(f"{source} would be written over", expected="another file", fix="choose one with -o")
    if target.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{target.name} is no name of an MP4", expected=" or ".join(SUFFIXES), found=target.suffix)
    if target.is_dir():
        raise ConfigError(f"{target} is a folder", expected="the name of a file", fix="choose one with -o")
    place = next(folder for folder in target.absolute().parents if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise ConfigError(f"{target} cannot be written", expected="a folder that may be written to", found=str(place))


def _about_audio(loaded: LoadedAudio) -> Iterator[str]:
    """What is out of the ordinary about the audio; conversions to the model's rate are not."""
    if not np.any(np.abs(loaded.audio.samples) > SILENCE):
        yield "the audio is silent; expect a closed mouth"
    yield from (note for note in loaded.notes if note.code not in ROUTINE and note.code != "silent")


def _about_weights(name: str, trained_on: str) -> list[str]:
    """For which portraits the weights are, in a sentence."""
    if name == PORTRAIT:
        return [f"made with {PORTRAIT}: photographs, paintings, engravings; for rendered faces --preset {EMBEDDED}"]
    if name == EMBEDDED:
        return [f"made with {EMBEDDED}: the rendered faces of HDTF-Synth; other portraits will look wrong"]
    return [f"these weights were trained on {trained_on}; other portraits will look wrong"] if trained_on else []


def _full_size(square: Square, size: int | None, pipeline: EMOPipeline) -> int:
    """Side of the frames: as requested, or as large as portrait and weights allow."""
    if pipeline.refiner is None:
        return pipeline.size
    wanted = min(square.side, LARGEST_SIDE) if size is None else size
    return max(pipeline.size, wanted - wanted % 2)


def _about_size(side: int, size: int | None, pipeline: EMOPipeline) -> list[str]:
    """Why frames do not have the size that was asked for, in a sentence."""
    if size is None or size - size % 2 == side:
        return []
    reason = "these weights have no refiner" if pipeline.refiner is None else "these weights make none smaller"
    return [f"frames are {side} px a side, not {size}: {reason}"]


def _even(image: FrameArray) -> FrameArray:
    """A whole image as video can hold it: an even number of rows and columns, at most ``LARGEST_PICTURE``."""
    height, width = image.shape[:2]
    if max(height, width) > LARGEST_PICTURE:
        raise LimitError(
            "the whole image is too large for a video",
            expected=f"at most {LARGEST_PICTURE} pixels a side with --paste-back",
            found=f"{width}x{height}",
            fix="reduce the image, or omit --paste-back",
        )
    return image[: height - height % 2, : width - width % 2]
