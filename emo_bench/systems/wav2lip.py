"""Wav2Lip as a system: speaks from the portrait alone (as in EMO's comparison), or over the ground-truth video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from emo_bench.config.schema import Frozen
from emo_bench.media.types import FrameArray, Video, VideoSpec
from emo_bench.systems.shipped import check_shipped
from emo_bench.systems.system import DrivingClip, GeneratedClip, GenerationRequest, SystemContext, SystemKind
from emo_core.errors import GenerationError, NoFaceError, WeightsError
from emo_core.hashing import sha256_file

if TYPE_CHECKING:
    from emo_bench.systems.face_boxes import FaceLocator
    from emo_models.baselines.wav2lip.generator import Generator
    from emo_models.baselines.wav2lip.inference import OpenFrames, SpeakOptions

EMBEDDED = "wav2lip-synth"
"""Name of the weights that ship with the project; made for HDTF-Synth, not for real faces."""

PUBLISHED_PADDING = (0, 10, 0, 0)
EMBEDDED_PADDING = (0, 3, 0, 0)
"""The faces of HDTF-Synth are small, and their boxes hold the open mouth already."""

Padding = tuple[int, int, int, int]


class Wav2LipOptions(Frozen):
    """Which weights, and how the face is cut out and put back."""

    weights: str = Field(
        default="wav2lip_gan.pth",
        description=f"A file of the weights registry (wav2lip_gan.pth, wav2lip.pth), or '{EMBEDDED}'",
    )
    file: str | None = Field(default=None, description="Own checkpoint instead, relative to the suite file")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="Digest of 'file', needed with it")
    padding: tuple[int, int, int, int] | None = Field(
        default=None, description="Pixels added above, below, left and right of the face; 0, 10, 0, 0 as published"
    )
    smoothing: int = Field(default=5, ge=1, le=100, description="Frames over which face boxes are averaged (dubbing)")
    feather: int = Field(default=0, ge=0, le=100, description="Pixels over which the face blends in; 0 as published")
    batch_size: int = Field(default=16, ge=1, le=1024, description="Frames painted together")
    use_dataset_box: bool = Field(default=True, description="Use the data set's face box where it has one")

    @model_validator(mode="after")
    def _file_has_digest(self) -> Wav2LipOptions:
        if (self.file is None) != (self.sha256 is None):
            raise ValueError("expected 'file' and 'sha256' together")
        return self


class Wav2Lip(SystemKind):
    """Wav2Lip (Prajwal et al. 2020), its own implementation, from a single image: only the mouth moves."""

    options_model: ClassVar[type[Frozen]] = Wav2LipOptions

    def __init__(self, options: Any, *, locate_face: FaceLocator | None = None) -> None:
        super().__init__(options)
        self._locate_face = locate_face

    def dependencies(self, context: SystemContext) -> Mapping[str, Any]:
        """The digest of the weights.

        Raises:
            WeightsError: when they are missing or have other bytes.
        """
        return {"weights": sha256_file(self._weights(context))}

    def load(self, context: SystemContext) -> None:
        """Loads the generator onto the device."""
        from emo_models.baselines.wav2lip.checkpoints import load_generator, load_published
        from emo_models.baselines.wav2lip.generator import Generator

        path = self._weights(context)
        try:
            generator = load_generator(path) if path.suffix == ".safetensors" else load_published(Generator(), path)
        except ValueError as error:
            raise WeightsError(str(error), fix="choose a checkpoint of Wav2Lip's generator") from None
        self._generator: Generator = generator.to(context.device)
        self._finder = context.weights

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Speaks from the portrait.

        Raises:
            NoFaceError: when no face is found in the portrait.
            GenerationError: when the face box or the audio cannot be used.
        """
        from emo_models.baselines.wav2lip.inference import one_box, still_frames

        image = request.reference_image
        box = self._known_box(request) or self._locator()(image)
        if box is None:
            raise NoFaceError("no face in the portrait", expected="one face", found="none")
        height, width = image.shape[:2]
        try:
            boxes = one_box(box, options=self._speak_options(), height=height, width=width)
        except ValueError as error:
            raise GenerationError(str(error)) from None
        return self._spoken(request, still_frames(image), boxes, width=width, height=height)

    def _spoken(
        self, request: GenerationRequest, open_frames: OpenFrames, boxes: Any, *, width: int, height: int
    ) -> GeneratedClip:
        from emo_models.baselines.wav2lip.inference import speak

        spec = VideoSpec(width=width, height=height, fps=request.fps, n_frames=request.n_frames)
        options = self._speak_options()

        def pieces() -> Iterator[FrameArray]:
            try:
                yield from speak(
                    self._generator,
                    open_frames,
                    boxes,
                    request.audio.samples,
                    fps=request.fps,
                    n_frames=request.n_frames,
                    options=options,
                )
            except ValueError as error:
                raise GenerationError(str(error)) from None

        return GeneratedClip(video=Video(spec, pieces), audio=request.audio)

    def _known_box(self, request: GenerationRequest) -> tuple[float, float, float, float] | None:
        return request.face_box if self.options.use_dataset_box else None

    def _locator(self) -> FaceLocator:
        """A locator for one clip."""
        if self._locate_face is not None:
            return self._locate_face
        from emo_bench.systems.face_boxes import face_locator

        return face_locator(self._finder)

    def _speak_options(self) -> SpeakOptions:
        from emo_models.baselines.wav2lip.inference import SpeakOptions

        default = EMBEDDED_PADDING if self.options.weights == EMBEDDED else PUBLISHED_PADDING
        return SpeakOptions(
            padding=self.options.padding or default,
            smoothing=self.options.smoothing,
            feather=self.options.feather,
            batch_size=self.options.batch_size,
        )

    def _weights(self, context: SystemContext) -> Path:
        if self.options.file is not None:
            path: Path = context.base / self.options.file
            if not path.is_file():
                raise WeightsError(f"no checkpoint {path}", expected="a file", fix="check 'file'")
            found = sha256_file(path)
            if found != self.options.sha256:
                raise WeightsError(
                    f"{path} has other bytes", expected=f"SHA-256 {self.options.sha256}", found=f"SHA-256 {found}"
                )
            return path
        if self.options.weights == EMBEDDED:
            return embedded_weights()
        return context.weights.require(self.options.weights)


