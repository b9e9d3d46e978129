"""EMO as a system: a portrait and audio, nothing else; its randomness comes from the clip's seed alone."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from emo_bench.config.schema import Frozen
from emo_bench.media.notes import Note
from emo_bench.media.types import FrameArray, Video, VideoSpec
from emo_bench.systems.shipped import check_shipped
from emo_bench.systems.system import GeneratedClip, GenerationRequest, SystemContext, SystemKind
from emo_core.errors import ConfigError, GenerationError, WeightsError
from emo_core.hashing import digest_of, sha256_file

if TYPE_CHECKING:
    from emo_models.emo.pipeline import EMOPipeline, SamplingOptions

EMBEDDED = "emo-synth"
"""Weights trained on the rendered faces of HDTF-Synth; what suites take when they name none."""

PORTRAIT = "emo-portrait"
"""Weights trained on re-enacted photographs, paintings and engravings; what ``animate`` takes."""

SHIPPED = (EMBEDDED, PORTRAIT)
"""Names of the weights that come with the package."""


Share = Annotated[float, Field(ge=0, le=1)]


class EmoOptions(Frozen):
    """Which weights, and how to sample."""

    weights: str = Field(
        default=EMBEDDED,
        description=f"'{EMBEDDED}', '{PORTRAIT}', or a folder of a saved EMO pipeline, relative to the suite file",
    )
    steps: int | None = Field(
        default=None, ge=1, le=1000, description="Denoising steps; what the weights recommend when absent, else 40"
    )
    sampler: Literal["ddim", "dpmsolver++", "unipc"] | None = Field(
        default=None, description="What the weights recommend when absent, else ddim; the other two for few steps"
    )
    audio_guidance: float | None = Field(
        default=None, ge=0, le=20, description="1 is off; when absent, what the weights recommend, else 1"
    )
    reference_guidance: float | None = Field(
        default=None, ge=0, le=20, description="1 is off; when absent, what the weights recommend, else 1"
    )
    speed_guidance: float | None = Field(
        default=None,
        ge=0,
        le=20,
        description="How strongly a given speed is followed; 1 is off; when absent, what the weights recommend, else 1",
    )
    guidance_interval: tuple[Share, Share] | None = Field(
        default=None,
        strict=False,
        description="Shares of the noise schedule (1 is pure noise) between which audio and reference are stronger; "
        "what the weights recommend when absent, else [0, 1]",
    )
    speed: float | None = Field(
        default=None, ge=0, le=5, description="Head rotation in degrees per frame; left to the audio when absent"
    )
    blinks: float | None = Field(
        default=None,
        ge=0,
        le=60,
        description="Blinks a minute, for weights that can be asked to blink; what the weights recommend when absent",
    )
    face_region: Literal["dataset", "free"] = Field(
        default="free", description="'dataset' keeps the face in the data set's box, 'free' lets it go anywhere"
    )

    @field_validator("guidance_interval")
    @classmethod
    def _smaller_first(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] > value[1]:
            raise ValueError(f"expected the smaller share first, found {list(value)}")
        return value


def weights_folder(name: str, base: Path) -> Path:
    """The folder of a saved pipeline: the embedded one, or the user's.

    Raises:
        WeightsError: when it is not there.
    """
    if name in SHIPPED:
        from importlib.resources import files

        folder = Path(str(files("emo_models.emo"))) / "weights" / name
        fix = f"train them: emo-bench train --config configs/train/{name.replace('-', '_')}.yaml"
    else:
        near = difflib.get_close_matches(name, SHIPPED, n=1)
        hint = f"did you mean '{near[0]}'? Else " if near else ""
        folder, fix = base / name, f"{hint}give the folder of a saved EMO pipeline"
    if not (folder / "model_index.json").is_file():
        raise WeightsError(f"no EMO weights {name!r}", expected=f"a saved pipeline in {folder}", fix=fix)
    return folder


class Emo(SystemKind):
    """EMO (Tian et al. 2024), this project's own implementation: portrait and audio to video, segment by segment."""

    options_model: ClassVar[type[Frozen]] = EmoOptions
    uses_seed: ClassVar[bool] = True

    def dependencies(self, context: SystemContext) -> Mapping[str, Any]:
        """The digest of every file of the pipeline.

        Raises:
            WeightsError: when the folder is missing, or shipped weights are not those of this release.
        """
        folder = weights_folder(self.options.weights, context.base)
        if self.options.weights in SHIPPED:
            check_shipped(self.options.weights)
        parts = {str(path.relative_to(folder)): sha256_file(path) for path in _files(folder)}
        return {"weights": digest_of(parts)}

    def load(self, context: SystemContext) -> None:
        """Loads the pipeline onto the device."""
        from emo_models.emo.pipeline import EMOPipeline

        folder = weights_folder(self.options.weights, context.base)
        if self.options.weights in SHIPPED:
            check_shipped(self.options.weights)
        try:
            self._pipeline: EMOPipeline = EMOPipeline.from_pretrained(folder).to(context.device)
        except Exception as error:
            raise WeightsError(
                f"the EMO weights {self.options.weights!r} cannot be loaded",
                expected="a saved pipeline",
                found=str(error),
            ) from None
        require_eyelids(self.options, self._pipeline)

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Animates the portrait for the length of the audio.

        Raises:
            GenerationError: when the portrait or the audio cannot be used.
        """
        pipeline = self._pipeline
        own = frame_total(request.n_frames, request.fps, Fraction(pipeline.fps).limit_denominator(1001))
        spec = VideoSpec(width=pipeline.size, height=pipeline.size, fps=request.fps, n_frames=request.n_frames)
        repeated = f"{pipeline.fps:g} fps repeated to {float(request.fps):g}"
        notes = () if own == request.n_frames else (Note("frame_rate", repeated),)
        return GeneratedClip(video=Video(spec, lambda: self._pieces(request)), audio=request.audio, notes=notes)

    def _pieces(self, request: GenerationRequest) -> Iterator[FrameArray]:
        try:
            made = self._pipeline.animate(
                request.reference_image,
                request.audio.samples,
                request.audio.rate,
                seed=request.seed,
                options=sampling_options(self.options, self._pipeline.facts),
                face_region=self._region(request),
            )
            yield from at_rate(
                made,
                source=Fraction(self._pipeline.fps).limit_denominator(1001),
                target=request.fps,
                n_frames=request.n_frames,
            )
        except ValueError as error:
            raise GenerationError(f"EMO cannot use this clip: {error}") from None

    def _region(self, request: GenerationRequest) -> tuple[float, float, float, float] | None:
        if self.options.face_region == "free" or request.face_box is None:
            return None
        height, width = request.reference_image.shape[:2]
        left, top, right, bottom = request.face_box
        box = (left / width, top / height, right / width, bottom / height)
        clipped = tuple(min(1.0, max(0.0, value)) for value in box)
        return clipped[0], clipped[1], clipped[2], clipped[3]


def _files(folder: Path) -> list[Path]:
    """All that loading reads; a part of the pipeline may be a link to a folder, which ``rglob`` leaves out."""
    found: list[Path] = []
    for name, inner, names in os.walk(folder, followlinks=True):
        place = Path(name)
        if place.resolve() in {above.resolve() for above in place.parents}:  # a link that leads round in a circle
            inner.clear()
            continue
        found += [place / file for file in names if file.endswith((".json", ".safetensors"))]
    return sorted(found)


def sampling_options(options: EmoOptions, facts: Mapping[str, Any]) -> SamplingOptions:
    """The model's own form of the options; what they leave open comes from the weights' facts."""
    from emo_models.emo.pipeline import recommended_sampling

    chosen = recommended_sampling(facts)
    audio = chosen.guidance.audio if options.audio_guidance is None else options.audio_guidance
    reference = chosen.guidance.reference if options.reference_guidance is None else options.reference_guidance
    speed = chosen.guidance.speed if options.speed_guidance is None else options.speed_guidance
    interval = options.guidance_interval or chosen.guidance.interval
    return chosen.changed(
        steps=options.steps or chosen.steps,
        sampler=options.sampler or chosen.sampler,
        guidance=replace(chosen.guidance, audio=audio, reference=reference, speed=speed, interval=interval),
        speed=options.speed,
        blinks=chosen.blinks if options.blinks is None else options.blinks,
    )


def require_eyelids(options: EmoOptions, pipeline: EMOPipeline) -> None:
    """Refuses blinks that are asked of weights without that condition, before any work.

    Raises:
        ConfigError: They are.
    """
    if options.blinks and not pipeline.model.architecture.extensions.eyelids:
        raise ConfigError(
            f"the EMO weights {options.weights!r} cannot be asked to blink",
            expected="no blinks, or weights with the extension 'eyelids'",
            found=f"{options.blinks:g} blinks a minute",
            fix="leave blinks out: these weights blink by themselves or not at all",
        )


def frame_total(n_frames: int, fps: Fraction, own: Fraction) -> int:
    """How many frames the model makes for ``n_frames`` at ``fps``.

    >>> frame_total(50, Fraction(25), Fraction(25, 2))
    25
    """
    return -(-n_frames * own.numerator * fps.denominator // (own.denominator * fps.numerator))


def at_rate(pieces: Iterator[FrameArray], *, source: Fraction, target: Fraction, n_frames: int) -> Iterator[FrameArray]:
    """Repeats or drops frames so that frame i shows what the source shows at time i / target.

    >>> import numpy as np
    >>> frames = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1).repeat(3, axis=3)
    >>> joined = np.concatenate(list(at_rate(iter([frames]), source=Fraction(10), target=Fraction(20), n_frames=8)))
    >>> joined[:, 0, 0, 0].tolist()
    [0, 0, 1, 1, 2, 2, 3, 3]
    """
    done, seen = 0, 0
    last: FrameArray | None = None
    for piece in pieces:
        wanted: list[int] = []
        while done + len(wanted) < n_frames:
            index = int((done + len(wanted)) * source / target)
            if index >= seen + len(piece):
                break
            wanted.append(index - seen)
        if wanted:
            yield piece[wanted]
            done += len(wanted)
        seen, last = seen + len(piece), piece[-1:]
    if last is not None and done < n_frames:
        yield last.repeat(n_frames - done, axis=0)