class Wav2LipDubbing(Wav2Lip):
    """Wav2Lip over the ground-truth video: head motion is real, only the mouth is painted."""

    needs_driving: ClassVar[bool] = True

    def generate(self, request: GenerationRequest) -> GeneratedClip:
        """Speaks over the ground truth.

        Raises:
            NoFaceError: when a frame shows no face.
            GenerationError: when there is no ground truth, or the face box or the audio cannot be used.
        """
        from emo_models.baselines.wav2lip.inference import FaceNotFoundError, one_box, track_boxes

        if request.driving is None:
            raise GenerationError("this system needs the ground truth", expected="a driving clip", found="none")
        driving: DrivingClip = request.driving
        spec, options = driving.video.spec, self._speak_options()
        box = self._known_box(request)
        try:
            if box is not None:
                boxes = one_box(box, options=options, height=spec.height, width=spec.width)
            else:
                boxes = track_boxes(driving.video.open, self._locator(), options=options, limit=request.n_frames)
        except FaceNotFoundError as error:
            raise NoFaceError(str(error)) from None
        except ValueError as error:
            raise GenerationError(str(error)) from None
        return self._spoken(request, driving.video.open, boxes, width=spec.width, height=spec.height)


def embedded_weights() -> Path:
    """The weights that ship with the project.

    Raises:
        WeightsError: when this installation has none, or others than those of this release.
    """
    from emo_models.baselines.wav2lip.checkpoints import SYNTH_WEIGHTS

    if not SYNTH_WEIGHTS.is_file():
        raise WeightsError(
            f"the weights {EMBEDDED} are not in this installation",
            expected=str(SYNTH_WEIGHTS),
            fix="train them with configs/train/wav2lip_synth.yaml, or choose other weights",
        )
    check_shipped(EMBEDDED)
    return SYNTH_WEIGHTS
